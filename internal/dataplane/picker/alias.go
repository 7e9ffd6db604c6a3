package picker

import "math/rand/v2"

// alias draws an index with probability proportional to its weight, in constant time: Walker's method with Vose's
// construction (A Linear Algorithm for Generating Random Numbers with a Given Distribution, IEEE TSE 1991). A column
// returns its own index with probability prob, otherwise other.
type alias []column

type column struct {
	prob  float32
	other int32
}

// newAlias builds the table in O(n). It never draws weights that are not positive, unless no weight is positive: then
// all weights count as equal.
func newAlias(weights []float64) alias {
	n := len(weights)
	t := make(alias, n)
	var sum float64
	for _, w := range weights {
		sum += max(w, 0)
	}
	scaled := make([]float64, n)
	small, large := make([]int32, 0, n), make([]int32, 0, n)
	for i, w := range weights {
		scaled[i] = 1
		if sum > 0 {
			scaled[i] = max(w, 0) / sum * float64(n)
		}
		if scaled[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		t[s] = column{prob: float32(scaled[s]), other: l}
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range large {
		t[i] = column{prob: 1, other: i}
	}
	for _, i := range small { // rounding left these slightly below 1
		t[i] = column{prob: 1, other: i}
	}
	return t
}

// draw uses one random number both for the column and for the choice within the column.
func (t alias) draw(r *rand.PCG) int {
	u := r.Uint64()
	i := int((u >> 32) * uint64(len(t)) >> 32)
	if float32(u&(1<<24-1))/(1<<24) < t[i].prob {
		return i
	}
	return int(t[i].other)
}
