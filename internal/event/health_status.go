package event

import "time"

// Statuses of an instance.
const (
	StatusHealthy   = "HEALTHY"
	StatusDegraded  = "DEGRADED"
	StatusUnhealthy = "UNHEALTHY"
	StatusDraining  = "DRAINING"
)

// HealthStatus is the result of one health check, on topic health-status: the seed's message.
type HealthStatus struct {
	Timestamp    time.Time     `json:"timestamp" event:"required"`
	ServiceID    string        `json:"serviceId" event:"required"`
	InstanceID   string        `json:"instanceId" event:"required"`
	Status       string        `json:"status" event:"required"`
	ResponseTime Optional      `json:"responseTime,omitzero"` // milliseconds
	CheckType    string        `json:"checkType" event:"required"`
	Details      HealthDetails `json:"details,omitzero"`
}

// HealthDetails is what the checked instance answered.
type HealthDetails struct {
	StatusCode   int    `json:"statusCode,omitempty"`
	ResponseBody string `json:"responseBody,omitempty"`
}
