package event

import (
	"encoding/json"
	"time"
)

// Results of an audited action.
const (
	ResultSuccess = "success"
	ResultDenied  = "denied"
	ResultError   = "error"
)

// AuditLog is one admin action, on topic audit-logs, keyed by node.
type AuditLog struct {
	AuditID        string          `json:"auditId" event:"required"`
	Timestamp      time.Time       `json:"timestamp" event:"required"`
	Node           string          `json:"node" event:"required"`
	Seq            uint64          `json:"seq" event:"required"`
	Actor          Actor           `json:"actor" event:"required"`
	Action         string          `json:"action" event:"required"` // verb.object
	Target         Target          `json:"target,omitzero"`
	Result         string          `json:"result" event:"required"`
	Reason         string          `json:"reason,omitempty"`
	Before         json.RawMessage `json:"before,omitempty"`
	After          json.RawMessage `json:"after,omitempty"`
	ConfigRevision string          `json:"configRevision,omitempty"`
}

// Actor is who acted: a user, the system, or whoever wrote to Kafka.
type Actor struct {
	Type string `json:"type" event:"required"`
	ID   string `json:"id,omitempty"`
}

// Target is what was acted upon.
type Target struct {
	Kind string `json:"kind" event:"required"`
	ID   string `json:"id,omitempty"`
}
