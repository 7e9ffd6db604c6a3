package otlpmetrics

import (
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Attribute is a key and its value. Numbers and booleans are text. Lists, bytes and texts of more than 1024 bytes are "".
type Attribute struct{ Key, Value string }

// Value returns the value of a key, "" if it is absent.
func Value(attributes []Attribute, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// Point is one data point. The value of a histogram, an exponential histogram or a summary is the number of its measurements.
type Point struct {
	Attributes  []Attribute // valid during the call
	Start, Time uint64      // nanoseconds since 1970; 0: not given
	Value       float64
	Counter     bool // it can only grow
	Delta       bool // Value is the growth since Start
}

// Visitor receives each resource, then its metrics and points.
type Visitor interface {
	Resource(attributes []Attribute)
	// Metric returns whether the points of a metric are visited. scope is the name of its instrumentation scope, points the number
	// of its points.
	Metric(scope, name string, points int) bool
	Point(p Point)
}

// ErrMalformed is the error of a request that is not what it should be.
var ErrMalformed = errors.New("the request is malformed")

// Limits of the attributes of a resource or a point. More of them, and longer texts, are ignored.
const (
	maxAttributes = 128
	maxText       = 1024
)

// Numbers of fields in opentelemetry/proto/metrics/v1/metrics.proto and its neighbours.
const (
	fieldResourceMetrics = 1

	fieldResource     = 1
	fieldScopeMetrics = 2

	fieldResourceAttributes = 1

	fieldScope   = 1
	fieldMetrics = 2

	fieldScopeName = 1

	fieldName                 = 1
	fieldGauge                = 5
	fieldSum                  = 7
	fieldHistogram            = 9
	fieldExponentialHistogram = 10
	fieldSummary              = 11

	fieldPoints      = 1
	fieldTemporality = 2
	fieldMonotonic   = 3

	fieldStart  = 2
	fieldTime   = 3
	fieldDouble = 4 // of a histogram the count
	fieldInt    = 6

	fieldKey         = 1
	fieldValue       = 2
	temporalityDelta = 1
	noRecordedValue  = 1 // flag of a point
)

// pointAttributes and pointFlags are the numbers of two fields of points, which differ by kind.
var (
	pointAttributes = map[protowire.Number]protowire.Number{fieldGauge: 7, fieldSum: 7, fieldHistogram: 9, fieldExponentialHistogram: 1, fieldSummary: 7}
	pointFlags      = map[protowire.Number]protowire.Number{fieldGauge: 8, fieldSum: 8, fieldHistogram: 10, fieldExponentialHistogram: 10, fieldSummary: 8}
)

// field is one field of a message.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte // of a message or text
	bits  uint64 // of a number
}

// each calls f with each field of a message.
func each(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		x := field{num: num, typ: typ}
		switch typ {
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			x.bits, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			x.bits, n = protowire.ConsumeFixed64(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// messages calls f with each message that is a field of that number.
func messages(b []byte, num protowire.Number, f func([]byte) error) error {
	return each(b, func(x field) error {
		if x.num != num || x.typ != protowire.BytesType {
			return nil
		}
		return f(x.bytes)
	})
}

// Proto walks through a request in binary protobuf. After an error, what it visited must not be used.
func Proto(b []byte, v Visitor) error {
	return messages(b, fieldResourceMetrics, func(r []byte) error {
		var attributes []Attribute
		if err := messages(r, fieldResource, func(b []byte) (err error) {
			attributes, err = attributesOf(b, fieldResourceAttributes, attributes)
			return err
		}); err != nil {
			return err
		}
		v.Resource(attributes)
		return messages(r, fieldScopeMetrics, func(b []byte) error {
			scope, err := scopeOf(b)
			if err != nil {
				return err
			}
			return messages(b, fieldMetrics, func(m []byte) error { return metric(m, scope, v) })
		})
	})
}

// scopeOf returns the name of the scope of metrics.
func scopeOf(b []byte) (name string, err error) {
	err = messages(b, fieldScope, func(b []byte) error {
		return messages(b, fieldScopeName, func(b []byte) error { name = text(b); return nil })
	})
	return name, err
}

// metric walks through one metric.
func metric(b []byte, scope string, v Visitor) error {
	var name []byte
	var data field
	if err := each(b, func(x field) error {
		switch {
		case x.typ != protowire.BytesType:
		case x.num == fieldName:
			name = x.bytes
		case pointFlags[x.num] != 0:
			data = x
		}
		return nil
	}); err != nil {
		return err
	}
	points, temporality, monotonic := 0, uint64(0), false
	if err := each(data.bytes, func(x field) error {
		switch {
		case x.num == fieldPoints && x.typ == protowire.BytesType:
			points++
		case x.num == fieldTemporality && x.typ == protowire.VarintType:
			temporality = x.bits
		case x.num == fieldMonotonic && x.typ == protowire.VarintType:
			monotonic = x.bits != 0
		}
		return nil
	}); err != nil {
		return err
	}
	if !utf8.Valid(name) || !v.Metric(scope, string(name), points) {
		return nil
	}
	kind := data.num
	counter := kind != fieldGauge && (kind != fieldSum || monotonic)
	delta := kind != fieldGauge && kind != fieldSummary && temporality == temporalityDelta
	return messages(data.bytes, fieldPoints, func(b []byte) error { return point(b, kind, Point{Counter: counter, Delta: delta}, v) })
}

func point(b []byte, kind protowire.Number, p Point, v Visitor) (err error) {
	given, none := false, false
	flags := pointFlags[kind]
	count := kind != fieldGauge && kind != fieldSum
	if err := each(b, func(x field) error {
		switch {
		case x.num == fieldStart && x.typ == protowire.Fixed64Type:
			p.Start = x.bits
		case x.num == fieldTime && x.typ == protowire.Fixed64Type:
			p.Time = x.bits
		case x.num == fieldDouble && x.typ == protowire.Fixed64Type && count:
			p.Value, given = float64(x.bits), true
		case x.num == fieldDouble && x.typ == protowire.Fixed64Type:
			p.Value, given = math.Float64frombits(x.bits), true
		case x.num == fieldInt && x.typ == protowire.Fixed64Type && !count:
			p.Value, given = float64(int64(x.bits)), true
		case x.num == flags && x.typ == protowire.VarintType:
			none = x.bits&noRecordedValue != 0
		}
		return nil
	}); err != nil {
		return err
	}
	if none || !given && !count { // a count of 0 is not on the wire
		return nil
	}
	if p.Attributes, err = attributesOf(b, pointAttributes[kind], nil); err != nil {
		return err
	}
	v.Point(p)
	return nil
}

// attributesOf appends the attributes in the fields of that number.
func attributesOf(b []byte, num protowire.Number, to []Attribute) ([]Attribute, error) {
	err := messages(b, num, func(b []byte) error {
		var a Attribute
		if err := each(b, func(x field) error {
			if x.typ != protowire.BytesType {
				return nil
			}
			var err error
			switch x.num {
			case fieldKey:
				a.Key = text(x.bytes)
			case fieldValue:
				a.Value, err = anyValue(x.bytes)
			}
			return err
		}); err != nil {
			return err
		}
		if len(to) < maxAttributes {
			to = append(to, a)
		}
		return nil
	})
	return to, err
}

// anyValue returns the text of an AnyValue.
func anyValue(b []byte) (s string, err error) {
	err = each(b, func(x field) error {
		switch {
		case x.num == 1 && x.typ == protowire.BytesType:
			s = text(x.bytes)
		case x.num == 2 && x.typ == protowire.VarintType:
			s = strconv.FormatBool(x.bits != 0)
		case x.num == 3 && x.typ == protowire.VarintType:
			s = strconv.FormatInt(int64(x.bits), 10)
		case x.num == 4 && x.typ == protowire.Fixed64Type:
			s = number(math.Float64frombits(x.bits))
		}
		return nil
	})
	return s, err
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// text returns b, or "" if it is not UTF-8 or too long.
func text(b []byte) string {
	if len(b) > maxText || !utf8.Valid(b) {
		return ""
	}
	return string(b)
}
