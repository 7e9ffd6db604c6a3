package report

import (
	"encoding/json"
	"math"
	"time"
)

// Report holds the measurements since the previous report. An unknown value is nil, never 0.
type Report struct {
	Time       time.Time
	ServiceID  string
	InstanceID string
	Address    string // host:port of an instance that registers itself, else empty
	Tags       map[string]string

	Span     time.Duration // since the previous report
	Requests uint64        // requests that ended within Span
	Errors   uint64        // failed requests among Requests
	Active   int64         // requests in progress now

	// Latencies is the distribution of the latencies of successful requests, in ascending order. Each value is
	// within 1 % of the true latencies. Failed requests are excluded, because a fast failure is not a fast response.
	Latencies []Bucket

	CPU         *float64 // share of the CPU that the process may use, 0..1
	Memory      *float64 // share of the memory that the process may use, 0..1
	Utilization *float64 // the mean of Config.Utilization since the previous report, 0..1
}

// Bucket is a number of requests with about the same latency.
type Bucket struct {
	Ms    float64
	Count uint64
}

// RPS returns requests per second.
func (r *Report) RPS() float64 { return float64(r.Requests) / r.Span.Seconds() }

// ErrorRate returns the share of failed requests, 0..1, or nil without requests.
func (r *Report) ErrorRate() *float64 {
	if r.Requests == 0 {
		return nil
	}
	rate := float64(r.Errors) / float64(r.Requests)
	return &rate
}

// P95 returns the 95th percentile of the latencies in milliseconds, or nil without latencies.
func (r *Report) P95() *float64 {
	var total uint64
	for _, b := range r.Latencies {
		total += b.Count
	}
	if total == 0 {
		return nil
	}
	rank := uint64(0.95 * float64(total-1))
	for _, b := range r.Latencies {
		if rank < b.Count {
			return &b.Ms
		}
		rank -= b.Count
	}
	panic("report: rank beyond the total")
}

// decimals rounds v to n decimals: more digits carry no information and fill the log.
func decimals(v *float64, n int) *float64 {
	if v == nil {
		return nil
	}
	scale := math.Pow10(n)
	r := math.Round(*v*scale) / scale
	return &r
}

// rounded returns the values of r as they are published: rates and milliseconds with three decimals, ratios with four.
// The error rate has six decimals, because readers compute the number of failed requests from it.
func (r *Report) rounded() (rps float64, p95, errorRate, cpu, memory, utilization *float64) {
	v := r.RPS()
	return *decimals(&v, 3), decimals(r.P95(), 3), decimals(r.ErrorRate(), 6), decimals(r.CPU, 4), decimals(r.Memory, 4), decimals(r.Utilization, 4)
}

// MarshalJSON returns the value of a service-metrics message, for custom publishers.
func (r *Report) MarshalJSON() ([]byte, error) {
	type metrics struct {
		RPS               float64  `json:"rps"`
		P95Latency        *float64 `json:"p95Latency,omitempty"`
		ErrorRate         *float64 `json:"errorRate,omitempty"`
		ActiveConnections int64    `json:"activeConnections"`
		CPUUsage          *float64 `json:"cpuUsage,omitempty"`
		MemoryUsage       *float64 `json:"memoryUsage,omitempty"`
		Utilization       *float64 `json:"utilization,omitempty"`
	}
	rps, p95, errorRate, cpu, memory, utilization := r.rounded()
	return json.Marshal(struct {
		Timestamp  time.Time         `json:"timestamp"`
		ServiceID  string            `json:"serviceId"`
		InstanceID string            `json:"instanceId"`
		Address    string            `json:"address,omitempty"`
		Metrics    metrics           `json:"metrics"`
		Tags       map[string]string `json:"tags,omitempty"`
	}{
		r.Time.UTC().Truncate(time.Millisecond), r.ServiceID, r.InstanceID, r.Address,
		metrics{rps, p95, errorRate, max(r.Active, 0), cpu, memory, utilization}, r.Tags,
	})
}
