package event

import (
	"errors"
	"strconv"
)

// Optional is a number that may be unknown. The zero value is unknown and, with the omitzero option, absent from
// the JSON form.
type Optional struct {
	Value float64
	Set   bool
}

// Some returns a known number.
func Some(v float64) Optional { return Optional{Value: v, Set: true} }

// IsZero reports whether the number is unknown. encoding/json calls it for omitzero.
func (o Optional) IsZero() bool { return !o.Set }

// Or returns the number, or otherwise if it is unknown.
func (o Optional) Or(otherwise float64) float64 {
	if o.Set {
		return o.Value
	}
	return otherwise
}

// MarshalJSON encodes the number. An unknown number is null; fields carry omitzero, so it is absent instead.
func (o Optional) MarshalJSON() ([]byte, error) {
	if !o.Set {
		return []byte("null"), nil
	}
	if !finite(o.Value) {
		return nil, errors.New("number is not finite")
	}
	return appendNumber(nil, o.Value), nil
}

// UnmarshalJSON reads a number; null means unknown. Decode functions do not use it, because they refuse null.
func (o *Optional) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*o = Optional{}
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return err
	}
	*o = Some(v)
	return nil
}
