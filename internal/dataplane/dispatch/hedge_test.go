package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// hedged gives a dispatcher whose route hedges.
func hedged(t interface {
	Helper()
	Fatal(...any)
}, n int, after time.Duration) (*Dispatcher, *upstream.Service, *Route) {
	d, s, _, _ := setup(t, n, defaultRetry())
	route, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	route.Hedge = &Hedge{After: after}
	return d, s, route
}

func TestWhichRequestsAreHedged(t *testing.T) {
	d, _, _ := hedged(t, 3, time.Second)
	for method, want := range map[string]time.Duration{"GET": time.Second, "HEAD": time.Second, "OPTIONS": time.Second, "POST": 0, "PUT": 0, "DELETE": 0, "TRACE": 0, "get": 0} {
		x := NewExchange(1)
		v := d.Begin(x, head{method, "/s"}, second)
		if v.Hedge != want {
			t.Errorf("%s: hedged after %s, want %s", method, v.Hedge, want)
		}
		if v = d.Settle(x, Outcome{Failure: ConnectRefused, Replayable: true}, second); v.Hedge != 0 {
			t.Errorf("%s: a retry is hedged", method)
		}
		d.End(x, second)
	}
}

func TestP95IsLearnedFromTheRequests(t *testing.T) {
	d, s, _ := hedged(t, 3, 0)
	x := NewExchange(1)
	for i := range 40 {
		v := d.Begin(x, head{"GET", "/s"}, second)
		if (v.Hedge > 0) != (i >= 20) {
			t.Fatalf("request %d: hedged after %s", i, v.Hedge)
		}
		status := 200
		if i%2 == 1 {
			status = 500 // a failure is no latency, so it takes twenty successes
		}
		d.Settle(x, Outcome{Status: status, Sent: true}, second+int64(100*time.Millisecond))
		d.End(x, second)
		if i == 19 && s.Slow.Load() == 0 {
			for range 10 {
				s.Slow.Observe(int64(100 * time.Millisecond))
			}
		}
	}
	if got := time.Duration(s.Slow.Load()); got < 50*time.Millisecond || got > 200*time.Millisecond {
		t.Errorf("estimated %s", got)
	}
}

func TestAHedgeWinsOrLoses(t *testing.T) {
	for _, won := range []bool{true, false} {
		d, s, _ := hedged(t, 3, time.Second)
		x := NewExchange(1)
		first := d.Begin(x, head{"GET", "/s"}, second).Live
		v, ok := d.Hedge(x, 2*second)
		if !ok || v.Action != Forward || v.Live == first || v.Hedge != 0 {
			t.Fatalf("hedge %v: %+v", ok, v)
		}
		if first.InFlight.Load() != 1 || v.Live.InFlight.Load() != 1 || s.Retry.Load() != 1 || s.Active.Load() != 1 {
			t.Errorf("while both run: %d and %d in flight, %d in the budget, %d active", first.InFlight.Load(), v.Live.InFlight.Load(), s.Retry.Load(), s.Active.Load())
		}
		d.Drop(x, !won, Outcome{Failure: Cancelled}, 3*second)
		if settled := d.Settle(x, Outcome{Status: 200, Sent: true}, 3*second); settled.Action != Relay {
			t.Errorf("action %d", settled.Action)
		}
		winner, loser, result := first, v.Live, "lost"
		if won {
			winner, loser, result = v.Live, first, "won"
		}
		r := d.End(x, 3*second)
		if r.Instance != winner.Instance || r.Hedge != result || r.Attempts != 2 || r.Status != 200 || r.Failure != None {
			t.Errorf("record %+v", r)
		}
		if loser.Errors.Load() != 0 || loser.Requests.Load() != 0 || loser.Fails.Load() != 0 || winner.Requests.Load() != 1 {
			t.Errorf("the loser has %d errors of %d requests", loser.Errors.Load(), loser.Requests.Load())
		}
		// A first try that was overtaken shows how slow its instance is at least; a hedge that lost shows nothing.
		if latency, _, known := loser.Latency.Load(3 * second); known != won || won && latency != float64(2*second) {
			t.Errorf("won %v: the loser's latency is %v, %v", won, latency, known)
		}
		if n := s.Traffic("r").Load(); n.Hedges[HedgeWon]+n.Hedges[HedgeLost] != 1 || (n.Hedges[HedgeWon] == 1) != won || n.Retries != [upstream.RetryKinds]uint64{} {
			t.Errorf("counted %+v", n)
		}
		if first.InFlight.Load() != 0 || v.Live.InFlight.Load() != 0 || s.Retry.Load() != 0 || s.Active.Load() != 0 {
			t.Errorf("after the end: %d and %d in flight, %d in the budget, %d active", first.InFlight.Load(), v.Live.InFlight.Load(), s.Retry.Load(), s.Active.Load())
		}
	}
}

