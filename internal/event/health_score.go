package event

import "time"

// HealthScore is what the analyzer thinks of one instance, on topic health-scores, keyed by serviceId. It is not
// decayed by age: readers compare asOf and periodMs with their own clock. The highest seq of an instance counts.
type HealthScore struct {
	ServiceID   string            `json:"serviceId" event:"required"`
	InstanceID  string            `json:"instanceId" event:"required"`
	Timestamp   time.Time         `json:"timestamp" event:"required"`
	Score       float64           `json:"score" event:"required"` // 0..1
	Raw         Optional          `json:"raw,omitzero"`           // before smoothing and shrinking
	Subscores   Subscores         `json:"subscores,omitzero"`
	Capacity    Optional          `json:"capacity,omitzero"`    // good requests per second at full utilization
	ErrorRate   Optional          `json:"errorRate,omitzero"`   // fleet-wide
	Utilization Optional          `json:"utilization,omitzero"` // from self-reports
	P95Latency  Optional          `json:"p95Latency,omitzero"`
	RPS         Optional          `json:"rps,omitzero"`
	Confidence  float64           `json:"confidence"`             // 0..1
	Samples     float64           `json:"samples"`                // requests behind it
	State       string            `json:"state" event:"required"` // HEALTHY, DEGRADED, UNHEALTHY, DRAINING
	Reasons     []string          `json:"reasons,omitempty"`
	Ignored     map[string]uint64 `json:"ignored,omitempty"`     // reports not used in the last minute, by reason
	AsOf        time.Time         `json:"asOf" event:"required"` // time of the newest report behind it
	PeriodMs    float64           `json:"periodMs"`              // observed period of the reports, 1000..60000
	Seq         uint64            `json:"seq" event:"required"`
}

// Subscores are the factors of a score, each 0..1.
type Subscores struct {
	Errors      Optional `json:"errors,omitzero"`
	Latency     Optional `json:"latency,omitzero"`
	Utilization Optional `json:"utilization,omitzero"`
}

// Reasons why a report is not used.
const (
	IgnoredLate          = "late"
	IgnoredDuplicate     = "duplicate"
	IgnoredFutureClamped = "future-clamped" // used, but with the analyzer's time
	IgnoredNonConforming = "non-conforming"
)
