package dispatch

import (
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/router"
)

// faulty gives a dispatcher whose route injects faults, and whose service takes one request at a time.
func faulty(t *testing.T, f action.Fault) *Dispatcher {
	t.Helper()
	d := limited(t, guard.Limits{Running: 1, Waiting: 1})
	r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	r.Actions = &action.Actions{Fault: &f}
	return d
}

func TestTheTimesOfARequestBeginAfterItsDelay(t *testing.T) {
	d := faulty(t, action.Fault{Delay: 20 * time.Second, DelayShare: 1})
	a, b := NewExchange(1), NewExchange(2)
	for _, x := range []*Exchange{a, b} {
		if v := d.Begin(x, head{"GET", "/s"}, second); v.Action != Pause || v.Wait != 20*time.Second {
			t.Fatalf("%+v", v)
		}
	}
	if v := d.Resume(a, None, 21*second); v.Action != Forward || v.Deadline != 31*second { // the route's timeout is 10 s
		t.Errorf("%+v", v)
	}
	v := d.Resume(b, None, 21*second)
	if v.Action != Wait || v.Deadline != 26*second {
		t.Fatalf("%+v", v)
	}
	d.Settle(a, Outcome{Status: 200, Sent: true}, 22*second)
	d.End(a, 22*second)
	<-v.Waiter.C()
	if v := d.Admit(b, None, 22*second); v.Action != Forward {
		t.Errorf("%+v", v)
	}
	d.Settle(b, Outcome{Status: 200, Sent: true}, 23*second)
	if r := d.End(b, 23*second); r.QueueNs != second || r.DurationNs != 22*second {
		t.Errorf("%+v", r)
	}
}

// An instance is not charged for a timeout of the client of which the delay took a part.
func TestTheTimeOfTheDelayIsNotTheInstances(t *testing.T) {
	d := faulty(t, action.Fault{Delay: 2 * time.Second, DelayShare: 1})
	x := NewExchange(1)
	x.Timeout = 3 * time.Second
	d.Begin(x, head{"GET", "/s"}, second)
	v := d.Resume(x, None, 3*second)
	if v.Action != Forward || v.Deadline != 4*second {
		t.Fatalf("%+v", v)
	}
	if end := d.Settle(x, Outcome{Failure: Timeout, Sent: true}, 4*second); end.Status != 504 {
		t.Errorf("%+v", end)
	}
	if n := v.Live.Errors.Load(); n != 0 {
		t.Errorf("the instance is charged for %d errors", n)
	}
	d.End(x, 4*second)
}

func TestFaultsTakeNoPlaceAndNoInstance(t *testing.T) {
	for _, row := range []struct {
		name    string
		fault   action.Fault
		timeout time.Duration // of the client
		ended   Failure
		status  int
		code    string
	}{
		{"aborted", action.Fault{Status: 500, AbortShare: 1}, 0, None, 500, CodeFault},
		{"delayed and aborted", action.Fault{Delay: time.Second, DelayShare: 1, Status: 503, AbortShare: 1}, 0, None, 503, CodeFault},
		{"the client's time ends", action.Fault{Delay: time.Hour, DelayShare: 1}, time.Second, None, 504, CodeFault},
		{"the client leaves", action.Fault{Delay: time.Second, DelayShare: 1}, 0, ClientGone, 499, CodeClientGone},
		{"the proxy stops", action.Fault{Delay: time.Second, DelayShare: 1}, 0, Stopped, 503, CodeStopped},
	} {
		d := faulty(t, row.fault)
		x := NewExchange(1)
		x.Timeout = row.timeout
		v := d.Begin(x, head{"GET", "/s"}, second)
		if v.Action == Pause {
			v = d.Resume(x, row.ended, second+int64(v.Wait))
		}
		if v.Action != Reply || v.Status != row.status || v.Code != row.code {
			t.Errorf("%s: %+v", row.name, v)
		}
		if r := d.End(x, 3*second); r.Attempts != 0 || r.Instance != "" || r.Status != row.status || r.Why != row.code {
			t.Errorf("%s: record %+v", row.name, r)
		}
		r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
		r.Actions = nil
		if v := d.Begin(x, head{"GET", "/s"}, 4*second); v.Action != Forward { // the only place is free
			t.Errorf("%s: the next request: %+v", row.name, v)
		}
		d.Settle(x, Outcome{Status: 200, Sent: true}, 4*second)
		d.End(x, 4*second)
	}
}
