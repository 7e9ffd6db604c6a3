package journal

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

func auditRecord(t *testing.T, at time.Time, action string, size int) kafka.Record {
	t.Helper()
	a := event.AuditLog{AuditID: "a", Timestamp: at.UTC(), Node: "n", Seq: 1, Actor: event.Actor{Type: "user"}, Action: action, Result: event.ResultSuccess}
	a.Reason = strings.Repeat("x", size)
	value, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return kafka.Record{Topic: event.TopicAuditLogs, Value: value}
}

// One record of 2099 was the newest for ever, and a few thousand of them hid
// all others.
func TestRecordsOf2099AreNotTheNewestForEver(t *testing.T) {
	s := Records(Config{Log: slog.New(slog.DiscardHandler)})
	future := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 5 * keepRecords {
		s.handle([]kafka.Record{auditRecord(t, future, "forged", 0)})
	}
	s.handle([]kafka.Record{auditRecord(t, time.Now().Add(time.Second), "real", 0)})
	if got := s.newest(1, nil); len(got) != 1 || got[0].Action != "real" {
		t.Errorf("the newest is %+v", got)
	}
	if n := len(s.ring); n > 4*keepRecords {
		t.Errorf("%d entries", n)
	}
}

func TestLargeRecordsAreBoundedInAll(t *testing.T) {
	s := Records(Config{Log: slog.New(slog.DiscardHandler)})
	huge := auditRecord(t, time.Now().Add(-time.Hour), "huge", 5<<20)
	for range 100 {
		s.handle([]kafka.Record{huge})
	}
	s.handle([]kafka.Record{auditRecord(t, time.Now(), "real", 0)})
	if s.bytes > maxRing || len(s.ring) == 0 {
		t.Errorf("%d bytes in %d entries", s.bytes, len(s.ring))
	}
	if got := s.newest(1, nil); got[0].Action != "real" {
		t.Errorf("the newest is %s", got[0].Action)
	}
}
