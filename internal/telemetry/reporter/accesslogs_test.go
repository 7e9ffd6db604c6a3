package reporter

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/accesslog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

type fakeQueue struct {
	stats kafka.ProducerStats
	sent  []kafka.Record
}

func (q *fakeQueue) Send(r kafka.Record) bool   { q.sent = append(q.sent, r); return true }
func (q *fakeQueue) Stats() kafka.ProducerStats { return q.stats }

// Whatever clients send, each line is one record that readers accept.
func TestAccessLogsAreMessages(t *testing.T) {
	f := accesslog.Messages(`n"1`)
	rapid.Check(t, func(t *rapid.T) {
		q := &fakeQueue{}
		text := rapid.StringOf(rapid.Rune())
		raw := rapid.SliceOf(rapid.Byte())
		e := accesslog.Entry{
			Time: time.Now().UnixNano(), RequestID: []byte("r"), Client: netip.MustParseAddr("::1"), Target: raw.Draw(t, "target"), Host: raw.Draw(t, "host"),
			Method: raw.Draw(t, "method"), Status: 200, Service: "shop", Instance: "shop-1", Dispatched: rapid.Bool().Draw(t, "dispatched"), User: text.Draw(t, "user"),
			DurationNs: rapid.Int64Range(0, 1<<50).Draw(t, "duration"), QueueNs: 1_500_000,
		}
		lines := f.Append(f.Append(nil, &e), &e)
		a := NewAccessLogs("n1", q)
		if n, err := a.Write(lines); n != len(lines) || err != nil || len(q.sent) != 2 || a.Dropped() != 0 {
			t.Fatalf("%d %v, %d sent, %d dropped", n, err, len(q.sent), a.Dropped())
		}
		clear(lines) // the caller reuses them
		for _, r := range q.sent {
			m, err := event.DecodeAccessLog(r.Value)
			if err != nil {
				t.Fatalf("%v in %q", err, r.Value)
			}
			if r.Topic != "access-logs" || string(r.Key) != "n1" || m.Node != `n"1` || m.ServiceID != "shop" || m.InstanceID != "shop-1" || m.Client != "::1" || m.QueueMs.Value != 1.5 || m.DurationMs.Set != e.Dispatched {
				t.Fatalf("got %+v", m)
			}
		}
	})
}

func TestAccessLogsLeaveRoomForOtherMessages(t *testing.T) {
	three := []byte("{}\n{}\n{}\n")
	for name, tc := range map[string]struct {
		stats         kafka.ProducerStats
		sent, dropped int
	}{
		"room":           {kafka.ProducerStats{}, 3, 0},
		"room for one":   {kafka.ProducerStats{BufferedRecords: accessRecords - 1}, 1, 2},
		"none":           {kafka.ProducerStats{BufferedRecords: accessRecords + 5}, 0, 3},
		"too many bytes": {kafka.ProducerStats{BufferedBytes: accessBytes}, 0, 3},
	} {
		q := &fakeQueue{stats: tc.stats}
		a := NewAccessLogs("n1", q)
		_, _ = a.Write(three)
		if len(q.sent) != tc.sent || a.Dropped() != uint64(tc.dropped) {
			t.Errorf("%s: %d sent, %d dropped", name, len(q.sent), a.Dropped())
		}
	}
}
