package readable

import (
	"fmt"
	"math"
	"strconv"
)

const (
	decimals = 3 // for values of 1 or more: requests/s, milliseconds
	small    = 4 // for values from 0.001 to below 1: ratios
	digits   = 3 // significant digits of smaller values
)

// Number returns v with its significant digits: three decimals from 1 on, four decimals below 1, three digits below
// 0.001. Only zero becomes zero. A value that is not finite or has no decimals stays unchanged.
func Number(v float64) float64 {
	size := math.Abs(v)
	switch {
	case size >= 1<<43 || size == 0 || math.IsNaN(v): // from here on a thousandth is below the precision of a float64
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

// Count returns a number with its noun, which has a regular plural: 1 route, 2 routes.
func Count[N int | int64 | uint64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", one, "s")
}
