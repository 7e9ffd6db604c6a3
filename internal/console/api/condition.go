package api

import "time"

// Conditions of an instance: what a person should make of it. State says what
// the proxy does with it, Condition also looks at outcomes and alerts.
const (
	ConditionOK       = "ok"
	ConditionFailing  = "failing"  // it gets requests, and they fail or an alert is active
	ConditionSilenced = "silenced" // an alert is active and silenced
	ConditionOut      = "out"      // ejected, unhealthy or reported unhealthy, and nobody silenced that
	ConditionDraining = "draining"
	ConditionUnknown  = "unknown" // no request and no passing health check: there is no data
)

// Bounds of what counts as failing.
const (
	failingRun    = 2               // failures in a row, however long ago: the last outcome counts until a success
	failingFor    = 2 * time.Second // or one, after which no success came for so long
	failingErrors = 3               // errors in the last seconds
	failingShare  = 0.5             // and their share of the requests
)

// Condition judges an instance by its state, its last outcomes and the alerts
// that are active about it, of which some or all may be silenced.
func Condition(in *Instance, alerted, silenced bool) string {
	switch in.State {
	case "draining":
		return ConditionDraining
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

// lastSeconds is the span of an instance's Rate and ErrorRate.
const lastSeconds = 10

// Judge sets the condition of every instance of an overview.
func (o *Overview) Judge() {
	about := AlertsOf(o.Alerts)
	for i := range o.Services {
		s := &o.Services[i]
		for j := range s.Instances {
			s.Instances[j].Judge(s.ID, about)
		}
	}
}

// Judge sets the instance's condition.
func (in *Instance) Judge(service string, about AlertsAbout) {
	silenced, alerted := about[[2]string{service, in.ID}]
	in.Condition = Condition(in, alerted, silenced)
}

// AlertsAbout holds the instances, by service and id, that have active alerts,
// and whether all of them are silenced.
type AlertsAbout map[[2]string]bool

// AlertsOf prepares alerts for Instance.Judge.
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
