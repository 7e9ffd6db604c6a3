package picker

import (
	"math"
	"math/rand/v2"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Where the weights of a pool differ, comparing (q + 1)/weight is unfair at light
// load: while nobody has requests in flight the heaviest instance always wins,
// and with weights 5:1:1 the light ones get 0 to 2 % instead of 14 %. The 1 is
// then replaced by a random number of mean 1 with the exponential distribution:
//
//	score = (q·scale/weight + X/rate) · f      X ~ Exp(1)
//
// The smallest of such numbers belongs to candidate i with probability
// rate[i]/Σ rate, so idle instances that are equally good get shares in exact
// proportion to their rates; with requests in flight the first term decides, as
// before. Two ways to choose the candidates:
//
//	all of them        rate = weight, scale = 1
//	d weighted draws   rate = how often i was drawn, scale = Σ weights / d
//
// Both make the two terms equally strong. A candidate whose f (latency, errors,
// silence) is more than notComparable times the best one's gets X = 1: luck must
// not send requests to an instance that is known to be bad. Pools of equal
// weights do not come here.
//
// Worked example: weights 5:1:1, all idle, all equally good: X/5, X, X; the first
// is the smallest with probability 5/7. With five requests in flight at the first
// and one at each other, the first terms are 1, 1, 1: again 5/7.
//
// Source: the race of exponential clocks, the method behind weighted sampling
// without replacement (Efraimidis and Spirakis, Information Processing Letters
// 97, 2006). Cost: one logarithm per candidate.
type uneven struct {
	on    bool
	total float64 // Σ weights of the live members
}

// notComparable is how many times worse than the best candidate's f makes a
// candidate's share no matter of chance.
const notComparable = 2

// newUneven looks at the live members' weights.
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

// race gives the scores of the entrants.
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
