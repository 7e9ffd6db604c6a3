package event

import (
	"reflect"
	"time"
)

// RateLimits is the report of one process every second about the limits that all nodes share, on topic smartlb-rate-limits,
// keyed by node. All nodes compute the same shares from the order of these records (package shares).
type RateLimits struct {
	Timestamp time.Time    `json:"timestamp" event:"required"`
	Node      string       `json:"node" event:"required"`
	Process   string       `json:"process" event:"required"`  // random: during an upgrade, two processes of a node serve
	Sequence  int64        `json:"sequence" event:"required"` // of the records of the process, from 1
	Limits    []LimitClaim `json:"limits" event:"required"`
}

// LimitClaim is the part of a limit that a process needs.
type LimitClaim struct {
	Limit  string  `json:"limit" event:"required"`  // route/NAME/LIMIT or service/ID/LIMIT
	Demand float64 `json:"demand" event:"required"` // requests per second, also those that were refused
	Want   int64   `json:"want" event:"required"`   // millionths of the limit
}

// Validate reports every rule that the message breaks, each with its field.
func (r RateLimits) Validate() error { return validate(reflect.ValueOf(&r).Elem()) }

// Encode returns the JSON form, or the error of Validate.
func (r RateLimits) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r.AppendJSON(nil), nil
}

// AppendJSON appends the JSON form of a valid message to dst.
func (r RateLimits) AppendJSON(dst []byte) []byte {
	return appendObject(dst, reflect.ValueOf(&r).Elem())
}

// DecodeRateLimits reads a message strictly; the error names every field that breaks a rule.
func DecodeRateLimits(b []byte) (RateLimits, error) {
	var r RateLimits
	if err := decode(b, &r); err != nil {
		return RateLimits{}, err
	}
	return r, nil
}
