package readable

import (
	"math"
	"strconv"
)

const (
	decimals = 3 // of what is 1 or more: requests/s, milliseconds
	small    = 4 // of what is less: ratios
	digits   = 3 // that stay of what is smaller still
)

// Number gives v with the digits that say something: three decimals from 1
// on, four below, three digits below 0.001, so that nothing but zero becomes
// zero. What is not finite, or has no decimals, stays as it is.
func Number(v float64) float64 {
	size := math.Abs(v)
	switch {
	case size >= 1<<43 || size == 0 || math.IsNaN(v): // from here on a thousandth is less than a float64 tells apart
		return v
	case size >= 1:
		return round(v, decimals)
	case size >= 0.001:
		return round(v, small)
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return short
}

func round(v float64, places int) float64 {
	unit := math.Pow10(places)
	return math.Round(v*unit) / unit
}
