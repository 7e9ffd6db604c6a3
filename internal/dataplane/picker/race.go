package picker

import (
	"math"
	"math/rand/v2"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Comparing (q + 1)/weight is unfair at light load. While no instance has requests in flight, the heaviest or the fastest
// instance always wins: with weights 5:1:1 the light instances get 0 to 2 % instead of 14 %. The race replaces this
// comparison with one that is fair by symmetry.
//
// An instance of weight w counts as w/min places, min being the lowest weight of the pool. Its q requests in flight are
// spread over its places, so some places hold level requests and the others level + 1:
//
//	level = floor(q·min/w)    room = places that hold level
//
// Each place runs against all others, and the first one wins:
//
//	score = (level + 1 - a + a·T) · f
//	T     = time until the first of the room places arrives, each with the exponential distribution of mean 1
//	a     = max(0, 1 - mean of q over the places); 1 in a pool of unequal weights
//
// f is latency, errors and silence of the instance. Idle instances win with a probability in proportion to weight/f, so
// equal instances get exactly their shares, and a fast instance gets more than others, but not all. Under load a is 0, and
// the comparison is that of (q + 1)·f. In a pool of unequal weights a stays 1: the noise of the latencies would otherwise
// decide between places of one level.
//
// Worked example: weights 5:1:1, one request in flight at the first instance, all equally good. Of its five places four
// are free, so it wins four times out of six, and each other instance once. With a second request at the second instance,
// that instance has no free place: four out of five, none, and one.
//
// Source: the race of exponential clocks, the method behind weighted sampling without replacement (Efraimidis and
// Spirakis, Information Processing Letters 97, 2006). Cost: one logarithm per candidate while a is above 0.

// Chance must not send requests to an instance that is known to be bad. It does not affect a candidate whose f is above
// notComparable times the lowest one, or whose factor from errors and silence is above notWell times the lowest one: their
// T is 1.
const (
	notComparable = 3
	notWell       = 1.5
)

// weighting is what the places of a pool depend on.
type weighting struct {
	uneven bool
	min    float64 // lowest weight of the live members
}

// newWeighting compares the live members' weights.
func newWeighting(p *upstream.Pool, weight func(*upstream.Member) float64) weighting {
	w := weighting{min: math.Inf(1)}
	for _, at := range p.Live {
		x := weight(&p.Members[at])
		w.min = min(w.min, x)
		w.uneven = w.uneven || x != weight(&p.Members[p.Live[0]])
	}
	return w
}

// entrant is a candidate of the race.
type entrant struct {
	queue  float64 // requests in flight for each place
	places float64
	health float64 // the part of f from errors and silence
	f      float64
}

// race computes the scores of the entrants. uneven says that the pool has unequal weights.
func race(entrants []entrant, scores []float64, uneven bool, r *rand.PCG) {
	best, well, queue, places := math.Inf(1), math.Inf(1), 0.0, 0.0
	for _, e := range entrants {
		best, well = min(best, e.f), min(well, e.health)
		queue, places = queue+e.queue*e.places, places+e.places
	}
	chance := 1 - queue/places
	if uneven {
		chance = 1
	}
	for i, e := range entrants {
		if chance <= 0 {
			scores[i] = (e.queue + 1) * e.f
			continue
		}
		x := 1.0
		if e.f <= notComparable*best && e.health <= notWell*well {
			x = exponential(r)
		}
		level := math.Floor(e.queue)
		scores[i] = (level + 1 - chance + chance*e.arrival(x, level)) * e.f
	}
}

// arrival returns when the first place arrives. x is exponential of mean 1. The places that hold one request more take
// part after one unit of time.
func (e *entrant) arrival(x, level float64) float64 {
	room := e.places * (level + 1 - e.queue)
	if x < room {
		return x / room
	}
	return 1 + (x-room)/e.places
}

// exponential draws from the exponential distribution of mean 1.
func exponential(r *rand.PCG) float64 {
	return -math.Log(float64(r.Uint64()>>11+1) / (1 << 53))
}
