package readable

import (
	"math"
	"strconv"
)

// AppendNumber writes [Number] of v as JSON does: decimal for ordinary
// magnitudes, with an exponent for the rest. v must be finite.
func AppendNumber(dst []byte, v float64) []byte { return appendPlain(dst, Number(v)) }

func appendPlain(dst []byte, v float64) []byte {
	if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// JSON gives valid JSON with every number that has more digits than [Number]
// leaves it shortened. Texts, whole numbers and the rest stay byte for byte; b
// itself is given back where nothing changes, and is never written to.
func JSON(b []byte) []byte {
	var out []byte
	done := 0 // so much of b is in out
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

// afterText gives where the string ends whose first character is at i.
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

// number gives where the number at i ends, and whether it has a fraction.
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
