package event

import (
	"reflect"
	"time"
)

// Kinds of routing-decisions messages.
const (
	KindDecision = "decision" // one request was routed
	KindChange   = "change"   // the set of instances that the picker may choose changed
)

// Reasons to record a decision.
const (
	WhySample   = "sample"
	WhyError    = "error"
	WhyRetry    = "retry"
	WhyEjection = "ejection"
	WhyPanic    = "panic"
)

// RoutingDecision describes how one attempt of one request was routed, or how an instance's standing changed, on topic
// routing-decisions.
type RoutingDecision struct {
	Timestamp      time.Time      `json:"timestamp" event:"required"`
	Node           string         `json:"node" event:"required"`
	Kind           string         `json:"kind" event:"required,enum=decision|change"`
	RequestID      string         `json:"requestId,omitempty"`
	ServiceID      string         `json:"serviceId" event:"required"`
	Route          string         `json:"route,omitempty"`
	Policy         string         `json:"policy,omitempty"`
	ConfigRevision string         `json:"configRevision,omitempty"`
	PoolRevision   uint64         `json:"poolRevision,omitempty"`
	Panic          bool           `json:"panic,omitempty"`
	Attempt        int            `json:"attempt,omitempty"` // 1 is the first
	Why            string         `json:"why,omitempty"`
	Candidates     []Candidate    `json:"candidates,omitempty"`
	Excluded       []Exclusion    `json:"excluded,omitempty"`
	InstanceID     string         `json:"instanceId,omitempty"` // the chosen instance; empty: none could be chosen
	Reason         string         `json:"reason,omitempty"`     // why it was chosen: lowest-cost, only, panic, tie, ...
	Outcome        Outcome        `json:"outcome,omitzero"`
	Change         StandingChange `json:"change,omitzero"`
}

// Candidate is one compared instance with every part of its cost.
type Candidate struct {
	InstanceID     string   `json:"instanceId" event:"required"`
	Cost           float64  `json:"cost"`
	InFlight       int64    `json:"inFlight"`
	LatencyMs      Optional `json:"latencyMs,omitzero"`
	LatencyFactor  float64  `json:"latencyFactor"`
	ErrorRate      float64  `json:"errorRate" event:"ratio"`
	FleetErrorRate Optional `json:"fleetErrorRate,omitzero" event:"ratio"`
	Capacity       Optional `json:"capacity,omitzero"`  // relative to the pool's mean
	Weight         float64  `json:"weight"`             // with another zone's part or cost
	Distance       string   `json:"distance,omitempty"` // zone or region: it is in another one than the node
	SlowStart      float64  `json:"slowStart" event:"ratio"`
	Silence        float64  `json:"silence"`
	Trust          float64  `json:"trust" event:"ratio"`
	AgeMs          Optional `json:"ageMs,omitzero"` // age of the facts from Kafka
}

// Exclusion is one instance that could not be chosen.
type Exclusion struct {
	InstanceID string    `json:"instanceId" event:"required"`
	Reason     string    `json:"reason" event:"required"`
	Until      time.Time `json:"until,omitzero"`
}

// Outcome is the result of the attempt.
type Outcome struct {
	Status  int      `json:"status,omitempty"`  // HTTP status of the response; absent if there was no response
	Failure string   `json:"failure,omitempty"` // connect, timeout, reset, ...; empty: none
	Sent    bool     `json:"sent,omitempty"`    // the instance may have received the request
	HeadMs  Optional `json:"headMs,omitzero"`   // until the response head
	TotalMs Optional `json:"totalMs,omitzero"`  // until the last byte
	Retried bool     `json:"retried,omitempty"`
}

// StandingChange is a change of an instance's standing in the pool.
type StandingChange struct {
	InstanceID string    `json:"instanceId" event:"required"`
	From       string    `json:"from,omitempty"`
	To         string    `json:"to" event:"required"`
	Reason     string    `json:"reason,omitempty"`
	Until      time.Time `json:"until,omitzero"`
}

// Validate reports every rule that the message breaks, each with its field.
func (d RoutingDecision) Validate() error { return validate(reflect.ValueOf(&d).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (d RoutingDecision) Encode() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (d RoutingDecision) AppendJSON(dst []byte) []byte {
	return appendRoutingDecision(dst, &d)
}

// DecodeRoutingDecision reads a message strictly; the error names every field that breaks a rule.
func DecodeRoutingDecision(b []byte) (RoutingDecision, error) {
	var d RoutingDecision
	if err := decode(b, &d); err != nil {
		return RoutingDecision{}, err
	}
	return d, nil
}
