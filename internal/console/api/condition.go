package api

import "time"

// Conditions of an instance, for people. The field State says how the proxy treats the instance. Condition also depends
// on the latest outcomes and on alerts.
const (
	ConditionOK       = "ok"
	ConditionFailing  = "failing"  // the instance gets requests, and they fail or an alert is active
	ConditionSilenced = "silenced" // an alert is active and silenced
	ConditionOut      = "out"      // ejected, unhealthy or reported unhealthy, and no silence covers it
	ConditionDraining = "draining"
	ConditionUnknown  = "unknown" // no requests and no passing health check: no data
)

// Limits from which an instance counts as failing.
const (
	failingRun    = 2               // consecutive failures, of any age: a failure counts until a request succeeds
	failingFor    = 2 * time.Second // or one failure without a success for this time
	failingErrors = 3               // or this many errors in the last lastSeconds seconds
	failingShare  = 0.5             // and at least this share of the requests
)

// Condition returns the condition of an instance from its state, its latest outcomes and its alerts. alerted is true if
// an alert is active; silenced is true if all active alerts are silenced.
func Condition(in *Instance, alerted, silenced bool) string {
	switch in.State {
	case "draining":
		return ConditionDraining
	case "backup", "other-zone": // it stands by
		if !alerted && in.Failures == 0 {
			return ConditionOK
		}
	case "in":
	default:
		if alerted && silenced {
			return ConditionSilenced
		}
		return ConditionOut
	}
	if alerted && !silenced {
		return ConditionFailing
	}
	recent := in.Rate * lastSeconds
	switch {
	case alerted:
		return ConditionSilenced
	case in.Failures >= failingRun, in.Failures > 0 && in.FailedFor >= failingFor, recent*in.ErrorRate >= failingErrors && in.ErrorRate >= failingShare:
		return ConditionFailing
	case in.Requests == 0 && (in.Probe == nil || !in.Probe.OK):
		return ConditionUnknown
	}
	return ConditionOK
}

// lastSeconds is the span of an instance's Rate and ErrorRate, in seconds.
const lastSeconds = 10

// Judge sets the condition of each instance in the overview.
func (o *Overview) Judge() {
	about := AlertsOf(o.Alerts)
	for i := range o.Services {
		s := &o.Services[i]
		for j := range s.Instances {
			s.Instances[j].Judge(s.ID, about)
		}
	}
}

// Judge sets the condition of the instance.
func (in *Instance) Judge(service string, about AlertsAbout) {
	silenced, alerted := about[[2]string{service, in.ID}]
	in.Condition = Condition(in, alerted, silenced)
}

// AlertsAbout maps service and instance id of each instance with active alerts to whether all its alerts are silenced.
type AlertsAbout map[[2]string]bool

// AlertsOf converts alerts to the form that Instance.Judge needs.
func AlertsOf(alerts []Alert) AlertsAbout {
	out := AlertsAbout{}
	for i := range alerts {
		a := &alerts[i]
		key := [2]string{a.Labels["service"], a.Labels["instance"]}
		if key[1] == "" {
			continue
		}
		all, before := out[key]
		out[key] = a.Silence != nil && (all || !before)
	}
	return out
}
