package event

import (
	"slices"
	"strconv"
	"time"
)

// Messages that are written every second or for every request have hand-written encoders. A test compares these
// functions with appendObject.

func appendServiceMetrics(dst []byte, m *ServiceMetrics) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendTime(dst, m.Timestamp)
	dst = appendText(dst, `,"serviceId":`, m.ServiceID)
	dst = appendText(dst, `,"instanceId":`, m.InstanceID)
	if m.Address != "" {
		dst = appendText(dst, `,"address":`, m.Address)
	}
	dst = append(dst, `,"metrics":{`...)
	open := len(dst)
	dst = appendOptional(dst, open, `"rps":`, m.Metrics.RPS)
	dst = appendOptional(dst, open, `"p95Latency":`, m.Metrics.P95Latency)
	dst = appendOptional(dst, open, `"errorRate":`, m.Metrics.ErrorRate)
	dst = appendOptional(dst, open, `"activeConnections":`, m.Metrics.ActiveConnections)
	dst = appendOptional(dst, open, `"cpuUsage":`, m.Metrics.CPUUsage)
	dst = appendOptional(dst, open, `"memoryUsage":`, m.Metrics.MemoryUsage)
	dst = appendOptional(dst, open, `"utilization":`, m.Metrics.Utilization)
	dst = append(dst, '}')
	if len(m.Tags) > 0 {
		dst = append(dst, `,"tags":`...)
		dst = appendTags(dst, m.Tags)
	}
	return append(dst, '}')
}

