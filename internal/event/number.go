package event

import (
	"math"
	"strconv"
)

// maxNumber limits every number of every message. It is the largest whole number that all JSON readers read alike (RFC
// 7493 §2.2).
const maxNumber = 1<<53 - 1

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// appendNumber appends v as encoding/json does: decimal for ordinary magnitudes, otherwise with an exponent.
func appendNumber(dst []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}
