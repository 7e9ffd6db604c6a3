package picker

import (
	"math"
	"math/rand/v2"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// uneven makes costs fair in pools of unequal weights. Comparing (q + 1)/weight is unfair at light load: while no
// instance has requests in flight, the heaviest instance always wins. With weights 5:1:1 the light instances get 0 to 2
// % instead of 14 %. uneven replaces the 1 with a random number of mean 1 with the exponential distribution:
//
//	score = (q·scale/weight + X/rate) · f      X ~ Exp(1)
//
// Candidate i has the lowest score with probability rate[i]/Σ rate, so equally good idle instances get shares in exact
// proportion to their rates. With requests in flight the first term decides, as before. There are two ways to choose
// the candidates:
//
//	all of them        rate = weight, scale = 1
//	d weighted draws   rate = how often i was drawn, scale = Σ weights / d
//
// Both make the two terms equally strong. A candidate gets X = 1 if its f (latency, errors, silence) is more than
// notComparable times the lowest f: chance must not send requests to an instance that is known to be bad. Pools of
// equal weights do not use this code.
//
// Worked example: weights 5:1:1, all idle, all equally good: X/5, X, X. The first is the smallest with probability 5/7.
// With five requests in flight at the first instance and one at each other instance, the first terms are 1, 1, 1: again
// 5/7.
//
// Source: the race of exponential clocks, the method behind weighted sampling without replacement (Efraimidis and
// Spirakis, Information Processing Letters 97, 2006). Cost: one logarithm per candidate.
type uneven struct {
	on    bool
	total float64 // Σ weights of the live members
}

// notComparable is the ratio of a candidate's f to the lowest f above which chance does not affect the candidate.
const notComparable = 2

// newUneven compares the live members' weights.
func newUneven(p *upstream.Pool, weight func(*upstream.Member) float64) uneven {
	u := uneven{}
	for _, at := range p.Live {
		w := weight(&p.Members[at])
		u.total += w
		u.on = u.on || w != weight(&p.Members[p.Live[0]])
	}
	return u
}

// entrant is a candidate of the race.
type entrant struct {
	queue float64 // q·scale/weight
	rate  float64
	f     float64
}

// race computes the scores of the entrants.
func race(entrants []entrant, scores []float64, r *rand.PCG) {
	best := math.Inf(1)
	for _, e := range entrants {
		best = min(best, e.f)
	}
	for i, e := range entrants {
		x := 1.0
		if e.f <= notComparable*best {
			x = exponential(r)
		}
		scores[i] = (e.queue + x/e.rate) * e.f
	}
}

// exponential draws from the exponential distribution of mean 1.
func exponential(r *rand.PCG) float64 {
	return -math.Log(float64(r.Uint64()>>11+1) / (1 << 53))
}
