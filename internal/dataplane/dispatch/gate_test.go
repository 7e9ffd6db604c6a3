package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/router"
)

// limited gives a dispatcher of a service with limits. Each request waits for at most 5 s.
func limited(t interface {
	Helper()
	Fatal(...any)
}, l guard.Limits) *Dispatcher {
	t.Helper()
	d, s, _, _ := setup(t, 2, defaultRetry())
	s.Gate.Set(l)
	r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	r.Split[0].Leg = &Leg{QueueTimeout: 5 * time.Second}
	return d
}

func TestRequestsWaitForTheirTurn(t *testing.T) {
	d := limited(t, guard.Limits{Running: 1, Waiting: 1})
	a, b, c := NewExchange(1), NewExchange(2), NewExchange(3)
	if v := d.Begin(a, head{"GET", "/s"}, second); v.Action != Forward {
		t.Fatalf("the first request: %+v", v)
	}
	v := d.Begin(b, head{"GET", "/s"}, second)
	if v.Action != Wait || v.Deadline != 6*second || v.Waiter == nil {
		t.Fatalf("the second request: %+v", v)
	}
	if v := d.Begin(c, head{"GET", "/s"}, second); v.Action != Reply || v.Status != 503 || v.Code != CodeQueueFull {
		t.Fatalf("the third request: %+v", v)
	}
	if r := d.End(c, second); r.Why != CodeQueueFull || r.QueueNs != 0 || r.Attempts != 0 {
		t.Errorf("record %+v", r)
	}
	if v := d.Admit(b, None, 2*second); v.Action != Wait || v.Deadline != 6*second {
		t.Errorf("a value of an earlier request: %+v", v)
	}
	d.Settle(a, Outcome{Status: 200, Sent: true}, 3*second)
	d.End(a, 3*second)
	<-v.Waiter.C()
	// The route's timeout of 10 s begins now.
	if v := d.Admit(b, None, 3*second); v.Action != Forward || v.Deadline != 13*second {
		t.Errorf("after the first request: %+v", v)
	}
	d.Settle(b, Outcome{Status: 200, Sent: true}, 4*second)
	if r := d.End(b, 4*second); r.QueueNs != 2*second || r.DurationNs != 3*second || r.Status != 200 {
		t.Errorf("record %+v", r)
	}
}

// The client's own timeout begins with its request.
func TestAWaitIsWithinTheTimeOfTheClient(t *testing.T) {
	d := limited(t, guard.Limits{Running: 1, Waiting: 1})
	a, b := NewExchange(1), NewExchange(2)
	d.Begin(a, head{"GET", "/s"}, second)
	b.Timeout = 3 * time.Second
	if v := d.Begin(b, head{"GET", "/s"}, second); v.Action != Wait || v.Deadline != 4*second {
		t.Fatalf("%+v", v)
	}
	d.End(a, 2*second)
	if v := d.Admit(b, None, 2*second); v.Action != Forward || v.Deadline != 4*second {
		t.Errorf("%+v", v)
	}
	d.End(b, 2*second)
}

// An instance is not charged for a timeout of the client of which the wait took a part, and is for its own.
func TestTheTimeOfTheWaitIsNotTheInstances(t *testing.T) {
	for _, row := range []struct {
		waits   bool
		at      int64 // when the try ends, with a timeout
		charged bool
	}{{true, 4 * second, false}, {true, 3 * second, true}, {false, 4 * second, true}} {
		d := limited(t, guard.Limits{Running: 1, Waiting: 1})
		a, b := NewExchange(1), NewExchange(2)
		if row.waits {
			d.Begin(a, head{"GET", "/s"}, second)
		}
		b.Timeout = 3 * time.Second
		v := d.Begin(b, head{"GET", "/s"}, second)
		if row.waits {
			d.End(a, 2*second)
			v = d.Admit(b, None, 2*second)
		}
		if v := d.Settle(b, Outcome{Failure: Timeout, Sent: true}, row.at); v.Status != 504 {
			t.Errorf("%+v: %+v", row, v)
		}
		if got := v.Live.Errors.Load() == 1; got != row.charged {
			t.Errorf("%+v: charged %v", row, got)
		}
		d.End(b, row.at)
	}
}

func TestHowAWaitEnds(t *testing.T) {
	for _, row := range []struct {
		f      Failure
		free   bool // a place became free at the same time
		action Action
		status int
		code   string
	}{
		{Timeout, false, Reply, 503, CodeQueueTimeout},
		{Timeout, true, Forward, 0, ""},
		{ClientGone, false, Reply, 499, CodeClientGone},
		{ClientGone, true, Reply, 499, CodeClientGone},
		{Stopped, false, Reply, 503, CodeStopped},
		{Stopped, true, Reply, 503, CodeStopped},
		{None, true, Forward, 0, ""},
	} {
		d := limited(t, guard.Limits{Running: 1, Waiting: 1})
		a, b := NewExchange(1), NewExchange(2)
		d.Begin(a, head{"GET", "/s"}, second)
		d.Begin(b, head{"GET", "/s"}, second)
		if row.free {
			d.End(a, second)
		}
		v := d.Admit(b, row.f, 2*second)
		if v.Action != row.action || v.Status != row.status || v.Code != row.code {
			t.Errorf("%v, free %v: %+v", row.f, row.free, v)
		}
		if r := d.End(b, 2*second); row.action == Reply && (r.QueueNs != second || r.Attempts != 0) {
			t.Errorf("%v, free %v: record %+v", row.f, row.free, r)
		}
		if !row.free {
			d.End(a, 2*second)
		}
		r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
		s := r.Split[0].Service
		if c := s.Gate.Counts(); c.Running != 0 || c.Waiting != 0 || s.Active.Load() != 0 {
			t.Errorf("%v, free %v: %+v, %d active at the end", row.f, row.free, c, s.Active.Load())
		}
		for _, m := range s.Pool().Members {
			if m.InFlight.Load() != 0 || m.Errors.Load() != 0 {
				t.Errorf("%v, free %v: %s has %d in flight and %d errors", row.f, row.free, m.Instance, m.InFlight.Load(), m.Errors.Load())
			}
		}
	}
}

