package readable

import (
	"math"
	"strconv"
)

// AppendNumber appends [Number] of v in the form of JSON: decimal for ordinary magnitudes, otherwise with an exponent.
// v must be finite.
func AppendNumber(dst []byte, v float64) []byte { return appendPlain(dst, Number(v)) }

func appendPlain(dst []byte, v float64) []byte {
	if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// JSON returns valid JSON in which every number with more digits than [Number] keeps is shortened. Strings, whole
// numbers and the rest stay byte for byte. It returns b itself if nothing changes, and never writes to b.
func JSON(b []byte) []byte {
	var out []byte
	done := 0 // length of the part of b that is in out
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			i = afterText(b, i+1)
		case c == '-' || c >= '0' && c <= '9':
			end, long := number(b, i)
			if long {
				if v, err := strconv.ParseFloat(string(b[i:end]), 64); err == nil && Number(v) != v {
					out = AppendNumber(append(out, b[done:i]...), v)
					done = end
				}
			}
			i = end
		default:
			i++
		}
	}
	if out == nil {
		return b
	}
	return append(out, b[done:]...)
}

// afterText returns the index after the string whose first character is at i.
func afterText(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// number returns the index after the number at i, and whether the number has a fraction.
func number(b []byte, i int) (end int, fraction bool) {
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == 'e', c == 'E':
		case c == '.':
			fraction = true
		default:
			return i, fraction
		}
	}
	return i, fraction
}
