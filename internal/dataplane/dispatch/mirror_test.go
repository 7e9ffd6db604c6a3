package dispatch

import (
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

func TestCopiesOfRequests(t *testing.T) {
	d, s, rec, _ := setup(t, 2, defaultRetry())
	d.cfg.Memory = guard.NewMemory(100)
	target := &Route{Name: "r", Split: []Share{{Service: s, Weight: 1}}, Total: 1, Timeout: 3 * time.Second}
	m := &Mirror{Route: target, Share: 1, Counts: new(MirrorCounts)}
	x, c := NewExchange(1), NewExchange(2)
	if d.Begin(x, head{"POST", "/s"}, second); x.Mirror() != nil {
		t.Error("a copy without a mirror")
	}
	x.route.Mirror = m
	x.user, x.proven = "ann", []string{"claim"}
	if x.Mirror() != m {
		t.Error("no copy of the first try")
	}
	c.Follow(x, m)
	v, _, ok := d.BeginMirror(c, head{"POST", "/s"}, 2*second)
	if !ok || v.Action != Forward || v.Deadline != 5*second || c.User() != "ann" || c.Proven()[0] != "claim" || s.Active.Load() != 2 {
		t.Errorf("got %+v, user %s, %d active", v, c.User(), s.Active.Load())
	}
	// It is not retried, and its end is an error of its instance alone.
	if v := d.Settle(c, Outcome{Failure: ConnectRefused, Replayable: true}, 2*second); v.Action != Reply {
		t.Errorf("got %+v", v)
	}
	if d.End(c, 2*second); s.Active.Load() != 1 || c.ticket.Live().Errors.Load() != 1 || len(rec.decisions) != 1 {
		t.Errorf("%d active, %d errors, decisions %+v", s.Active.Load(), c.ticket.Live().Errors.Load(), rec.decisions)
	}
	if v := d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, 2*second); v.Action != Forward || x.Mirror() != nil {
		t.Errorf("a retry: %+v, or it has a copy too", v)
	}
	d.End(x, 2*second)
	if n := s.Traffic("r").Load(); n.Requests[5]+n.Requests[0] != 1 {
		t.Errorf("the route counts %v", n.Requests)
	}
	d.cfg.Memory.Observe(90)
	c.Follow(x, m)
	if _, result, ok := d.BeginMirror(c, head{"POST", "/s"}, 3*second); ok || result != MirrorBusy {
		t.Errorf("while the memory is short: %v, %v", ok, result)
	}
	if d.End(c, 3*second); s.Active.Load() != 0 {
		t.Errorf("%d active", s.Active.Load())
	}
}
