package otlpmetrics

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// MaxValues limits the objects and list elements of a request in JSON: each takes up to 200 bytes while it is read. A point with
// five attributes has about 25.
const MaxValues = 500_000

// ErrValues is the error of a request with more than MaxValues.
var ErrValues = errors.New("the request has more than 500000 values; send fewer points at once")

// The JSON of OTLP is that of protobuf: numbers of 64 bits may be text, and names are in camel case.
type (
	jsonRequest struct {
		ResourceMetrics []struct {
			Resource     struct{ Attributes []jsonAttribute }
			ScopeMetrics []struct {
				Scope   struct{ Name string }
				Metrics []jsonMetric
			}
		}
	}
	jsonMetric struct {
		Name                                                 string
		Gauge, Sum, Histogram, ExponentialHistogram, Summary *jsonData
	}
	jsonData struct {
		DataPoints             []jsonPoint
		AggregationTemporality jsonTemporality
		IsMonotonic            bool
	}
	jsonPoint struct {
		Attributes        []jsonAttribute
		StartTimeUnixNano jsonNumber
		TimeUnixNano      jsonNumber
		AsDouble          *jsonNumber
		AsInt             *jsonNumber
		Count             jsonNumber
		Flags             jsonNumber
	}
	jsonAttribute struct {
		Key   string
		Value struct {
			StringValue *string
			BoolValue   *bool
			IntValue    *jsonNumber
			DoubleValue *jsonNumber
		}
	}
)

// jsonNumber is the text of a number, with or without quotes.
type jsonNumber string

func (n *jsonNumber) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" {
		return nil
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil && !errors.Is(err, strconv.ErrRange) { // NaN and Infinity are words of protobuf's JSON
		return ErrMalformed
	}
	*n = jsonNumber(s)
	return nil
}

func (n jsonNumber) float() float64 { f, _ := strconv.ParseFloat(string(n), 64); return f }

func (n jsonNumber) uint() uint64 { u, _ := strconv.ParseUint(string(n), 10, 64); return u }

// jsonTemporality is a number or a word.
type jsonTemporality struct{ delta bool }

func (t *jsonTemporality) UnmarshalJSON(b []byte) error {
	t.delta = string(b) == "1" || string(b) == `"AGGREGATION_TEMPORALITY_DELTA"`
	return nil
}

// JSON walks through a request in JSON. After an error, what it visited must not be used.
func JSON(b []byte, v Visitor) error {
	if bytes.Count(b, []byte("{"))+bytes.Count(b, []byte(",")) > MaxValues {
		return ErrValues
	}
	var r jsonRequest
	if len(bytes.TrimLeft(b, " \t\r\n")) == 0 || bytes.TrimLeft(b, " \t\r\n")[0] != '{' || json.Unmarshal(b, &r) != nil {
		return ErrMalformed
	}
	for i := range r.ResourceMetrics {
		m := &r.ResourceMetrics[i]
		v.Resource(jsonAttributes(m.Resource.Attributes))
		for j := range m.ScopeMetrics {
			scope := text([]byte(m.ScopeMetrics[j].Scope.Name))
			for k := range m.ScopeMetrics[j].Metrics {
				m.ScopeMetrics[j].Metrics[k].walk(scope, v)
			}
		}
	}
	return nil
}

func (m *jsonMetric) walk(scope string, v Visitor) {
	gauge := m.Gauge != nil
	number := gauge || m.Sum != nil
	for _, data := range []*jsonData{m.Gauge, m.Sum, m.Histogram, m.ExponentialHistogram, m.Summary} {
		if data == nil {
			continue
		}
		if !v.Metric(scope, m.Name, len(data.DataPoints)) {
			return
		}
		shape := Point{Counter: !gauge && (m.Sum == nil || data.IsMonotonic), Delta: !gauge && data != m.Summary && data.AggregationTemporality.delta}
		for i := range data.DataPoints {
			data.DataPoints[i].visit(shape, number, v)
		}
		return
	}
	v.Metric(scope, m.Name, 0)
}

func (d *jsonPoint) visit(p Point, number bool, v Visitor) {
	switch {
	case d.Flags.uint()&noRecordedValue != 0:
		return
	case !number:
		p.Value = d.Count.float()
	case d.AsDouble != nil:
		p.Value = d.AsDouble.float()
	case d.AsInt != nil:
		p.Value = d.AsInt.float()
	default:
		return
	}
	p.Start, p.Time, p.Attributes = d.StartTimeUnixNano.uint(), d.TimeUnixNano.uint(), jsonAttributes(d.Attributes)
	v.Point(p)
}

func jsonAttributes(of []jsonAttribute) []Attribute {
	out := make([]Attribute, min(len(of), maxAttributes))
	for i := range out {
		a := &of[i]
		out[i].Key = text([]byte(a.Key))
		switch v := &a.Value; {
		case v.StringValue != nil:
			out[i].Value = text([]byte(*v.StringValue))
		case v.BoolValue != nil:
			out[i].Value = strconv.FormatBool(*v.BoolValue)
		case v.IntValue != nil:
			out[i].Value = string(*v.IntValue)
		case v.DoubleValue != nil:
			out[i].Value = number(v.DoubleValue.float())
		}
	}
	return out
}
