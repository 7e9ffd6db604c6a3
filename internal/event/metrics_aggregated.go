package event

import (
	"reflect"
	"time"
)

// Sources of a p95.
const (
	P95FromSketch = "sketch" // merged sketches: a true quantile of all requests
	P95FromMax    = "max"    // the highest reported p95: an upper bound
	P95FromMixed  = "mixed"  // the highest of the merged sketch and the reports without a sketch
)

// SketchDDSketch is the only sketch type.
const SketchDDSketch = "ddsketch"

// MetricsAggregated is one window of one instance, or of a whole service (instanceId InstanceAll), on topic
// metrics-aggregated. The message with the highest revision of (serviceId, instanceId, windowSec, windowStart) counts.
type MetricsAggregated struct {
	ServiceID         string            `json:"serviceId" event:"required"`
	InstanceID        string            `json:"instanceId" event:"required"`
	WindowStart       time.Time         `json:"windowStart" event:"required"`
	WindowEnd         time.Time         `json:"windowEnd" event:"required"`
	WindowSec         int               `json:"windowSec" event:"required"`
	Revision          uint64            `json:"revision" event:"required"`
	Final             bool              `json:"final" event:"required"`
	Samples           int               `json:"samples" event:"required"` // reports
	Requests          Optional          `json:"requests,omitzero"`
	Errors            Optional          `json:"errors,omitzero"`
	ErrorRate         Optional          `json:"errorRate,omitzero" event:"ratio"` // errors/requests
	RPS               Optional          `json:"rps,omitzero"`                     // requests over the window's length
	Latency           Latency           `json:"latency,omitzero"`
	ActiveConnections Gauge             `json:"activeConnections,omitzero"`
	CPU               Gauge             `json:"cpu,omitzero"`
	Memory            Gauge             `json:"mem,omitzero"`
	Utilization       Gauge             `json:"utilization,omitzero"`
	Coverage          Optional          `json:"coverage,omitzero" event:"ratio"` // reported share of the window, 0..1
	LateDropped       uint64            `json:"lateDropped,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	Sources           []string          `json:"sources,omitempty"` // proxy, self
}

// Latency is a window's latency, in milliseconds. Min, max, sum and all quantiles except p95 are known only from
// sketches.
type Latency struct {
	Count      Optional `json:"count,omitzero"`
	Sum        Optional `json:"sum,omitzero"`
	Min        Optional `json:"min,omitzero"`
	Max        Optional `json:"max,omitzero"`
	P50        Optional `json:"p50,omitzero"`
	P90        Optional `json:"p90,omitzero"`
	P95        Optional `json:"p95,omitzero"`
	P99        Optional `json:"p99,omitzero"`
	Sketch     []byte   `json:"sketch,omitempty"` // base64 in JSON
	SketchType string   `json:"sketchType,omitempty" event:"enum=ddsketch"`
	Alpha      Optional `json:"alpha,omitzero"`
	P95Source  string   `json:"p95Source,omitempty" event:"enum=sketch|max|mixed"`
}

// Gauge is a level over a window.
type Gauge struct {
	Last Optional `json:"last,omitzero"`
	Max  Optional `json:"max,omitzero"`
	Avg  Optional `json:"avg,omitzero"`
}

// Validate reports every rule that the message breaks, each with its field.
func (m MetricsAggregated) Validate() error { return validate(reflect.ValueOf(&m).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (m MetricsAggregated) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (m MetricsAggregated) AppendJSON(dst []byte) []byte {
	return appendObject(dst, reflect.ValueOf(&m).Elem())
}

// DecodeMetricsAggregated reads a message strictly; the error names every field that breaks a rule.
func DecodeMetricsAggregated(b []byte) (MetricsAggregated, error) {
	var m MetricsAggregated
	if err := decode(b, &m); err != nil {
		return MetricsAggregated{}, err
	}
	return m, nil
}