// lowHead is a request with a header that lowers its priority.
type lowHead struct {
	head
	value string
}

func (h lowHead) Header(name string) ([]byte, bool) { return []byte(h.value), name == "X-Priority" }

func TestThePriorityIsThatOfTheRouteOrItsHeader(t *testing.T) {
	for _, row := range []struct {
		p    Priority
		h    Head
		want guard.Priority
	}{
		{Priority{}, lowHead{value: "low"}, guard.Normal},
		{Priority{Low: true}, head{}, guard.Low},
		{Priority{Header: "X-Priority"}, lowHead{value: "low"}, guard.Low},
		{Priority{Header: "X-Priority"}, lowHead{value: "high"}, guard.Normal},
		{Priority{Header: "X-Priority"}, head{}, guard.Normal},
	} {
		if got := row.p.of(row.h); got != row.want {
			t.Errorf("%+v: %v", row.p, got)
		}
	}
}

// Whatever happens, no more requests run than the limits allow, each instance has at most its own limit, and nothing is left
// at the end.
func TestLimitsHoldInEveryOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const perInstance = 2
		d, s, _, _ := setup(unwrap{t}, 3, defaultRetry())
		p := *s.Pool()
		p.InstanceLimit = perInstance
		s.Swap(&p)
		s.Gate.Set(guard.Limits{Running: 3 * perInstance, Waiting: 3})
		r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
		r.Split[0].Leg = &Leg{QueueTimeout: 5 * time.Second}
		all := make([]*Exchange, 12)
		at := map[*Exchange]Action{}
		for i := range all {
			all[i] = NewExchange(uint64(i))
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			x := all[rapid.IntRange(0, len(all)-1).Draw(t, "request")]
			switch action, open := at[x]; {
			case !open:
				at[x] = d.Begin(x, head{"GET", "/s"}, second).Action
			case action == Wait:
				at[x] = d.Admit(x, rapid.SampledFrom([]Failure{None, Timeout, ClientGone}).Draw(t, "wait"), second).Action
			case action == Forward:
				at[x] = d.Settle(x, rapid.SampledFrom([]Outcome{{Status: 200, Sent: true}, {Failure: ConnectRefused, Replayable: true}, {Failure: ClientGone}}).Draw(t, "outcome"), second).Action
			default:
				d.End(x, second)
				delete(at, x)
			}
			if c := s.Gate.Counts(); c.Running > 3*perInstance || c.Waiting > 3 {
				t.Fatalf("%+v", c)
			}
			for _, m := range p.Members {
				if n := m.InFlight.Load(); n > perInstance {
					t.Fatalf("%s has %d requests", m.Instance, n)
				}
			}
			for x, action := range at {
				if action == Reply && x.code == CodeInstanceFull {
					t.Fatal("a request that was let in found no instance")
				}
			}
		}
		for len(at) > 0 {
			for x, action := range at {
				if action == Wait {
					at[x] = d.Admit(x, Timeout, second).Action
					continue
				}
				d.End(x, second)
				delete(at, x)
			}
		}
		if c := s.Gate.Counts(); c.Running != 0 || c.Waiting != 0 || s.Active.Load() != 0 {
			t.Fatalf("%+v, %d active at the end", c, s.Active.Load())
		}
		for _, m := range p.Members {
			if n := m.InFlight.Load(); n != 0 {
				t.Fatalf("%s has %d requests at the end", m.Instance, n)
			}
		}
	})
}

// The limit of requests in flight adapts to the time from the choice of an instance to its response head: neither the wait at
// the gate nor the upload of a slow client counts, and a quick failure is no latency.
func TestTheGateMeasuresTheTimeOfTheInstance(t *testing.T) {
	d := limited(t, guard.Limits{Running: 1, Waiting: 1})
	r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	l := &r.Split[0].Service.Latencies
	l.Set(true)
	a, b := NewExchange(1), NewExchange(2)
	d.Begin(a, head{"POST", "/s"}, second)
	v := d.Begin(b, head{"POST", "/s"}, second)
	d.Settle(a, Outcome{Status: 200, Sent: true, SentAt: 3 * second}, 4*second) // 1 s
	d.End(a, 5*second)
	<-v.Waiter.C()
	d.Admit(b, None, 5*second)
	d.Settle(b, Outcome{Failure: Timeout, Sent: true}, 15*second) // 10 s
	d.End(b, 15*second)
	for _, o := range []Outcome{{Status: 503, Sent: true}, {Status: 429, Sent: true}, {Failure: ConnectRefused}, {Failure: ClientGone}} {
		d.Begin(a, head{"POST", "/s"}, 20*second)
		d.Settle(a, o, 21*second)
		d.End(a, 21*second)
	}
	if got, want := l.Take(), (guard.Sample{Count: 2, Latency: 11 * second, Running: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
