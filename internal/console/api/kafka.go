package api

import (
	"errors"
	"net/http"

	"github.com/smartlb/smartlb/internal/kafka/ops"
)

// refusal is an error with its HTTP status and a hint.
type refusal struct {
	error
	status int
	hint   string
}

func (r refusal) Unwrap() error { return r.error }

// ofKafka adds an HTTP status and a hint to an error of the cluster; nil stays nil.
func ofKafka(err error) error {
	var known refusal
	if err == nil || errors.As(err, &known) {
		return err
	}
	r := refusal{error: err, status: http.StatusBadRequest}
	switch ops.FaultOf(err) {
	case ops.FaultMissing:
		r.status, r.hint = http.StatusNotFound, "names are case-sensitive; it may have been deleted meanwhile"
	case ops.FaultExists:
		r.status, r.hint = http.StatusConflict, "choose another name, or use the one that is there"
	case ops.FaultDenied:
		r.status, r.hint = http.StatusForbidden, "an administrator grants what deployment/kafka/acls.yaml lists"
	case ops.FaultState:
		r.status = http.StatusConflict
	case ops.FaultUnavailable:
		r.status, r.hint = http.StatusServiceUnavailable, "smartlb kafka doctor says what is wrong"
	}
	return r
}

// asked returns v, or err through ofKafka, as the result of a handler.
func asked[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, ofKafka(err)
	}
	return v, nil
}
