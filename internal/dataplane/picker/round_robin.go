package picker

import (
	"math"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// maxTurns limits the precomputed sequence. Finer weight ratios are rounded.
const maxTurns = 1024

// RoundRobin takes turns by smooth weighted round robin, the method of nginx's default balancer. In each step, every
// instance gains its weight. The instance with the highest value gets the turn and loses the sum of the weights. Turns
// of heavy instances are therefore spread out: weights 5,1,1 give a a b a c a a. The sequence is computed once per set
// of members; a turn costs one atomic increment. The policy uses no other data.
type RoundRobin struct{ turns []int32 }

// NewRoundRobin computes the sequence in O(turns · members).
func NewRoundRobin(p *upstream.Pool) *RoundRobin {
	weights := integerWeights(p)
	total := 0
	for _, w := range weights {
		total += w
	}
	current := make([]int, len(weights))
	turns := make([]int32, total)
	for t := range turns {
		best := 0
		for i, w := range weights {
			current[i] += w
			if current[i] > current[best] {
				best = i
			}
		}
		current[best] -= total
		turns[t] = p.Live[best]
	}
	return &RoundRobin{turns: turns}
}

// WantsSeq implements [upstream.Sequencer].
func (*RoundRobin) WantsSeq() {}

// Choose implements [upstream.Policy].
func (r *RoundRobin) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	a.Trace.Reason = "turn"
	n := uint64(len(r.turns))
	for i := range n {
		at := r.turns[(a.Seq+i)%n]
		if !a.WasTried(pool.Members[at].Live) {
			a.Trace.Add(upstream.Candidate{Index: at, InFlight: int32(pool.Members[at].InFlight.Load())})
			return int(at)
		}
	}
	return -1
}

// integerWeights scales the live members' weights to whole numbers of at least one, with a sum near maxTurns or below.
// Then it divides them by their greatest common divisor.
func integerWeights(p *upstream.Pool) []int {
	smallest, sum := math.Inf(1), 0.0
	for _, at := range p.Live {
		w := rampedWeight(&p.Members[at])
		smallest, sum = min(smallest, w), sum+w
	}
	scale := 1.0
	if smallest > 0 {
		scale = min(1/smallest*10, maxTurns/sum) // a tenth of the smallest weight is precise enough
	}
	out, g := make([]int, len(p.Live)), 0
	for i, at := range p.Live {
		out[i] = max(1, int(math.Round(rampedWeight(&p.Members[at])*scale)))
		g = gcd(out[i], g)
	}
	for i := range out {
		out[i] /= max(g, 1)
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
