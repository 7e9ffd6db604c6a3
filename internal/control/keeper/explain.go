package keeper

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// Explain describes why an instance gets its share of the requests: its standing, the parts of its cost compared with
// the pool, and the sources of the facts. Each sentence can be read alone. It returns false if s has no such instance.
func Explain(s ServiceView, id string, now time.Time) ([]string, bool) {
	i := slices.IndexFunc(s.Instances, func(v InstanceView) bool { return v.ID == id })
	if i < 0 {
		return nil, false
	}
	v := s.Instances[i]
	e := &explainer{s: s, v: v, now: now}
	e.standing()
	e.cost()
	e.telemetry()
	e.probes()
	e.reports()
	return e.lines, true
}

type explainer struct {
	s     ServiceView
	v     InstanceView
	now   time.Time
	lines []string
}

func (e *explainer) say(format string, args ...any) {
	e.lines = append(e.lines, fmt.Sprintf(format, args...))
}

func (e *explainer) standing() {
	v := e.v
	since, is := "", "is"
	if !v.Since.IsZero() {
		since, is = " for "+short(e.now.Sub(v.Since)), "has been"
	}
	switch v.State {
	case "in":
		e.say("%s %s in rotation%s.", v.ID, is, since)
	case "ejected":
		e.say("%s %s ejected%s: %s (ejection %d). It rejoins in %s, at %s, through slow start.",
			v.ID, is, since, v.Cause, v.Ejections, short(v.Until.Sub(e.now)), readable.Time(v.Until))
	case "draining":
		cause, ends := e.drain()
		e.say("%s %s draining%s because of %s: no new requests, %d still in flight. It rejoins %s.", v.ID, is, since, cause, v.InFlight, ends)
	case "unhealthy":
		e.say("%s %s out of rotation%s: its health check fails. It rejoins when the check passes again.", v.ID, is, since)
	case "reported-unhealthy":
		e.say("%s %s out of rotation%s: a health-status message says UNHEALTHY and no probe of this proxy passes.", v.ID, is, since)
	case "backup":
		e.say("%s stands by%s: it is a backup, and the other instances suffice (panicThreshold %.3g).", v.ID, since, e.s.PanicThreshold)
	case "other-zone":
		e.say("%s stands by%s: it is in another %s than this node, and nearer instances suffice (zoneSpillover %.3g).", v.ID, since, v.Distance, e.s.Spillover)
	}
	e.far()
	e.failing()
	if e.s.Panic {
		e.say("%s is in panic: fewer than %.3g %% of its instances are healthy, so all that do not drain are used.", e.s.ID, 100*e.s.PanicThreshold)
	}
	if v.State == "in" && v.SlowStart < 1 {
		e.say("Slow start: it is drawn at %.0f %% of its weight and grows to 100 %%.", v.SlowStart*100)
	}
}

// far says why an instance of another zone takes requests, and how many.
func (e *explainer) far() {
	v := e.v
	switch cost := e.s.Costs.Of(v.Distance); {
	case v.State != "in" || v.Distance == upstream.Near || e.s.Panic:
	case e.s.Spillover > 0:
		e.say("It is in another %s than this node. Nearer instances do not suffice (zoneSpillover %.3g).", v.Distance, e.s.Spillover)
	case cost > 1:
		e.say("It is in another %s than this node, so its weight is divided by %.3g (%s).", v.Distance, cost, [...]string{"", "crossZoneCost", "crossRegionCost"}[v.Distance])
	}
}

// failing says that the latest requests failed, however long ago.
func (e *explainer) failing() {
	v := e.v
	if v.Failures < upstream.FailingAfter {
		return
	}
	e.say("Its latest %d requests failed, the last one %s ago.", v.Failures, short(v.FailedFor))
	switch {
	case v.State == "ejected":
		e.say("When it is back, one more failure ejects it again.")
	case v.OnTrial:
		e.say("It gets one request at a time, at most one each second, until a request succeeds.")
	}
}

// drain returns why an instance drains and what ends the drain. An operator's drain and a DRAINING message are
// independent: ending one of them does not end the other.
func (e *explainer) drain() (cause, ends string) {
	const message, expiry = "a DRAINING health-status message", "when the sender of the message reports HEALTHY, or its message no longer counts"
	reported := slices.ContainsFunc(e.v.Reports, func(r ReportView) bool { return r.Status == event.StatusDraining && r.Acts })
	if e.v.Announced && !e.v.DrainedByOperator {
		return "its source, " + e.v.Source + ", which announced its end", "when the source lists it as ready"
	}
	undrain := rejoins(e.v.Drain, e.v.ID, e.now)
	switch {
	case e.v.DrainedByOperator && reported:
		return drainer(e.v.Drain) + " and " + message, undrain + " and " + expiry
	case e.v.DrainedByOperator:
		return drainer(e.v.Drain), undrain
	}
	return message, expiry
}

// drainer returns the author of a drain and the reason.
func drainer(o event.Override) string {
	who := "an operator's drain"
	if o.Author != "" {
		who = "the drain of " + o.Author
	}
	if o.Reason != "" {
		who += " (" + o.Reason + ")"
	}
	return who
}

// rejoins returns when a drain ends.
func rejoins(o event.Override, id string, now time.Time) string {
	after := "after `smartlb undrain " + id + "`"
	if o.EndsAt.IsZero() {
		return after
	}
	return fmt.Sprintf("at %s, in %s, or %s", readable.Time(o.EndsAt), short(o.EndsAt.Sub(now)), after)
}

