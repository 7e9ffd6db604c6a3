package api

import (
	"errors"
	"net/http"

	"github.com/smartlb/smartlb/internal/kafka/admin"
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
	switch admin.FaultOf(err) {
	case admin.FaultMissing:
		r.status, r.hint = http.StatusNotFound, "names are case-sensitive; the resource may have been deleted"
	case admin.FaultExists:
		r.status, r.hint = http.StatusConflict, "choose another name, or use the existing resource"
	case admin.FaultDenied:
		r.status, r.hint = http.StatusForbidden, "an administrator must grant the permissions in deployment/kafka/acls.yaml"
	case admin.FaultState:
		r.status = http.StatusConflict
	case admin.FaultUnavailable:
		r.status, r.hint = http.StatusServiceUnavailable, "smartlb kafka doctor shows the cause"
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
