package event

import (
	"reflect"
	"time"
)

// Statuses of an alert.
const (
	AlertPending  = "pending"
	AlertFiring   = "firing"
	AlertResolved = "resolved"
)

// Severities of an alert.
const (
	SeverityInfo     = "info"
	SeverityWarning  = "warning"
	SeverityCritical = "critical"
)

// Alert is the state of one alert, on topic alerts, keyed by fingerprint. The message with the highest seq of an
// alertId counts.
type Alert struct {
	Fingerprint string            `json:"fingerprint" event:"required"` // rule and labels
	AlertID     string            `json:"alertId" event:"required"`     // fingerprint and startsAt: one occurrence
	RuleID      string            `json:"ruleId" event:"required"`
	Status      string            `json:"status" event:"required,enum=pending|firing|resolved"`
	Severity    string            `json:"severity" event:"required,enum=info|warning|critical"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations Annotations       `json:"annotations,omitzero"`
	Value       Optional          `json:"value,omitzero"`
	Threshold   Optional          `json:"threshold,omitzero"`
	Unit        string            `json:"unit,omitempty"`
	StartsAt    time.Time         `json:"startsAt" event:"required"`
	FiredAt     time.Time         `json:"firedAt,omitzero"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
	UpdatedAt   time.Time         `json:"updatedAt" event:"required"`
	Seq         uint64            `json:"seq" event:"required"`
}

// Annotations are the texts of an alert for people.
type Annotations struct {
	Summary     string `json:"summary,omitempty"`
	Description string `json:"description,omitempty"`
}

// Validate reports every rule that the message breaks, each with its field.
func (a Alert) Validate() error { return validate(reflect.ValueOf(&a).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (a Alert) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return a.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (a Alert) AppendJSON(dst []byte) []byte { return appendObject(dst, reflect.ValueOf(&a).Elem()) }

// DecodeAlert reads a message strictly; the error names every field that breaks a rule.
func DecodeAlert(b []byte) (Alert, error) {
	var a Alert
	if err := decode(b, &a); err != nil {
		return Alert{}, err
	}
	return a, nil
}
