package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
)

// Bounds of parsed JSON values. [] takes 2 bytes in a message and twenty times as many in memory.
const (
	maxDepth  = 200     // nesting of lists and objects
	maxValues = 100_000 // names, values, lists and objects
)

// document returns the form of a value that expressions use: its JSON content, else its text, else its bytes. Numbers
// are int64, uint64 or float64, whichever is exact. The error is for JSON beyond the bounds.
func document(b []byte) (any, error) {
	if b == nil {
		return types.NullValue, nil
	}
	if err := withinBounds(b); err != nil {
		if json.Valid(b) {
			return nil, err
		}
		return textOrNull(b), nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var doc any
	if d.Decode(&doc) != nil || len(bytes.Trim(b[d.InputOffset():], " \t\r\n")) > 0 {
		return textOrNull(b), nil
	}
	if doc == nil {
		return types.NullValue, nil
	}
	doc, ok := exact(doc)
	if !ok {
		return textOrNull(b), nil
	}
	return doc, nil
}

// withinBounds checks the brackets and commas of b without parsing it.
func withinBounds(b []byte) error {
	depth, values, quoted := 0, 1, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if quoted {
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		}
		switch c {
		case '"':
			quoted = true
		case '{', '[':
			values++
			if depth++; depth > maxDepth {
				return fmt.Errorf("the value is nested deeper than %d", maxDepth)
			}
		case '}', ']':
			depth--
		case ',', ':':
			if values++; values > maxValues {
				return fmt.Errorf("the value has more than %d parts", maxValues)
			}
		}
	}
	return nil
}

// exact replaces the numbers of a document. ok is false if a number is too large for a double.
func exact(v any) (out any, ok bool) {
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i := range v {
			if v[i], ok = exact(v[i]); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], ok = exact(v[name]); !ok {
				return nil, false
			}
		}
	}
	return v, true
}

// number parses a JSON number: an integer if it is written as an integer and has at most 64 bits, else a double.
func number(s string) (any, bool) {
	if isInteger(s) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, true
		}
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			return n, true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// isInteger reports whether a number is written without point and exponent.
func isInteger(s string) bool { return !strings.ContainsAny(s, ".eE") }

// compareNumbers compares two of int64, uint64 and float64 exactly: it does not round an integer to a double. ok is
// false if one of them is not a number.
func compareNumbers(x, y any) (c int, ok bool) {
	if a, isInt := x.(int64); isInt {
		if b, isInt := y.(int64); isInt {
			switch {
			case a < b:
				return -1, true
			case a > b:
				return 1, true
			}
			return 0, true
		}
	}
	a, b := precise(x), precise(y)
	if a == nil || b == nil {
		return 0, false
	}
	return a.Cmp(b), true
}

// precise returns a number with all its digits; nil for other values.
func precise(v any) *big.Float {
	switch v := v.(type) {
	case int64:
		return new(big.Float).SetInt64(v)
	case uint64:
		return new(big.Float).SetUint64(v)
	case float64: // never NaN: JSON does not have it
		return big.NewFloat(v)
	}
	return nil
}
