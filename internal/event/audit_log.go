package event

import (
	"encoding/json"
	"reflect"
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
	Result         string          `json:"result" event:"required,enum=success|denied|error"`
	Reason         string          `json:"reason,omitempty"`
	Before         json.RawMessage `json:"before,omitempty"`
	After          json.RawMessage `json:"after,omitempty"`
	ConfigRevision string          `json:"configRevision,omitempty"`
	Prev           string          `json:"prev,omitempty"` // SHA-256 of the node's previous record, as it is in the log; absent: a chain begins
}

// Actor is the source of an action: a user, the system, or a client that wrote to Kafka.
type Actor struct {
	Type string `json:"type" event:"required"`
	ID   string `json:"id,omitempty"`
}

// Target is the object of an action.
type Target struct {
	Kind string `json:"kind" event:"required"`
	ID   string `json:"id,omitempty"`
}

// Validate reports every rule that the message breaks, each with its field.
func (a AuditLog) Validate() error { return validate(reflect.ValueOf(&a).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (a AuditLog) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return a.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (a AuditLog) AppendJSON(dst []byte) []byte { return appendObject(dst, reflect.ValueOf(&a).Elem()) }

// DecodeAuditLog reads a message strictly; the error names every field that breaks a rule.
func DecodeAuditLog(b []byte) (AuditLog, error) {
	var a AuditLog
	if err := decode(b, &a); err != nil {
		return AuditLog{}, err
	}
	return a, nil
}
