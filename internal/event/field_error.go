package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	errMissing     = errors.New("missing")
	errInstanceAll = fmt.Errorf("%q stands for all instances and names none", InstanceAll)
)

// fieldError is one error of one field.
type fieldError struct {
	path string
	err  error
}

func (e *fieldError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// at puts a field's name before each of its errors, so that the error text contains the path: metrics.errorRate: ...
func at(name string, err error) error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, at(name, e))
		}
		return errors.Join(all...)
	}
	if inner, ok := err.(*fieldError); ok {
		path := name + "." + inner.path
		if strings.HasPrefix(inner.path, "[") {
			path = name + inner.path
		}
		return &fieldError{path: path, err: inner.err}
	}
	return &fieldError{path: name, err: err}
}

type named struct {
	name string
	err  error
}

func joinFields[T [2]named | [6]named | [7]named | [9]named](fields T) error {
	var bad []error
	for i := range len(fields) {
		if fields[i].err != nil {
			bad = append(bad, at(fields[i].name, fields[i].err))
		}
	}
	return errors.Join(bad...)
}

// maxErrors limits the errors reported for one message. A hostile message could contain a million mistakes.
const maxErrors = 16

func joinMap(bad map[string]error) error {
	var all []error
	for _, err := range bad {
		all = append(all, err)
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(all[:min(len(all), maxErrors)]...)
}
