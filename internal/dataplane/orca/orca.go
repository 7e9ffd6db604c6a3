package orca

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Names of the fields that hold a report, in lower case.
const (
	Header       = "endpoint-load-metrics"
	HeaderBinary = "endpoint-load-metrics-bin"
)

// MaxBytes is the length of the longest value that Parse and ParseBinary read. A report with a hundred named metrics has
// about 4 KB.
const MaxBytes = 8 << 10

// Fields says which numbers a report has.
type Fields uint8

// The numbers of a report that have a meaning for a balancer.
const (
	CPU Fields = 1 << iota
	Memory
	Application
	RPS
	EPS
	numFields = iota
)

// names are the names of the numbers in TEXT and JSON, by the position of their bit.
var names = [numFields]string{"cpu_utilization", "mem_utilization", "application_utilization", "rps_fractional", "eps"}

// jsonNames are the names that the JSON form of protobuf writes.
var jsonNames = [numFields]string{"cpuUtilization", "memUtilization", "applicationUtilization", "rpsFractional", "eps"}

// Report is one load report. Numbers without their bit in Has are 0. The zero value reports nothing.
type Report struct {
	CPU         float64 // used share of the CPU; more than 1 is possible
	Memory      float64 // used share of the memory
	Application float64 // used share of what limits the instance, by its own definition; more than 1 is possible
	RPS         float64 // requests per second of the instance
	EPS         float64 // failed requests per second of the instance
	Has         Fields
}

// Utilization returns how busy the instance is, 0..1: its application utilization if that is more than 0, else its CPU
// (gRPC proposal A58). A value above 1 is 1. ok is false if the report has neither.
func (r Report) Utilization() (u float64, ok bool) {
	if r.Application > 0 {
		return min(r.Application, 1), true
	}
	return min(r.CPU, 1), r.Has&(CPU|Application) != 0
}

// Reasons for which a report is refused as a whole.
var (
	ErrLarge     = errors.New("longer than 8192 bytes")
	ErrFormat    = errors.New("want TEXT, JSON or BIN, a blank, and the report")
	ErrText      = errors.New("TEXT: want name=value or name:value, separated by commas")
	ErrJSON      = errors.New("JSON: want one object with numbers")
	ErrBase64    = errors.New("binary: not base64")
	ErrProto     = errors.New("binary: not an OrcaLoadReport")
	ErrNumber    = errors.New("a number is negative, infinite, above 1e15 or not a number")
	ErrDuplicate = errors.New("a number occurs twice")
)

// maxNumber bounds every number: no instance has so many requests per second.
const maxNumber = 1e15

// Parse reads the value of Header. It skips named metrics, request costs and names that it does not know. It allocates
// nothing for TEXT and BIN, and it never blocks. The error is one of the Err variables; the report is then empty.
func Parse(v []byte) (Report, error) {
	if len(v) > MaxBytes {
		return Report{}, ErrLarge
	}
	form, body, _ := bytes.Cut(v, []byte(" "))
	switch string(form) {
	case "TEXT":
		return parseText(body)
	case "JSON":
		return parseJSON(body)
	case "BIN":
		return ParseBinary(bytes.TrimSpace(body))
	}
	return Report{}, ErrFormat
}

// set stores a number at the position of its bit.
func (r *Report) set(at int, v float64) error {
	bit := Fields(1) << at
	if r.Has&bit != 0 {
		return ErrDuplicate
	}
	if !(v >= 0 && v <= maxNumber) {
		return ErrNumber
	}
	r.Has |= bit
	*r.number(at) = v + 0 // -0 becomes 0
	return nil
}

func (r *Report) number(at int) *float64 {
	return [numFields]*float64{&r.CPU, &r.Memory, &r.Application, &r.RPS, &r.EPS}[at]
}

func parseText(list []byte) (r Report, err error) {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte(","))
		if item = bytes.TrimSpace(item); len(item) == 0 {
			continue
		}
		i := bytes.IndexAny(item, "=:")
		if i <= 0 {
			return Report{}, ErrText
		}
		v, err := number(bytes.TrimSpace(item[i+1:]))
		if err != nil {
			return Report{}, err
		}
		if at := find(&names, bytes.TrimSpace(item[:i])); at >= 0 {
			if err := r.set(at, v); err != nil {
				return Report{}, err
			}
		}
	}
	return r, nil
}

func find(list *[numFields]string, name []byte) int {
	for i := range list {
		if string(name) == list[i] {
			return i
		}
	}
	return -1
}

// number reads a decimal number. strconv alone would also read hexadecimal digits and "inf".
func number(b []byte) (float64, error) {
	if len(b) == 0 || len(b) > 64 {
		return 0, ErrNumber
	}
	for _, c := range b {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, ErrNumber
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, ErrNumber
	}
	return v, nil
}

func parseJSON(b []byte) (r Report, err error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(b, &object) != nil || object == nil {
		return Report{}, ErrJSON
	}
	for name, raw := range object {
		at := find(&names, []byte(name))
		if at < 0 {
			at = find(&jsonNames, []byte(name))
		}
		if at < 0 || string(raw) == "null" { // null is an absent number in the JSON form of protobuf
			continue
		}
		if n := len(raw); n >= 2 && raw[0] == '"' { // so is a number in quotes
			raw = raw[1 : n-1]
		}
		v, err := number(raw)
		if err != nil {
			return Report{}, err
		}
		if err := r.set(at, v); err != nil {
			return Report{}, err
		}
	}
	return r, nil
}

// Numbers of the fields in xds.data.orca.v3.OrcaLoadReport, by the position of their bit. rps counts whole requests and is
// older than rps_fractional.
var protoFields = [numFields]protowire.Number{1, 2, 9, 6, 7}

const protoRPS protowire.Number = 3

// ParseBinary reads the value of HeaderBinary. It is like Parse.
func ParseBinary(v []byte) (Report, error) {
	if len(v) > MaxBytes {
		return Report{}, ErrLarge
	}
	v = bytes.TrimRight(v, "=") // gRPC sends both forms
	var buf [MaxBytes]byte
	n, err := base64.RawStdEncoding.Decode(buf[:], v)
	if err != nil {
		return Report{}, ErrBase64
	}
	return ParseMessage(buf[:n])
}

// ParseMessage reads the protobuf message of a report. It is like Parse.
func ParseMessage(b []byte) (r Report, err error) {
	if len(b) > MaxBytes {
		return Report{}, ErrLarge
	}
	var whole float64
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return Report{}, ErrProto
		}
		b = b[n:]
		at := -1
		for i, f := range protoFields {
			if f == field && kind == protowire.Fixed64Type {
				at = i
			}
		}
		switch {
		case at >= 0:
			var bits uint64
			if bits, n = protowire.ConsumeFixed64(b); n < 0 {
				return Report{}, ErrProto
			}
			r.Has &^= 1 << at // the last one counts
			if err := r.set(at, math.Float64frombits(bits)); err != nil {
				return Report{}, err
			}
		case field == protoRPS && kind == protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(b); n < 0 {
				return Report{}, ErrProto
			}
			whole = float64(v)
		default:
			if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
				return Report{}, ErrProto
			}
		}
		b = b[n:]
	}
	if whole > 0 && r.Has&RPS == 0 {
		if err := r.set(3, whole); err != nil {
			return Report{}, err
		}
	}
	return r, nil
}
