// Package problem is the one form of an error of the HTTP API: a text for people, a stable code for programs, and a hint
// about what to do. The server writes it, and clients decode it into the same type.
package problem

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Problem is the body of every error response, and of every event "problem" of a stream.
type Problem struct {
	Error string `json:"error"`
	Code  Code   `json:"code"`
	Hint  string `json:"hint,omitempty"`
}

// Code says which kind of error occurred. Codes are stable: programs compare them, never the text or the HTTP status.
type Code string

// The codes. api/openapi.yaml lists the same values.
const (
	Invalid         Code = "invalid"         // a parameter or the body is wrong
	Refused         Code = "refused"         // Kafka, or a check of what it would accept, did not accept the request
	Unauthenticated Code = "unauthenticated" // login is required, or the login is wrong
	Forbidden       Code = "forbidden"       // the caller lacks the role, or the issuer refused the login
	ReadOnly        Code = "read-only"       // the server refuses all changes
	OtherOrigin     Code = "other-origin"    // a page of another origin caused the request
	DeniedByKafka   Code = "denied-by-kafka" // the user of the node lacks a permission in Kafka
	NotFound        Code = "not-found"       // the named object does not exist
	NotServed       Code = "not-served"      // the call does not exist, or not on this node
	Conflict        Code = "conflict"        // the current state forbids the change
	TooLarge        Code = "too-large"       // the body exceeds the limit
	NotJSON         Code = "not-json"        // the body is not JSON
	WrongHost       Code = "wrong-host"      // the server does not serve the Host
	Limited         Code = "limited"         // the caller has reached a limit of its own; Retry-After is set
	Busy            Code = "busy"            // all callers together have reached a limit; Retry-After is set
	Unavailable     Code = "unavailable"     // Kafka, Connect or another node does not answer
	Timeout         Code = "timeout"         // the work did not end in time
	Internal        Code = "internal"        // an error of the server
)

type kind struct {
	code   Code
	status int
}

// kinds lists the codes with their HTTP status. The first code of a status stands for a response without a code.
var kinds = []kind{
	{Invalid, http.StatusBadRequest},
	{Refused, http.StatusBadRequest},
	{Unauthenticated, http.StatusUnauthorized},
	{Forbidden, http.StatusForbidden},
	{ReadOnly, http.StatusForbidden},
	{OtherOrigin, http.StatusForbidden},
	{DeniedByKafka, http.StatusForbidden},
	{NotFound, http.StatusNotFound},
	{NotServed, http.StatusNotFound},
	{Conflict, http.StatusConflict},
	{TooLarge, http.StatusRequestEntityTooLarge},
	{NotJSON, http.StatusUnsupportedMediaType},
	{WrongHost, http.StatusMisdirectedRequest},
	{Limited, http.StatusTooManyRequests},
	{Unavailable, http.StatusServiceUnavailable},
	{Busy, http.StatusServiceUnavailable},
	{Timeout, http.StatusServiceUnavailable},
	{Internal, http.StatusInternalServerError},
}

// Codes returns all codes.
func Codes() []Code {
	out := make([]Code, len(kinds))
	for i, k := range kinds {
		out[i] = k.code
	}
	return out
}

// Status returns the HTTP status of a code, 500 for an unknown code.
func (c Code) Status() int {
	if i := slices.IndexFunc(kinds, func(k kind) bool { return k.code == c }); i >= 0 {
		return kinds[i].status
	}
	return http.StatusInternalServerError
}

// OfStatus returns the code of a response whose body has none: it comes from an older node, or from something between
// client and node. A status without a code of its own is Invalid below 500, else Unavailable.
func OfStatus(status int) Code {
	for _, k := range kinds {
		if k.status == status {
			return k.code
		}
	}
	if status >= 400 && status < 500 {
		return Invalid
	}
	return Unavailable
}

// Error is an error with its code and hint. Err must not be nil; an empty hint is omitted.
type Error struct {
	Code Code
	Err  error
	Hint string
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// New returns err with a code and a hint, which may be empty.
func New(code Code, err error, hint string) error { return &Error{Code: code, Err: err, Hint: hint} }

// Errorf returns an error with a code. The format is that of fmt.Errorf.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the code of the outermost Error that err wraps, empty if there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
