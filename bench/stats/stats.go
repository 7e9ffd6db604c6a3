package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Quantile gives the q-quantile of values, linear between the two neighbours
// (type 7 of Hyndman and Fan 1996, the default of R). It sorts values in place;
// NaN for none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	at := q * float64(len(values)-1)
	low := int(at)
	if low+1 >= len(values) {
		return values[len(values)-1]
	}
	return values[low] + (at-float64(low))*(values[low+1]-values[low])
}

// Summary is a median with its range.
type Summary struct {
	Median, Min, Max float64
	N                int
}

// Summarize does not change values.
func Summarize(values []float64) Summary {
	v := slices.Clone(values)
	if len(v) == 0 {
		return Summary{Median: math.NaN(), Min: math.NaN(), Max: math.NaN()}
	}
	median := Quantile(v, .5)
	return Summary{Median: median, Min: v[0], Max: v[len(v)-1], N: len(v)}
}

// PairedRatios divides values of the same round: what disturbed both cancels.
func PairedRatios(values, base []float64) []float64 {
	out := make([]float64, 0, len(values))
	for i := range min(len(values), len(base)) {
		out = append(out, values[i]/base[i])
	}
	return out
}

// Schedule gives the intended send times of a Poisson process of rate per
// second over span, from its start. The times depend on rnd alone: a slow
// answer never delays the next request, and every contender gets the same.
func Schedule(rnd *rand.Rand, rate float64, span time.Duration) []time.Duration {
	var out []time.Duration
	for at := 0.0; ; {
		at += rnd.ExpFloat64() / rate
		t := time.Duration(at * float64(time.Second))
		if t >= span {
			return out
		}
		out = append(out, t)
	}
}

// Lognormal is a service time by its mean and coefficient of variation.
type Lognormal struct{ Mean, CV float64 }

func (l Lognormal) sigma() float64 { return math.Sqrt(math.Log(1 + l.CV*l.CV)) }

// Draw gives one value.
func (l Lognormal) Draw(rnd *rand.Rand) float64 {
	s := l.sigma()
	return l.Mean * math.Exp(s*rnd.NormFloat64()-s*s/2)
}

// CDF is the share of values up to x.
func (l Lognormal) CDF(x float64) float64 {
	if x <= 0 {
		return 0
	}
	s := l.sigma()
	return .5 * math.Erfc(-(math.Log(x/l.Mean)+s*s/2)/(s*math.Sqrt2))
}

// Waited is one answered request: how much longer than its service time it
// took, and the mean of the distribution its service time was drawn from.
type Waited struct{ Wait, Mean float64 }

// RB99 gives the p99 of latency with each request's own service time
// integrated out: the t at which the mean over requests of P(S <= t - wait) is
// .99, S drawn anew from the request's own distribution. By the theorem of Rao
// and Blackwell its variance is below that of the plain p99, because the luck
// of the service times, the greater part of it, is gone; what the balancer
// chose and how long requests queued stays. cv is of all service times. NaN for
// no requests.
func RB99(all []Waited, cv float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	low, high := 0.0, 1.0
	at := func(t float64) float64 {
		sum := 0.0
		for _, w := range all {
			sum += Lognormal{w.Mean, cv}.CDF(t - w.Wait)
		}
		return sum / float64(len(all))
	}
	for at(high) < .99 {
		high *= 2
	}
	for range 40 { // to 2^-40 of the range
		if mid := (low + high) / 2; at(mid) < .99 {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}