func appendHealthStatus(dst []byte, h *HealthStatus) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendTime(dst, h.Timestamp)
	dst = appendText(dst, `,"serviceId":`, h.ServiceID)
	dst = appendText(dst, `,"instanceId":`, h.InstanceID)
	dst = appendText(dst, `,"status":`, h.Status)
	dst = appendOptional(dst, 0, `"responseTime":`, h.ResponseTime)
	dst = appendText(dst, `,"checkType":`, h.CheckType)
	dst = appendOptional(dst, 0, `"weight":`, h.Weight)
	if h.Address != "" {
		dst = appendText(dst, `,"address":`, h.Address)
	}
	if h.Details != (HealthDetails{}) {
		dst = append(dst, `,"details":{`...)
		open := len(dst)
		dst = appendWhole(dst, open, `"statusCode":`, h.Details.StatusCode)
		if h.Details.ResponseBody != "" {
			dst = appendComma(dst, open)
			dst = appendText(dst, `"responseBody":`, h.Details.ResponseBody)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendRoutingDecision(dst []byte, d *RoutingDecision) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendTime(dst, d.Timestamp)
	dst = appendText(dst, `,"node":`, d.Node)
	dst = appendText(dst, `,"kind":`, d.Kind)
	dst = appendUnlessEmpty(dst, `,"requestId":`, d.RequestID)
	dst = appendText(dst, `,"serviceId":`, d.ServiceID)
	dst = appendUnlessEmpty(dst, `,"route":`, d.Route)
	dst = appendUnlessEmpty(dst, `,"policy":`, d.Policy)
	dst = appendUnlessEmpty(dst, `,"configRevision":`, d.ConfigRevision)
	if d.PoolRevision != 0 {
		dst = append(dst, `,"poolRevision":`...)
		dst = strconv.AppendUint(dst, d.PoolRevision, 10)
	}
	dst = appendTrue(dst, 0, `"panic":true`, d.Panic)
	dst = appendWhole(dst, 0, `"attempt":`, d.Attempt)
	dst = appendUnlessEmpty(dst, `,"why":`, d.Why)
	for i := range d.Candidates {
		dst = append(dst, listStart(i, `,"candidates":[`)...)
		dst = appendCandidate(dst, &d.Candidates[i])
	}
	if len(d.Candidates) > 0 {
		dst = append(dst, ']')
	}
	for i := range d.Excluded {
		dst = append(dst, listStart(i, `,"excluded":[`)...)
		dst = appendExclusion(dst, &d.Excluded[i])
	}
	if len(d.Excluded) > 0 {
		dst = append(dst, ']')
	}
	dst = appendUnlessEmpty(dst, `,"instanceId":`, d.InstanceID)
	dst = appendUnlessEmpty(dst, `,"reason":`, d.Reason)
	if d.Outcome != (Outcome{}) {
		dst = append(dst, `,"outcome":{`...)
		dst = append(appendOutcome(dst, &d.Outcome), '}')
	}
	if d.Change != (StandingChange{}) {
		dst = append(dst, `,"change":`...)
		dst = appendStandingChange(dst, &d.Change)
	}
	return append(dst, '}')
}

// listStart returns the text before item i of a list.
func listStart(i int, open string) string {
	if i > 0 {
		return ","
	}
	return open
}

func appendCandidate(dst []byte, c *Candidate) []byte {
	dst = appendText(dst, `{"instanceId":`, c.InstanceID)
	dst = appendFloat(dst, `,"cost":`, c.Cost)
	dst = append(dst, `,"inFlight":`...)
	dst = strconv.AppendInt(dst, c.InFlight, 10)
	dst = appendOptional(dst, 0, `"latencyMs":`, c.LatencyMs)
	dst = appendFloat(dst, `,"latencyFactor":`, c.LatencyFactor)
	dst = appendFloat(dst, `,"errorRate":`, c.ErrorRate)
	dst = appendOptional(dst, 0, `"fleetErrorRate":`, c.FleetErrorRate)
	dst = appendOptional(dst, 0, `"capacity":`, c.Capacity)
	dst = appendFloat(dst, `,"weight":`, c.Weight)
	dst = appendUnlessEmpty(dst, `,"distance":`, c.Distance)
	dst = appendFloat(dst, `,"slowStart":`, c.SlowStart)
	dst = appendFloat(dst, `,"silence":`, c.Silence)
	dst = appendFloat(dst, `,"trust":`, c.Trust)
	dst = appendOptional(dst, 0, `"ageMs":`, c.AgeMs)
	return append(dst, '}')
}

func appendExclusion(dst []byte, e *Exclusion) []byte {
	dst = appendText(dst, `{"instanceId":`, e.InstanceID)
	dst = appendText(dst, `,"reason":`, e.Reason)
	dst = appendInstant(dst, `,"until":`, e.Until)
	return append(dst, '}')
}

func appendOutcome(dst []byte, o *Outcome) []byte {
	open := len(dst)
	dst = appendWhole(dst, open, `"status":`, o.Status)
	if o.Failure != "" {
		dst = appendComma(dst, open)
		dst = appendText(dst, `"failure":`, o.Failure)
	}
	dst = appendTrue(dst, open, `"sent":true`, o.Sent)
	dst = appendOptional(dst, open, `"headMs":`, o.HeadMs)
	dst = appendOptional(dst, open, `"totalMs":`, o.TotalMs)
	return appendTrue(dst, open, `"retried":true`, o.Retried)
}

func appendStandingChange(dst []byte, c *StandingChange) []byte {
	dst = appendText(dst, `{"instanceId":`, c.InstanceID)
	dst = appendUnlessEmpty(dst, `,"from":`, c.From)
	dst = appendText(dst, `,"to":`, c.To)
	dst = appendUnlessEmpty(dst, `,"reason":`, c.Reason)
	dst = appendInstant(dst, `,"until":`, c.Until)
	return append(dst, '}')
}

// appendUnlessEmpty omits an empty text.
func appendUnlessEmpty(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendText(dst, name, value)
}

func appendFloat(dst []byte, name string, v float64) []byte {
	dst = append(dst, name...)
	return appendFinite(dst, v)
}

func appendInstant(dst []byte, name string, t time.Time) []byte {
	if t == (time.Time{}) {
		return dst
	}
	dst = append(dst, name...)
	return appendTime(dst, t)
}

// appendTrue appends field if yes is true.
func appendTrue(dst []byte, open int, field string, yes bool) []byte {
	if !yes {
		return dst
	}
	dst = appendComma(dst, open)
	return append(dst, field...)
}

func appendText(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	return appendString(dst, value)
}

// appendComma appends a comma if anything was appended since open.
func appendComma(dst []byte, open int) []byte {
	if len(dst) > open {
		return append(dst, ',')
	}
	return dst
}

func appendOptional(dst []byte, open int, name string, o Optional) []byte {
	if !o.Set {
		return dst
	}
	dst = appendComma(dst, open)
	dst = append(dst, name...)
	return appendFinite(dst, o.Value)
}

func appendWhole(dst []byte, open int, name string, v int) []byte {
	if v == 0 {
		return dst
	}
	dst = appendComma(dst, open)
	dst = append(dst, name...)
	return strconv.AppendInt(dst, int64(v), 10)
}

func appendTags(dst []byte, tags map[string]string) []byte {
	var few [8]string
	keys := few[:0]
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, k)
		dst = append(dst, ':')
		dst = appendString(dst, tags[k])
	}
	return append(dst, '}')
}
