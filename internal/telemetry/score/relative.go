package score

import (
	"math"
	"slices"
)

// Sample holds the data of one instance over the last Window. Numbers that are not finite, or negative, count as
// unknown, so that no input can produce a NaN score.
type Sample struct {
	Requests    float64
	Errors      float64
	P95Ms       float64 // 0: unknown
	Utilization float64 // its reported utilization or its CPU usage
	Memory      float64
	Gate        float64 // limit from health checks: 1 healthy or unknown, 0.5 degraded, 0 unhealthy or draining
}

// Factors are the parts of a raw score, each 0..1.
type Factors struct {
	Errors, Latency, Utilization float64
}

// Raw returns the product of the factors, so that any factor can make the score 0. Latency and utilization count less,
// because they are weaker signs of a problem than errors.
func (f Factors) Raw() float64 {
	return f.Errors * math.Pow(f.Latency, 0.7) * math.Sqrt(f.Utilization)
}

const (
	priorWeight   = 20   // requests for which the error rate of the other instances counts, against small samples
	toleratedRate = .005 // error rate that is ignored
	halvingRate   = .05  // each 5 points of error rate above the tolerated rate halve the factor
	minSpread     = 0.18 // of ln(p95) between healthy instances, measured on identical instances
	minPeers      = 3    // with fewer instances an outlier cannot be identified
	minRequests   = 20   // with fewer requests a p95 is random
	freeZ         = 2    // deviations that are ignored
	worstLatency  = 0.05
	busy          = 0.7 // utilization from which on queues grow fast (M/M/1: waiting grows as 1/(1-u))
	worstBusy     = 0.1
	fullMemory    = 0.9 // memory usage below is ignored, because caches fill memory
)

// Rate computes the factors of all instances of one service. The result does not depend on the order or the scale of
// the samples: permuting them permutes it, and multiplying all latencies by one number changes nothing.
func Rate(pool []Sample) []Factors {
	pool = slices.Clone(pool)
	for i := range pool {
		pool[i] = cleaned(pool[i])
	}
	me := median(collect(pool, func(s Sample) (float64, bool) { return s.Errors / s.Requests, s.Requests > 0 }))
	logs := collect(pool, func(s Sample) (float64, bool) { return math.Log(s.P95Ms), s.P95Ms > 0 && s.Requests >= minRequests })
	ml := median(logs)
	mad := median(collect(pool, func(s Sample) (float64, bool) {
		return math.Abs(math.Log(s.P95Ms) - ml), s.P95Ms > 0 && s.Requests >= minRequests
	}))
	out := make([]Factors, len(pool))
	for i, s := range pool {
		out[i] = Factors{Errors: ErrorFactor(s.Requests, s.Errors, me), Latency: 1, Utilization: UtilizationFactor(max(s.Utilization, overfull(s.Memory)))}
		if len(logs) >= minPeers && s.P95Ms > 0 {
			out[i].Latency = LatencyFactor(s.Requests, math.Log(s.P95Ms), ml, mad)
		}
	}
	return out
}

func overfull(memory float64) float64 {
	if memory > fullMemory {
		return memory
	}
	return 0
}

// ErrorFactor rates e errors in n requests if the median instance of the service has error rate me.
//
// A Beta prior of 20 requests pulls the rate to that of the other instances. Only the part counts that exceeds the
// tolerated rate by more than two standard errors; each 5 points of it halve the factor. The factor never rises with e.
func ErrorFactor(n, e, me float64) float64 {
	if n <= 0 {
		return 1
	}
	rate := (e + priorWeight*me) / (n + priorWeight)
	tolerated := max(toleratedRate, me)
	se := math.Sqrt(max(tolerated*(1-tolerated), 1e-4) / n)
	return math.Exp2(-max(0, rate-tolerated-2*se) / halvingRate)
}

// LatencyFactor rates a p95, given as its logarithm, of n requests against the service's median ml and the median
// absolute deviation mad, both of logarithms.
//
// The spread is at least 18 % plus the sampling noise of a p95 (its variance is about 4.7 x 0.36 / n for ordinary
// latency distributions). Two deviations are ignored, each two more halve the factor, down to 0.05.
func LatencyFactor(n, lnP95, ml, mad float64) float64 {
	if n <= 0 {
		return 1
	}
	spread := max(minSpread, 1.4826*mad) // MAD to standard deviation of a normal distribution
	sigma := math.Sqrt(spread*spread + 4.7*0.36/n)
	z := (lnP95 - ml) / sigma
	if z <= freeZ {
		return 1
	}
	return max(worstLatency, math.Exp2(-(z-freeZ)/2))
}

// UtilizationFactor falls linearly from 1 at 70 % to 0.1 at 100 %.
func UtilizationFactor(u float64) float64 {
	if u <= busy {
		return 1
	}
	return max(worstBusy, 1-(u-busy)/(1-busy)*(1-worstBusy))
}

func cleaned(s Sample) Sample {
	s.Requests, s.Errors = usable(s.Requests), usable(s.Errors)
	s.Errors = min(s.Errors, s.Requests)
	s.P95Ms, s.Utilization, s.Memory = usable(s.P95Ms), min(usable(s.Utilization), 1), min(usable(s.Memory), 1)
	s.Gate = min(usable(s.Gate), 1)
	return s
}

func usable(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0
	}
	return v
}

func collect(pool []Sample, f func(Sample) (float64, bool)) []float64 {
	out := make([]float64, 0, len(pool))
	for _, s := range pool {
		if v, ok := f(s); ok {
			out = append(out, v)
		}
	}
	return out
}

// median returns the middle value, the mean of the middle two, or 0 for none. It sorts v.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return v[m-1] + (v[m]-v[m-1])/2
}
