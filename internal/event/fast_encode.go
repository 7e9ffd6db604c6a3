package event

import (
	"slices"
	"strconv"
)

// The messages that are written per second and per request are encoded by hand; a test holds these functions
// against appendObject.

func appendServiceMetrics(dst []byte, m *ServiceMetrics) []byte {
	dst = append(dst, `{"timestamp":`...)
	dst = appendTime(dst, m.Timestamp)
	dst = appendText(dst, `,"serviceId":`, m.ServiceID)
	dst = appendText(dst, `,"instanceId":`, m.InstanceID)
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

func appendText(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	return appendString(dst, value)
}

// appendComma separates from what was written since open.
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
