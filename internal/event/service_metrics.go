package event

import (
	"reflect"
	"time"
)

// ServiceMetrics is one report about one instance, on topic service-metrics, in the documented form that users write.
type ServiceMetrics struct {
	Timestamp  time.Time         `json:"timestamp" event:"required"`
	ServiceID  string            `json:"serviceId" event:"required"`
	InstanceID string            `json:"instanceId" event:"required"`
	Address    string            `json:"address,omitempty"` // host:port of the instance, with which it registers itself
	Metrics    Metrics           `json:"metrics" event:"required"`
	Tags       map[string]string `json:"tags,omitempty"`
}

// Metrics are the numbers of one report. At least one is known.
type Metrics struct {
	RPS               Optional `json:"rps,omitzero"`                     // requests per second since the previous report of this reporter
	P95Latency        Optional `json:"p95Latency,omitzero"`              // milliseconds
	ErrorRate         Optional `json:"errorRate,omitzero" event:"ratio"` // failed share of the requests, 0..1
	ActiveConnections Optional `json:"activeConnections,omitzero"`       // requests or connections in progress
	CPUUsage          Optional `json:"cpuUsage,omitzero"`                // 0..1 of what the instance may use; above 1 counts as 1
	MemoryUsage       Optional `json:"memoryUsage,omitzero"`             // 0..1 of what the instance may use; above 1 counts as 1
	Utilization       Optional `json:"utilization,omitzero"`             // 0..1, how busy the instance reports to be; capacity prefers it to cpuUsage
}

// Validate reports every rule that the message breaks, each with its field.
func (m ServiceMetrics) Validate() error { return validate(reflect.ValueOf(&m).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (m ServiceMetrics) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (m ServiceMetrics) AppendJSON(dst []byte) []byte {
	return appendServiceMetrics(dst, &m)
}

// DecodeServiceMetrics reads a message strictly; the error names every field that breaks a rule.
func DecodeServiceMetrics(b []byte) (ServiceMetrics, error) { return decodeServiceMetrics(b) }
