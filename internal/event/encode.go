package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/smartlb/smartlb/internal/base/readable"
)

// appendObject appends a struct as JSON according to its tags: times in UTC, maps sorted by key, bytes in base64.
func appendObject(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '{')
	first := true
	for i, f := range fieldsOf(v.Type()) {
		fv := v.Field(i)
		if f.omit && isEmpty(fv) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, f.name...)
		dst = append(dst, '"', ':')
		if v, ok := fv.Interface().(Optional); ok && f.exact {
			dst = appendExact(dst, v.Value)
			continue
		}
		dst = appendValue(dst, fv)
	}
	return append(dst, '}')
}

func isEmpty(v reflect.Value) bool {
	if k := v.Kind(); k == reflect.Map || k == reflect.Slice {
		return v.Len() == 0
	}
	return v.IsZero()
}

func appendValue(dst []byte, v reflect.Value) []byte {
	switch v.Type() {
	case timeType:
		return appendTime(dst, v.Interface().(time.Time))
	case optionalType:
		return appendFinite(dst, v.Interface().(Optional).Value)
	case rawType:
		var b bytes.Buffer
		if json.Compact(&b, v.Bytes()) != nil {
			return append(dst, "null"...)
		}
		return append(dst, b.Bytes()...)
	case bytesType:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"')
	}
	switch v.Kind() {
	case reflect.String:
		return appendString(dst, v.String())
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Float64:
		return appendFinite(dst, v.Float())
	case reflect.Int, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10)
	case reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10)
	case reflect.Struct:
		return appendObject(dst, v)
	case reflect.Slice:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, v.Index(i))
		}
		return append(dst, ']')
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, k.String())
			dst = append(dst, ':')
			dst = appendValue(dst, v.MapIndex(k))
		}
		return append(dst, '}')
	}
	panic("event: no encoder for " + v.Type().String())
}

// appendTime appends a time with milliseconds. The clocks of two machines do not agree more precisely.
func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().Truncate(time.Millisecond).AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendFinite appends a measured number with its significant digits. A number that is not finite becomes null; no
// valid message contains such a number.
func appendFinite(dst []byte, v float64) []byte {
	if !finite(v) {
		return append(dst, "null"...)
	}
	return readable.AppendNumber(dst, v)
}

// appendExact appends a number that a person chose, without rounding.
func appendExact(dst []byte, v float64) []byte {
	if !finite(v) {
		return append(dst, "null"...)
	}
	return appendNumber(dst, v)
}

// appendString appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c == '\n':
				dst = append(dst, '\\', 'n')
			case c == '\r':
				dst = append(dst, '\\', 'r')
			case c == '\t':
				dst = append(dst, '\\', 't')
			case c < ' ':
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				dst = append(dst, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return append(dst, '"')
}