func TestATryThatFailsDoesNotEndTheOther(t *testing.T) {
	d, _, _ := hedged(t, 3, time.Second)
	for o, decides := range map[Outcome]bool{
		{Status: 200}: true, {Status: 404}: true, {Status: 500}: false, {Status: 503}: false, {Failure: Reset}: false, {Failure: Timeout}: false, {Status: 429}: true,
	} {
		x := NewExchange(1)
		first := d.Begin(x, head{"GET", "/s"}, second).Live
		v, _ := d.Hedge(x, 2*second)
		if x.Decides(o) != decides {
			t.Errorf("%+v decides: %v", o, !decides)
		}
		if !decides {
			before := first.Errors.Load()
			d.Drop(x, false, o, 2*second)
			if first.Errors.Load() != before+1 {
				t.Errorf("%+v is not charged to its instance", o)
			}
		} else {
			d.Drop(x, false, Outcome{Failure: Cancelled}, 2*second)
		}
		d.Settle(x, Outcome{Status: 200, Sent: true}, 3*second)
		if r := d.End(x, 3*second); r.Instance != v.Live.Instance {
			t.Errorf("%+v: answered by %s", o, r.Instance)
		}
	}
}

func TestHedgesStayWithinTheBudget(t *testing.T) {
	d, s, route := hedged(t, 5, time.Second)
	route.Split[0].Budget = &guard.Budget{Min: 1}
	one, two := NewExchange(1), NewExchange(2)
	d.Begin(one, head{"GET", "/s"}, second)
	d.Begin(two, head{"GET", "/s"}, second)
	if _, ok := d.Hedge(one, second); !ok {
		t.Fatal("the first hedge is denied")
	}
	if _, ok := d.Hedge(two, second); ok {
		t.Fatal("a hedge beyond the budget")
	}
	d.Drop(one, true, Outcome{Failure: Cancelled}, second)
	for _, x := range []*Exchange{one, two} {
		d.Settle(x, Outcome{Status: 200, Sent: true}, second)
		d.End(x, second)
	}
	if n := s.Traffic("r").Load(); n.RetriesDenied != 1 || n.Hedges[HedgeLost] != 1 || s.Retry.Load() != 0 {
		t.Errorf("counted %+v, %d in the budget", n, s.Retry.Load())
	}
}

// A hedge would take a place of an instance that the gate has promised to another request.
func TestAServiceWithLimitsIsNotHedged(t *testing.T) {
	d, s, _ := hedged(t, 3, time.Second)
	s.Gate.Set(guard.Limits{Running: 3})
	x := NewExchange(1)
	d.Begin(x, head{"GET", "/s"}, second)
	if _, ok := d.Hedge(x, 2*second); ok {
		t.Error("hedged")
	}
	d.Settle(x, Outcome{Status: 200, Sent: true}, second)
	d.End(x, second)
}

func TestThereIsNoHedgeWithoutAnotherInstance(t *testing.T) {
	d, s, _ := hedged(t, 1, time.Second)
	x := NewExchange(1)
	d.Begin(x, head{"GET", "/s"}, second)
	if _, ok := d.Hedge(x, second); ok {
		t.Error("hedged to the same instance")
	}
	if v := d.Settle(x, Outcome{Status: 200, Sent: true}, second); v.Action != Relay {
		t.Errorf("action %d", v.Action)
	}
	if r := d.End(x, second); r.Hedge != "" || r.Status != 200 || s.Retry.Load() != 0 {
		t.Errorf("record %+v", r)
	}
}

// Whatever becomes of two tries, every counter returns to zero and no instance has more errors than requests.
func TestAccountingOfHedgesBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, s, _ := hedged(unwrap{t}, rapid.IntRange(1, 4).Draw(t, "n"), time.Second)
		x, now := NewExchange(1), second
		outcome := func(name string) Outcome {
			o := Outcome{Failure: rapid.SampledFrom([]Failure{None, None, ConnectRefused, Reset, Timeout, ClientGone}).Draw(t, name), Sent: rapid.Bool().Draw(t, "sent"), Replayable: true}
			if o.Failure == None {
				o.Status = rapid.SampledFrom([]int{200, 404, 429, 500, 503}).Draw(t, "status")
			}
			return o
		}
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			v := d.Begin(x, head{rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"), "/s"}, now)
			for v.Action == Forward {
				now += int64(rapid.IntRange(0, 1e9).Draw(t, "took"))
				if v.Hedge > 0 && rapid.Bool().Draw(t, "late") {
					if _, ok := d.Hedge(x, now); ok {
						hedge := rapid.Bool().Draw(t, "which")
						o := outcome("dropped")
						if o.Failure == ClientGone || x.Decides(o) {
							o = Outcome{Failure: Cancelled}
						}
						d.Drop(x, hedge, o, now)
					}
				}
				v = d.Settle(x, outcome("failure"), now)
			}
			if v.Action == Relay && rapid.Bool().Draw(t, "breaks") {
				x.Fail(Reset)
			}
			d.End(x, now)
		}
		if s.Active.Load() != 0 || s.Retry.Load() != 0 {
			t.Fatalf("active %d retries %d", s.Active.Load(), s.Retry.Load())
		}
		for _, m := range s.Pool().Members {
			if m.InFlight.Load() != 0 || m.Errors.Load() > m.Requests.Load() {
				t.Fatalf("%s: %d in flight, %d errors of %d", m.Instance, m.InFlight.Load(), m.Errors.Load(), m.Requests.Load())
			}
		}
	})
}
