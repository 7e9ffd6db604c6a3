package event

import (
	"reflect"
	"time"
)

// HealthScore is the analyzer's verdict on one instance, on topic health-scores, keyed by serviceId. It is not decayed
// by age: readers compare asOf and periodMs with their own clock. The message with the highest seq of an instance
// counts.
type HealthScore struct {
	ServiceID   string            `json:"serviceId" event:"required"`
	InstanceID  string            `json:"instanceId" event:"required"`
	Timestamp   time.Time         `json:"timestamp" event:"required"`
	Score       float64           `json:"score" event:"required,ratio"` // 0..1
	Raw         Optional          `json:"raw,omitzero" event:"ratio"`   // before smoothing and shrinking
	Subscores   Subscores         `json:"subscores,omitzero"`
	Capacity    Optional          `json:"capacity,omitzero"`                  // good requests per second at full utilization
	ErrorRate   Optional          `json:"errorRate,omitzero" event:"ratio"`   // over all proxies
	Utilization Optional          `json:"utilization,omitzero" event:"ratio"` // from self-reports
	P95Latency  Optional          `json:"p95Latency,omitzero"`
	RPS         Optional          `json:"rps,omitzero"`
	Confidence  float64           `json:"confidence" event:"ratio"`                                        // 0..1
	Samples     float64           `json:"samples"`                                                         // requests on which the score is based
	State       string            `json:"state" event:"required,enum=HEALTHY|DEGRADED|UNHEALTHY|DRAINING"` // HEALTHY, DEGRADED, UNHEALTHY, DRAINING
	Reasons     []string          `json:"reasons,omitempty"`
	Ignored     map[string]uint64 `json:"ignored,omitempty"`     // reports not used in the last minute, by reason
	AsOf        time.Time         `json:"asOf" event:"required"` // time of the latest report on which the score is based
	PeriodMs    float64           `json:"periodMs"`              // observed period of the reports, 1000..60000
	Estimate    CapacityEstimate  `json:"estimate,omitzero"`
	Seq         uint64            `json:"seq" event:"required"`
}

// CapacityEstimate is how many requests per second an instance can carry, and how far this may be trusted. Capacity, the
// quotient of the latest reports, is another number: the picker shares requests by it.
type CapacityEstimate struct {
	Load       Optional `json:"load,omitzero"`                                                         // requests per second from all proxies, over the latest ten seconds; absent: unknown
	RPS        Optional `json:"rps,omitzero"`                                                          // requests per second that it can carry; absent: unknown
	Bound      string   `json:"bound,omitempty" event:"enum=utilization|cpu|latency|concurrency|seen"` // what limits it; seen: a lower bound
	Confidence string   `json:"confidence,omitempty" event:"enum=none|low|medium|high"`
	Reason     string   `json:"reason,omitempty"` // why the confidence is not higher, or why the capacity is unknown
}

// Subscores are the factors of a score, each 0..1.
type Subscores struct {
	Errors      Optional `json:"errors,omitzero" event:"ratio"`
	Latency     Optional `json:"latency,omitzero" event:"ratio"`
	Utilization Optional `json:"utilization,omitzero" event:"ratio"`
}

// Reasons why a report is not used.
const (
	IgnoredLate          = "late"
	IgnoredDuplicate     = "duplicate"
	IgnoredFutureClamped = "future-clamped" // used, but with the analyzer's time
	IgnoredNonConforming = "non-conforming"
)

// Validate reports every rule that the message breaks, each with its field.
func (s HealthScore) Validate() error { return validate(reflect.ValueOf(&s).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (s HealthScore) Encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (s HealthScore) AppendJSON(dst []byte) []byte {
	return appendObject(dst, reflect.ValueOf(&s).Elem())
}

// DecodeHealthScore reads a message strictly; the error names every field that breaks a rule.
func DecodeHealthScore(b []byte) (HealthScore, error) {
	var s HealthScore
	if err := decode(b, &s); err != nil {
		return HealthScore{}, err
	}
	return s, nil
}
