package dispatch

import (
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/router"
)

// asking gives a dispatcher whose route asks an authentication service, and whose service takes one request at a time.
func asking(t *testing.T, edit func(*action.Actions)) *Dispatcher {
	t.Helper()
	d := limited(t, guard.Limits{Running: 1, Waiting: 1})
	r, _ := d.Table().Routes.Match(head{"GET", "/s"}, router.Peer{})
	r.Actions = &action.Actions{ForwardAuth: forwardauth.New(forwardauth.Settings{Timeout: 5 * time.Second})}
	if edit != nil {
		edit(r.Actions)
	}
	return d
}

func open(a *action.Actions) {
	a.ForwardAuth = forwardauth.New(forwardauth.Settings{Timeout: 5 * time.Second, Open: true})
}

func TestTheAnswerOfTheAuthenticationServiceDecides(t *testing.T) {
	yes := &forwardauth.Answer{Status: 200, Values: []string{"ann"}}
	no, sorry := &forwardauth.Answer{Status: 302}, &forwardauth.Answer{Status: 500}
	for _, row := range []struct {
		name    string
		edit    func(*action.Actions)
		timeout time.Duration // of the client
		o       AuthOutcome
		status  int // 0: it goes on
		code    string
	}{
		{"admitted", nil, 0, AuthOutcome{Answer: yes}, 0, ""},
		{"refused", nil, 0, AuthOutcome{Answer: no, Result: forwardauth.Refused}, 302, CodeAuthRefused},
		{"refused although open", open, 0, AuthOutcome{Answer: no, Result: forwardauth.Refused}, 302, CodeAuthRefused},
		{"5xx", nil, 0, AuthOutcome{Answer: sorry, Result: forwardauth.Failed}, 500, CodeAuthRefused},
		{"5xx, open", open, 0, AuthOutcome{Answer: sorry, Result: forwardauth.Failed}, 0, ""},
		{"failed", nil, 0, AuthOutcome{Result: forwardauth.Failed}, 503, CodeAuthUnavailable},
		{"failed, open", open, 0, AuthOutcome{Result: forwardauth.Failed}, 0, ""},
		{"late", nil, 0, AuthOutcome{Result: forwardauth.TimedOut}, 503, CodeAuthUnavailable},
		{"late, open", open, 0, AuthOutcome{Result: forwardauth.TimedOut}, 0, ""},
		{"busy", nil, 0, AuthOutcome{Result: forwardauth.Busy}, 503, CodeAuthUnavailable},
		{"busy, open", open, 0, AuthOutcome{Result: forwardauth.Busy}, 0, ""},
		{"the client's time ends", nil, time.Second, AuthOutcome{Result: forwardauth.Left}, 504, CodeAuthUnavailable},
		{"the client's time ends, open", open, time.Second, AuthOutcome{Result: forwardauth.Left}, 504, CodeAuthUnavailable},
		{"the client leaves", nil, 0, AuthOutcome{Result: forwardauth.Left, Ended: ClientGone}, 499, CodeClientGone},
		{"the client leaves, open", open, 0, AuthOutcome{Result: forwardauth.Left, Ended: ClientGone}, 499, CodeClientGone},
		{"the client leaves with the answer", nil, 0, AuthOutcome{Answer: yes, Ended: ClientGone}, 499, CodeClientGone},
		{"the proxy stops", open, 0, AuthOutcome{Result: forwardauth.Left, Ended: Stopped}, 503, CodeStopped},
		{"admitted to a fixed response", func(a *action.Actions) { a.Answer = &action.Response{Status: 418} }, 0, AuthOutcome{Answer: yes}, 418, CodeFixed},
		{"refused a fixed response", func(a *action.Actions) { a.Answer = &action.Response{Status: 418} }, 0, AuthOutcome{Answer: no, Result: forwardauth.Refused}, 302, CodeAuthRefused},
	} {
		d := asking(t, row.edit)
		x := NewExchange(1)
		x.Timeout = row.timeout
		v := d.Begin(x, head{"GET", "/s"}, second)
		want := 5 * time.Second
		if row.timeout > 0 {
			want = row.timeout
		}
		if v.Action != Authorize || v.Wait != want || v.Auth == nil {
			t.Fatalf("%s: %+v", row.name, v)
		}
		v = d.Authorized(x, head{"GET", "/s"}, row.o, 3*second)
		if row.status == 0 && (v.Action != Forward || v.Deadline != 13*second) || // the route's timeout is 10 s
			row.status != 0 && (v.Action != Reply || v.Status != row.status || v.Code != row.code || v.Text == "" && row.code != CodeFixed) {
			t.Errorf("%s: %+v", row.name, v)
		}
		if (x.AuthAnswer() != nil) != (v.Code == CodeAuthRefused) {
			t.Errorf("%s: the answer for the client is %+v", row.name, x.AuthAnswer())
		}
		if want := row.o.Result == forwardauth.Admitted && row.o.Ended == None; want != slices.Equal(x.Proven(), yes.Values) {
			t.Errorf("%s: proven %v", row.name, x.Proven())
		}
		if v.Action == Forward {
			d.Settle(x, Outcome{Status: 200, Sent: true}, 4*second)
		}
		r := d.End(x, 4*second)
		if r.AuthNs != 2*second || row.status != 0 && (r.Attempts != 0 || r.Service != "" || r.Why != row.code) {
			t.Errorf("%s: record %+v", row.name, r)
		}
		if n := d.Own().Traffic("").Load().Requests; row.status != 0 && n[row.status/100] != 1 {
			t.Errorf("%s: it is not counted", row.name)
		}
	}
}

// The wait of a delay of faults comes after the answer, and what the wait took is not charged to the instance.
func TestTheTimeOfTheAuthenticationServiceIsNotTheInstances(t *testing.T) {
	d := asking(t, func(a *action.Actions) { a.Fault = &action.Fault{Delay: time.Second, DelayShare: 1} })
	x := NewExchange(1)
	x.Timeout = 4 * time.Second
	d.Begin(x, head{"GET", "/s"}, second)
	v := d.Authorized(x, head{"GET", "/s"}, AuthOutcome{Answer: &forwardauth.Answer{Status: 200}}, 2*second)
	if v.Action != Pause || v.Wait != time.Second {
		t.Fatalf("%+v", v)
	}
	if v = d.Resume(x, None, 3*second); v.Action != Forward || v.Deadline != 5*second {
		t.Fatalf("%+v", v)
	}
	d.Settle(x, Outcome{Failure: Timeout, Sent: true}, 5*second)
	if n := v.Live.Errors.Load(); n != 0 {
		t.Errorf("the instance is charged for %d errors", n)
	}
	d.End(x, 5*second)
}
