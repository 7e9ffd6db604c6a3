package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxIDLength limits required strings, in characters. These are names, keys and labels.
const maxIDLength = 256

// field holds the tags of a struct field.
//
//	json:"name,omitempty"                 its name, and that it is omitted when empty
//	event:"required,ratio,enum=a|b|c"      must be present; is 0..1; is one of these words
type field struct {
	name     string
	omit     bool
	required bool
	ratio    bool // 0..1
	long     bool // a required string without a limit
	exact    bool // a person chose the number: it is not rounded
	enum     []string
}

// plans holds the fields of each type that was used; the tags are read once.
var plans sync.Map // reflect.Type -> []field

// fieldsOf returns the fields of a struct type, in their order. The result must not be changed.
func fieldsOf(t reflect.Type) []field {
	if known, ok := plans.Load(t); ok {
		return known.([]field)
	}
	fields := make([]field, t.NumField())
	for i := range fields {
		fields[i] = fieldOf(t.Field(i))
	}
	plans.Store(t, fields)
	return fields
}

func fieldOf(f reflect.StructField) field {
	name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
	out := field{name: name, omit: option != ""}
	for rest := f.Tag.Get("event"); rest != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, ",")
		switch {
		case word == "required":
			out.required = true
		case word == "ratio":
			out.ratio = true
		case word == "long":
			out.long = true
		case word == "exact":
			out.exact = true
		case strings.HasPrefix(word, "enum="):
			out.enum = strings.Split(word[len("enum="):], "|")
		default:
			panic("event: unknown tag " + word)
		}
	}
	return out
}

// validate checks a whole message, a struct.
func validate(v reflect.Value) error {
	var bad []error
	for i, f := range fieldsOf(v.Type()) {
		fv := v.Field(i)
		if !f.required && fv.IsZero() {
			continue
		}
		err := f.check(fv)
		if err == nil {
			err = validateInside(fv)
		}
		bad = append(bad, at(f.name, err))
	}
	return errors.Join(append(bad, rules(v))...)
}

func validateInside(v reflect.Value) error {
	switch {
	case v.Type() == timeType || v.Type() == optionalType:
		return nil
	case v.Kind() == reflect.Struct:
		return validate(v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		var bad []error
		for i := range v.Len() {
			bad = append(bad, at(fmt.Sprintf("[%d]", i), validate(v.Index(i))))
		}
		return errors.Join(bad...)
	}
	return nil
}

// check applies the rules of the tags to a value that is present.
func (f field) check(v reflect.Value) error {
	switch v.Type() {
	case timeType:
		return checkTime(v.Interface().(time.Time))
	case optionalType:
		o := v.Interface().(Optional)
		if !o.Set {
			return nil
		}
		return f.checkNumber(o.Value)
	case rawType:
		if !json.Valid(v.Bytes()) {
			return errors.New("not JSON")
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		return f.checkString(v.String())
	case reflect.Float64:
		return f.checkNumber(v.Float())
	case reflect.Int, reflect.Int64:
		return f.checkNumber(float64(v.Int()))
	case reflect.Uint64:
		return f.checkNumber(float64(v.Uint()))
	}
	return nil
}

func (f field) checkNumber(v float64) error {
	switch {
	case !finite(v):
		return errors.New("not finite")
	case v < 0:
		return fmt.Errorf("%v is negative", v)
	case v > maxNumber:
		return fmt.Errorf("%v is out of range", v)
	case f.ratio && v > 1:
		return fmt.Errorf("%v is above 1", v)
	}
	return nil
}

func (f field) checkString(v string) error {
	switch {
	case !utf8.ValidString(v):
		return errors.New("not UTF-8")
	case f.enum != nil && !slices.Contains(f.enum, v):
		return fmt.Errorf("%q is none of %s", clip([]byte(v)), strings.Join(f.enum, ", "))
	case f.required && v == "":
		return errMissing
	case f.required && !f.long && len(v) > maxIDLength && utf8.RuneCountInString(v) > maxIDLength:
		return fmt.Errorf("longer than %d characters", maxIDLength)
	}
	return nil
}

// rules calls the struct's method that checks rules for several fields, if it has one.
func rules(v reflect.Value) error {
	if r, ok := v.Addr().Interface().(interface{ rules() error }); ok {
		return r.rules()
	}
	return nil
}