func (e *explainer) cost() {
	v := e.v
	var others []float64
	for _, o := range e.s.Instances {
		if o.ID != v.ID && o.State == "in" {
			others = append(others, o.Cost)
		}
	}
	compared := ""
	if len(others) > 0 {
		slices.Sort(others)
		compared = fmt.Sprintf(", while the others cost %.2f (median)", others[len(others)/2])
	}
	e.say("A request to it costs %.2f%s: latency factor %.2f (own average %s against the pool's median of %s, to the power %.3g), error estimate %.1f %%, %d in flight, capacity factor %.2f, weight %.4g.",
		v.Cost, compared, v.LatencyFactor, ms(v.LatencyMs), ms(e.s.MedianMs), 2*e.s.Spread, 100*v.ErrorEstimate, v.InFlight, v.Capacity, v.Weight)
	if v.ErrorEstimate > .05 {
		source := "this proxy's own requests"
		if float32(v.FleetErrorRate) >= float32(v.ErrorEstimate) { // the estimate is the larger of the two
			source = "what all proxies report through Kafka"
		}
		e.say("Its errors (%s) multiply its cost by %.1f.", source, v.ErrorFactor)
	}
	if v.Silence > 1 {
		e.say("It owes answers: requests wait longer than is usual, which multiplies its cost by %.1f.", v.Silence)
	}
	if v.ReportedWeight > 0 && v.ReportedWeight != 1 {
		e.say("It asks for %.0f %% of its configured weight (10 %% to 200 %% are granted).", v.ReportedWeight*100)
	}
	if v.Veto < 1 {
		e.say("It reports a utilization of %.0f %%: from 95 %% on its weight is multiplied by %.2f.", v.Utilization*100, v.Veto)
	}
}

func (e *explainer) telemetry() {
	v := e.v
	if v.Score == nil {
		e.say("Nothing is known about it through Kafka: only this proxy's own measurements count.")
		return
	}
	sc := v.Score
	e.say("Through Kafka: health score %.2f (%s), facts %s old, trust %.0f %%.%s", sc.Score, sc.State, short(v.ScoreAge), v.Trust*100, reasons(sc.Reasons))
	var parts []string
	for _, p := range []struct {
		name  string
		value float64
		set   bool
		unit  string
	}{
		{"capacity", sc.Capacity.Value, sc.Capacity.Set, " requests/s"},
		{"error rate", 100 * sc.ErrorRate.Value, sc.ErrorRate.Set, " %"},
		{"utilization", 100 * sc.Utilization.Value, sc.Utilization.Set, " %"},
	} {
		if p.set {
			parts = append(parts, fmt.Sprintf("%s %.4g%s", p.name, p.value, p.unit))
		} else {
			parts = append(parts, p.name+" unknown")
		}
	}
	parts = append(parts, "p95 "+ms(sc.P95Latency.Or(0)))
	e.say("Those facts say: %s.", strings.Join(parts, ", "))
	if len(sc.Ignored) > 0 {
		var why []string
		for reason, n := range sc.Ignored {
			why = append(why, fmt.Sprintf("%d %s", n, reason))
		}
		slices.Sort(why)
		e.say("Messages about it that were ignored in the last minute: %s.", strings.Join(why, ", "))
	} else {
		e.say("No message about it was ignored in the last minute.")
	}
}

func reasons(r []string) string {
	if len(r) == 0 {
		return ""
	}
	return " Reasons: " + strings.Join(r, ", ") + "."
}

func (e *explainer) probes() {
	p := e.v.Probe
	switch {
	case e.s.HealthCheck == "":
		e.say("It has no health check configured.")
	case p.At.IsZero():
		e.say("Its health check (%s) has not run yet.", e.s.HealthCheck)
	default:
		result := "failed"
		if p.OK {
			result = "passed"
		}
		detail := p.Body
		if p.Status != 0 {
			detail = fmt.Sprintf("status %d", p.Status)
		}
		if p.Reason != "" {
			detail += ", " + p.Reason
		}
		e.say("Its last health check (%s) %s %s ago in %s: %s.", e.s.HealthCheck, result, short(e.now.Sub(p.At)), ms(float64(p.Took)/1e6), detail)
		if p.OK && e.v.State == "ejected" {
			e.say("A passing health check does not end an ejection: the check's path may work while requests fail.")
		}
	}
}

func (e *explainer) reports() {
	for _, r := range e.v.Reports {
		sender := r.Sender
		if sender == "" {
			sender = "the instance itself or a program without a reporter header"
		}
		holds := "no longer counts"
		switch wants := r.Status == event.StatusDraining || r.Status == event.StatusUnhealthy; {
		case r.Holds && wants && !r.Acts:
			holds = "takes nothing out: a probe passes, or reports without a signature took out as many instances as they may"
		case r.Holds:
			holds = "still counts"
		}
		e.say("A health-status message of %s said %s %s ago; it %s.", sender, r.Status, short(r.Age), holds)
	}
}

func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func ms(v float64) string {
	if v <= 0 {
		return "unknown"
	}
	if v >= 1000 {
		return fmt.Sprintf("%.3g s", v/1000)
	}
	return fmt.Sprintf("%.3g ms", v)
}
