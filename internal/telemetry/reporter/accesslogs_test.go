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

type fakeSender []kafka.Record

func (s *fakeSender) Send(r kafka.Record) bool { *s = append(*s, r); return true }

// Whatever clients send, each line is one record that readers accept.
func TestAccessLogsAreMessages(t *testing.T) {
	f := accesslog.Messages(`n"1`)
	rapid.Check(t, func(t *rapid.T) {
		sent := &fakeSender{}
		text := rapid.StringOf(rapid.Rune())
		raw := rapid.SliceOf(rapid.Byte())
		e := accesslog.Entry{
			Time: time.Now().UnixNano(), RequestID: []byte("r"), Client: netip.MustParseAddr("::1"), Target: raw.Draw(t, "target"), Host: raw.Draw(t, "host"),
			Method: raw.Draw(t, "method"), Status: 200, Service: "shop", Instance: "shop-1", Dispatched: rapid.Bool().Draw(t, "dispatched"), User: text.Draw(t, "user"),
			DurationNs: rapid.Int64Range(0, 1<<50).Draw(t, "duration"), QueueNs: 1_500_000,
			Retried: []accesslog.Try{{Status: 503}}, Hedge: "lost",
		}
		lines := f.Append(f.Append(nil, &e), &e)
		a := NewAccessLogs("n1", sent)
		if n, err := a.Write(lines); n != len(lines) || err != nil || len(*sent) != 2 {
			t.Fatalf("%d %v, %d sent", n, err, len(*sent))
		}
		clear(lines) // the caller reuses them
		for _, r := range *sent {
			m, err := event.DecodeAccessLog(r.Value)
			if err != nil {
				t.Fatalf("%v in %q", err, r.Value)
			}
			if r.Topic != "access-logs" || string(r.Key) != "n1" || m.Node != `n"1` || m.ServiceID != "shop" || m.InstanceID != "shop-1" || m.Client != "::1" || m.QueueMs.Value != 1.5 || len(m.Retried) != 1 || m.Retried[0] != "503" || m.Hedge != "lost" || m.DurationMs.Set != e.Dispatched {
				t.Fatalf("got %+v", m)
			}
		}
	})
}
