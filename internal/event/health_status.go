package event

import (
	"reflect"
	"time"
)

// Statuses of an instance.
const (
	StatusHealthy   = "HEALTHY"
	StatusDegraded  = "DEGRADED"
	StatusUnhealthy = "UNHEALTHY"
	StatusDraining  = "DRAINING"
)

// HealthStatus is the result of one health check, on topic health-status, in the documented form that users write.
type HealthStatus struct {
	Timestamp    time.Time     `json:"timestamp" event:"required"`
	ServiceID    string        `json:"serviceId" event:"required"`
	InstanceID   string        `json:"instanceId" event:"required"`
	Status       string        `json:"status" event:"required,enum=HEALTHY|DEGRADED|UNHEALTHY|DRAINING"`
	ResponseTime Optional      `json:"responseTime,omitzero"` // milliseconds
	CheckType    string        `json:"checkType" event:"required"`
	Weight       Optional      `json:"weight,omitzero"`   // share of its configured weight that the instance asks for; 1 is all of it
	Address      string        `json:"address,omitempty"` // host:port of the instance, with which it registers itself
	Details      HealthDetails `json:"details,omitzero"`
}

// HealthDetails is the answer of the checked instance.
type HealthDetails struct {
	StatusCode   int    `json:"statusCode,omitempty"`
	ResponseBody string `json:"responseBody,omitempty"`
}

// Validate reports every rule that the message breaks, each with its field.
func (h HealthStatus) Validate() error { return validate(reflect.ValueOf(&h).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (h HealthStatus) Encode() ([]byte, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	return h.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (h HealthStatus) AppendJSON(dst []byte) []byte {
	return appendHealthStatus(dst, &h)
}

// DecodeHealthStatus reads a message strictly; the error names every field that breaks a rule.
func DecodeHealthStatus(b []byte) (HealthStatus, error) { return decodeHealthStatus(b) }
