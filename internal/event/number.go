package event

import (
	"math"
	"strconv"
)

// maxNumber bounds every number of every message: beyond it there is no meaning, only overflow.
const maxNumber = 1e15

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// appendNumber writes v as encoding/json does: decimal for ordinary magnitudes, exponent for the rest.
func appendNumber(dst []byte, v float64) []byte {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}
