package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	optionalType = reflect.TypeFor[Optional]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	bytesType    = reflect.TypeFor[[]byte]()
)

// decode reads one JSON object into dst, a pointer to a message, and validates it. Names must match exactly. The last
// of several equal names counts. null is a wrong type.
func decode(b []byte, dst any) error {
	s := &scanner{b: b}
	bad := s.object(reflect.ValueOf(dst).Elem())
	s.end()
	if s.err != nil {
		return s.err
	}
	return bad
}

// object reads an object into a struct. It returns the errors of the values; a syntax error is in s.err.
func (s *scanner) object(v reflect.Value) error {
	if s.peek() != '{' {
		return s.wrongType("an object")
	}
	fields := fieldsOf(v.Type())
	seen := make([]bool, len(fields))
	bad := make([]error, len(fields))
	for ok := s.open('{', '}'); ok; ok = s.more('}') {
		k := s.key()
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == string(k) })
		if i < 0 {
			s.skip()
			continue
		}
		seen[i] = true
		v.Field(i).SetZero()
		bad[i] = s.value(v.Field(i))
	}
	for i, f := range fields {
		if !seen[i] && f.required {
			bad[i] = errMissing
		}
		if seen[i] && bad[i] == nil {
			bad[i] = f.check(v.Field(i))
		}
		bad[i] = at(f.name, bad[i])
	}
	return errors.Join(append(bad, rules(v))...)
}

// value reads any value into v.
func (s *scanner) value(v reflect.Value) error {
	switch v.Type() {
	case timeType:
		t, err := s.timeValue()
		v.Set(reflect.ValueOf(t))
		return err
	case optionalType:
		n, err := s.numberValue()
		v.Set(reflect.ValueOf(Some(n)))
		return err
	case rawType:
		s.peek()
		start := s.i
		s.skip()
		var compact bytes.Buffer
		if s.err == nil && json.Compact(&compact, s.b[start:s.i]) == nil {
			v.SetBytes(compact.Bytes())
		}
		return nil
	case bytesType:
		text, err := s.stringValue()
		if err != nil {
			return err
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") {
			return errors.New("want base64")
		}
		if len(b) > 0 {
			v.SetBytes(b)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		text, err := s.stringValue()
		v.SetString(text)
		return err
	case reflect.Bool:
		switch s.peek() {
		case 't':
			s.literal("true")
			v.SetBool(true)
		case 'f':
			s.literal("false")
		default:
			return s.wrongType("true or false")
		}
		return nil
	case reflect.Float64:
		n, err := s.numberValue()
		v.SetFloat(n)
		return err
	case reflect.Int, reflect.Int64:
		n, err := s.wholeValue()
		v.SetInt(int64(n))
		return err
	case reflect.Uint64:
		n, err := s.wholeValue()
		v.SetUint(n)
		return err
	case reflect.Struct:
		return s.object(v)
	case reflect.Slice:
		return s.array(v)
	case reflect.Map:
		return s.mapping(v)
	}
	panic("event: no decoder for " + v.Type().String())
}

// wholeValue reads a number without a fraction; 200.0 is accepted, as in JSON Schema.
func (s *scanner) wholeValue() (uint64, error) {
	n, err := s.numberValue()
	if err == nil && n != float64(uint64(n)) {
		return 0, fmt.Errorf("%v is not a whole number", n)
	}
	return uint64(n), err
}

func (s *scanner) array(v reflect.Value) error {
	if s.peek() != '[' {
		return s.wrongType("an array")
	}
	var bad []error
	for ok := s.open('[', ']'); ok; ok = s.more(']') {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := s.value(e); err != nil && len(bad) < maxErrors {
			bad = append(bad, at(fmt.Sprintf("[%d]", v.Len()), err))
		}
		v.Set(reflect.Append(v, e))
	}
	return errors.Join(bad...)
}

func (s *scanner) mapping(v reflect.Value) error {
	if s.peek() != '{' {
		return s.wrongType("an object")
	}
	bad := map[string]error{}
	for ok := s.open('{', '}'); ok; ok = s.more('}') {
		k := string(s.key())
		if s.err != nil {
			break
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := s.value(e); err != nil {
			bad[k] = at(k, err)
		} else {
			delete(bad, k)
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(k), e)
	}
	return joinMap(bad)
}
