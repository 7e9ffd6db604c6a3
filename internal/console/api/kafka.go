package api

import (
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// ofKafka adds a code and a hint to an error of the cluster; nil stays nil.
func ofKafka(err error) error {
	if err == nil || problem.CodeOf(err) != "" {
		return err
	}
	code, hint := problem.Refused, ""
	switch admin.FaultOf(err) {
	case admin.FaultMissing:
		code, hint = problem.NotFound, "names are case-sensitive; the resource may have been deleted"
	case admin.FaultExists:
		code, hint = problem.Conflict, "choose another name, or use the existing resource"
	case admin.FaultDenied:
		code, hint = problem.DeniedByKafka, "an administrator must grant the permissions in deployment/kafka/acls.yaml"
	case admin.FaultState:
		code = problem.Conflict
	case admin.FaultUnavailable:
		code, hint = problem.Unavailable, "smartlb kafka doctor shows the cause"
	}
	return problem.New(code, err, hint)
}

// asked returns v, or err through ofKafka, as the result of a handler.
func asked[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, ofKafka(err)
	}
	return v, nil
}
