package api

import (
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// An instance that failed every request looked healthy between rare requests:
// no errors, a green state, "Trouble 0", while an alert said that it fails.
func TestAnInstanceIsOnlyFineWhereSomethingSaysSo(t *testing.T) {
	passing := &Probe{OK: true}
	alert := func(service, instance string, silenced bool) Alert {
		a := Alert{Alert: event.Alert{Labels: map[string]string{"service": service, "instance": instance}}}
		if silenced {
			a.Silence = &Silence{}
		}
		return a
	}
	for _, c := range []struct {
		why    string
		in     Instance
		alerts []Alert
		want   string
	}{
		{"requests succeed", Instance{State: "in", Requests: 9, Rate: 1}, nil, ConditionOK},
		{"idle, but requests succeeded before", Instance{State: "in", Requests: 9}, nil, ConditionOK},
		{"no request yet, health check passes", Instance{State: "in", Probe: passing}, nil, ConditionOK},
		{"no request and no health check", Instance{State: "in"}, nil, ConditionUnknown},
		{"no request and a failed check that does not take it out yet", Instance{State: "in", Probe: &Probe{}}, nil, ConditionUnknown},
		{"one stray failure", Instance{State: "in", Requests: 9, Errors: 1, Failures: 1, Rate: 1, ErrorRate: .1}, nil, ConditionOK},
		{"the last one failed, long ago", Instance{State: "in", Requests: 9, Errors: 1, Failures: 1, FailedFor: time.Minute}, nil, ConditionFailing},
		{"the last two failed, long ago", Instance{State: "in", Requests: 9, Errors: 2, Failures: 2}, nil, ConditionFailing},
		{"half of the last requests failed", Instance{State: "in", Requests: 99, Rate: .6, ErrorRate: .5}, nil, ConditionFailing},
		{"an alert is active", Instance{State: "in", Requests: 9}, []Alert{alert("s", "i", false)}, ConditionFailing},
		{"an alert of another service's instance of this name", Instance{State: "in", Requests: 9}, []Alert{alert("t", "i", false)}, ConditionOK},
		{"its alert is silenced", Instance{State: "in", Requests: 9, Failures: 7}, []Alert{alert("s", "i", true)}, ConditionSilenced},
		{"it is out and its alert is silenced", Instance{State: "ejected", Requests: 9, Failures: 7}, []Alert{alert("s", "i", true)}, ConditionSilenced},
		{"it is out and one of two alerts is silenced", Instance{State: "ejected"}, []Alert{alert("s", "i", true), alert("s", "i", false)}, ConditionOut},
		{"it drains and its alert is silenced", Instance{State: "draining"}, []Alert{alert("s", "i", true)}, ConditionDraining},
		{"one of two alerts is silenced", Instance{State: "in", Requests: 9}, []Alert{alert("s", "i", true), alert("s", "i", false)}, ConditionFailing},
		{"the other of two is", Instance{State: "in", Requests: 9}, []Alert{alert("s", "i", false), alert("s", "i", true)}, ConditionFailing},
		{"drained, whatever else", Instance{State: "draining", Failures: 9}, []Alert{alert("s", "i", false)}, ConditionDraining},
		{"ejected", Instance{State: "ejected"}, nil, ConditionOut},
		{"unhealthy", Instance{State: "unhealthy"}, nil, ConditionOut},
		{"reported unhealthy", Instance{State: "reported-unhealthy"}, nil, ConditionOut},
	} {
		c.in.ID = "i"
		o := Overview{Services: []Service{{ID: "s", Instances: []Instance{c.in}}}, Alerts: c.alerts}
		o.Judge()
		if got := o.Services[0].Instances[0].Condition; got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
	}
}
