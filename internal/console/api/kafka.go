package api

import (
	"errors"
	"net/http"

	"github.com/smartlb/smartlb/internal/kafka/ops"
)

// refusal is an error with its status and what to do about it.
type refusal struct {
	error
	status int
	hint   string
}

func (r refusal) Unwrap() error { return r.error }

// ofKafka gives an error of the cluster its status and a hint; nil stays nil.
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

// asked is the answer of the cluster to a handler.
func asked[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, ofKafka(err)
	}
	return v, nil
}
