package promtext

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Limits of a page.
const (
	MaxPage   = 32 << 20 // bytes
	MaxSeries = 100_000  // that match; more can only be a mistake or an attack
	maxLine   = 64 << 10 // bytes
	maxLabels = 128      // of one series
	maxValue  = 1e15     // of a series; no instance counts more
)

// Errors of a page as a whole.
var (
	ErrLarge  = fmt.Errorf("the page is larger than %d MiB", MaxPage>>20)
	ErrLine   = fmt.Errorf("a line is longer than %d KiB", maxLine>>10)
	ErrSeries = fmt.Errorf("more than %d series match", MaxSeries)
)

// Value is a number of a page. Known is false if no series matched.
type Value struct {
	V     float64
	Known bool
}

// Read returns the value of each expression. Series without a usable number (NaN, infinite, above 1e15) are left out. A
// quotient whose divisor is unknown or not above 0 is unknown. After an error, the values are nil. Read blocks as long as r
// does.
func Read(r io.Reader, exprs []Expr) ([]Value, error) {
	sums := make([]sum, 0, 2*len(exprs))
	for i := range exprs {
		sums = append(sums, sum{of: &exprs[i].Of}, sum{of: exprs[i].By})
	}
	limited := &io.LimitedReader{R: r, N: MaxPage + 1}
	in := bufio.NewReaderSize(limited, maxLine)
	var labels []label
	series := 0
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case limited.N == 0:
			return nil, ErrLarge
		case err == bufio.ErrBufferFull:
			return nil, ErrLine
		case err != nil && err != io.EOF:
			return nil, err
		}
		added, bad := 0, error(nil)
		if labels, added, bad = add(sums, bytes.TrimSpace(line), labels[:0]); bad != nil {
			return nil, fmt.Errorf("line %d: %w", n, bad)
		}
		if series += added; series > MaxSeries {
			return nil, ErrSeries
		}
		if err == io.EOF {
			break
		}
	}
	out := make([]Value, len(exprs))
	for i := range exprs {
		out[i] = exprs[i].Value(sums[2*i].Value, sums[2*i+1].Value)
	}
	return out, nil
}

type sum struct {
	of *Selector
	Value
}

// Value returns the value of an expression by the sums of its two selectors.
func (e *Expr) Value(of, by Value) Value {
	div := e.Div
	if e.By != nil {
		div = by.V
	}
	if v := of.V / div; of.Known && div > 0 && !math.IsInf(v, 0) {
		return Value{v, true}
	}
	return Value{}
}

// Add adds the value of a series to a sum. A value that is not usable (NaN, infinite, above 1e15) changes nothing.
func (v *Value) Add(series float64) {
	if math.Abs(series) <= maxValue { // false for NaN
		v.V, v.Known = v.V+series, true
	}
}

var errValue = errors.New("want a number after the series")

// add adds the series of a line to each sum that it matches.
func add(sums []sum, line []byte, labels []label) (_ []label, added int, err error) {
	if len(line) == 0 || line[0] == '#' {
		return labels, 0, nil
	}
	end := 0
	for end < len(line) && isName(line[end], end == 0, true) {
		end++
	}
	name, parsed, value := line[:end], false, 0.0
	for i := range sums {
		s := &sums[i]
		if s.of == nil || string(name) != s.of.Name {
			continue
		}
		if !parsed {
			rest := line[end:]
			if labels, rest, err = splitLabels(rest, labels); err != nil {
				return labels, 0, err
			}
			if value, err = sample(rest); err != nil {
				return labels, 0, err
			}
			parsed = true
		}
		if s.of.matches(labels) {
			added = 1
			s.Add(value)
		}
	}
	return labels, added, nil
}

// sample reads the value, which a timestamp may follow.
func sample(rest []byte) (float64, error) {
	rest = bytes.TrimLeft(rest, " \t")
	if i := bytes.IndexAny(rest, " \t"); i >= 0 {
		rest = rest[:i]
	}
	v, err := strconv.ParseFloat(string(rest), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errValue
	}
	return v, nil
}

// splitLabels reads {a="b",c="d"} at the beginning of a line's rest, if it is there.
func splitLabels(line []byte, labels []label) ([]label, []byte, error) {
	line = bytes.TrimLeft(line, " \t")
	if len(line) == 0 || line[0] != '{' {
		return labels, line, nil
	}
	line = line[1:]
	for {
		line = bytes.TrimLeft(line, " \t,")
		if len(line) > 0 && line[0] == '}' {
			return labels, line[1:], nil
		}
		end := 0
		for end < len(line) && isName(line[end], end == 0, false) {
			end++
		}
		name := line[:end]
		line = bytes.TrimLeft(line[end:], " \t")
		if end == 0 || len(line) == 0 || line[0] != '=' {
			return labels, nil, errLabels
		}
		line = bytes.TrimLeft(line[1:], " \t")
		value, rest, ok := quoted(line)
		if !ok || len(labels) == maxLabels {
			return labels, nil, errLabels
		}
		labels, line = append(labels, label{name, value}), rest
	}
}

// quoted returns the text between quotes at the beginning, with its escapes.
func quoted(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// unescape resolves \\, \" and \n.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
			switch b[i] {
			case 'n':
				out = append(out, '\n')
				continue
			case '\\', '"':
			default:
				out = append(out, '\\')
			}
		}
		out = append(out, b[i])
	}
	return out
}
