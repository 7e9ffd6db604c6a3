package picker

import (
	"math"
	"math/rand/v2"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Constants of the cost function. Measured figures come from real proxies under open-loop load with 10 instances
// (docs/design/adaptive.md).
const (
	smallPool    = 16   // up to this many live instances ...
	drawSmall    = 6    // ... six are compared: hetero p99 95.7 -> 94.0 ms against four
	drawLarge    = 4    // above, four: no instance gets more than 4/n of the requests, however stale the facts are
	drawFloor    = .05  // share floor of a slow starter or a small instance: each gets some requests
	drawErrFloor = .03  // share floor of a failing instance: the proxy must notice its recovery
	maxErr       = .98  // keeps the error cost finite
	minSamples   = 3    // below, the latency factor is 1
	minLatency   = .5   // clamp of the latency factor
	maxLatency   = 20.0 //
	smallLatency = 2e5  // ns, added to each latency: an instance with few requests answers some 50 us later, which must not count
	idleTau      = 5e9  // ns: estimates of an instance without requests fade to the median
	silentAfter  = 4    // medians without any response head while two or more requests wait
)

// Adaptive picks the cheapest instance of a weighted sample. Cost is the expected time to an answer, including
// failures:
//
//	sample  d = min(6, live) for live <= 16, else 4, distinct,
//	        P ~ weight · max(.05, c^(k/2)·ss) · max(.03, (1-err)²)
//	cost    (q/ss + 1)/(weight·veto^k) · (r/c^k)^p · (1 + 10·err/(1-err) + 100·err²) · s
//	p       2·spread: 1.5 by default
//	r       clamp(mix(l, med, decay(idle/5s))/med, .5, 20), l = L·c^k, all plus .2 ms
//	err     min(.98, max(e·decay(idle/5s), .7·E·k))
//	s       (silence/(4·med))² when silence > 4·med, else 1
//
// q is this proxy's requests in flight; L and e are its averages of latency and error rate. c is the instance's share
// of the mean capacity. E is the error rate that all proxies see. k is the trust in facts from Kafka, and ss is slow
// start. Capacity, E and veto are slow facts and act mostly through the sample. Because r contains c, the latency is
// work-normalised and c cancels, so capacity is not counted twice. Facts that are seconds old never rank instances per
// request.
//
// The exponent exists because q + 1 overstates the wait at an instance that serves several requests at once. It
// therefore also overstates the advantage of a slow idle instance. Take ten instances of .48 to 2.8 times the service
// time. An exponent of 1 sends 2.5 % of the requests to the two slowest, and their tail becomes the p99 of all
// requests.
//
// Sources: power of d choices (Mitzenmacher, TPDS 2001); the sampling bound on herding (Dahlin, TPDS 2000); failures as
// expected cost instead of latency (Linkerd issue 15374 describes the problem of the alternative). A choice costs O(d).
//
// While fewer requests are in flight than candidates are compared, and in pools of unequal weights, (q + 1) is partly
// left to chance, with probabilities in proportion to weight/cost: see race.
type Adaptive struct {
	table     alias // over Pool.Live
	weighting weighting
}

// NewAdaptive builds the sampling table of a pool at time now.
func NewAdaptive(p *upstream.Pool, now int64) *Adaptive {
	u := newWeighting(p, func(m *upstream.Member) float64 { return m.Weight })
	if len(p.Live) <= drawSmall {
		return &Adaptive{weighting: u} // all instances are compared, so no sampling table is needed
	}
	weights := make([]float64, len(p.Live))
	for i, at := range p.Live {
		m := &p.Members[at]
		ok := 1 - errorOf(m, now)
		weights[i] = m.Weight * max(drawFloor, math.Sqrt(m.Capacity)*m.SlowStart) * max(drawErrFloor, ok*ok)
	}
	return &Adaptive{table: newAlias(weights), weighting: u}
}

// Choose implements [upstream.Policy].
func (p *Adaptive) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	var space [drawSmall]int32
	var times [drawSmall]float64
	set := p.sample(space[:0], &times, pool, a)
	var costs [drawSmall]upstream.Candidate
	for i, at := range set {
		costs[i] = costOf(pool, at, a.Now)
	}
	p.race(costs[:len(set)], &times, pool, a.Rand)
	best, bestCost, ties := -1, math.Inf(1), uint64(0)
	for i, at := range set {
		a.Trace.Add(costs[i])
		switch cost := float64(costs[i].Cost); {
		case cost < bestCost:
			best, bestCost, ties = int(at), cost, 1
		case cost == bestCost:
			if ties++; a.Rand.Uint64()%ties == 0 {
				best = int(at)
			}
		}
	}
	switch {
	case len(set) == 1:
		a.Trace.Reason = "only"
	case pool.Panic:
		a.Trace.Reason = "panic"
	default:
		a.Trace.Reason = "lowest-cost"
	}
	return best
}

// race replaces the costs of candidates with their scores in the race. A candidate that was drawn several times has as
// many places. Where nothing is drawn because all are compared, slow start reduces the places.
func (p *Adaptive) race(costs []upstream.Candidate, times *[drawSmall]float64, pool *upstream.Pool, r *rand.PCG) {
	var entrants [drawSmall]entrant
	var scores [drawSmall]float64
	for i, c := range costs {
		m := &pool.Members[c.Index]
		weight := m.Weight / p.weighting.min
		q := float64(c.InFlight) / m.SlowStart
		e := entrant{queue: q / weight, places: times[i], health: float64(c.Penalty) * float64(c.Silence), f: float64(c.Cost) * m.Weight / (q + 1)}
		if e.places == 0 {
			e.places = weight * m.SlowStart
		}
		entrants[i] = e
	}
	race(entrants[:len(costs)], scores[:len(costs)], p.weighting.uneven, r)
	for i := range costs {
		costs[i].Cost = float32(scores[i] / p.weighting.min) // without chance it is the cost again
	}
}

// sample appends up to d distinct live members that were not tried. It counts in times how often each was drawn; all
// counts are 0 if all members are compared. In a pool of unequal weights it draws d times, so the set may be smaller.
func (p *Adaptive) sample(set []int32, times *[drawSmall]float64, pool *upstream.Pool, a *upstream.Ask) []int32 {
	n := len(pool.Live)
	if n <= drawSmall || len(p.table) != n {
		for _, at := range pool.Live {
			if len(set) < drawSmall && !a.WasTried(pool.Members[at].Live) {
				set = append(set, at)
			}
		}
		return set
	}
	d := drawLarge
	if n <= smallPool {
		d = drawSmall
	}
	for tries, drawn := 0, 0; len(set) < d && tries < 4*drawSmall && (!p.weighting.uneven || drawn < d); tries++ {
		var ok bool
		if set, ok = addDrawn(set, times, pool, a, pool.Live[p.table.draw(a.Rand)], p.weighting.uneven); ok {
			drawn++
		}
	}
	// A skewed table can keep drawing the same member: never return an empty set.
	for i := 0; len(set) == 0 && i < n; i++ {
		set, _ = addDrawn(set, times, pool, a, pool.Live[i], false)
	}
	return set
}

// addDrawn adds a member to the set. If the member is in the set already, it counts again if again is set. addDrawn
// returns false for a member that was already tried.
func addDrawn(set []int32, times *[drawSmall]float64, pool *upstream.Pool, a *upstream.Ask, at int32, again bool) ([]int32, bool) {
	for i, have := range set {
		if have == at {
			if again {
				times[i]++
			}
			return set, true
		}
	}
	if a.WasTried(pool.Members[at].Live) {
		return set, false
	}
	times[len(set)]++
	return append(set, at), true
}

// costOf computes the cost of one member and the parts of the cost.
func costOf(pool *upstream.Pool, at int32, now int64) upstream.Candidate {
	m := &pool.Members[at]
	q := m.InFlight.Load()
	err := errorOf(m, now)
	penalty := 1 + 10*err/(1-err) + 100*err*err
	r := power(latencyFactor(m, pool.MedianNs, now)/m.Capacity, 2*pool.Spread) * m.Capacity // divided by Capacity below
	s := silenceFactor(m.Live, pool.MedianNs, now)
	w := m.Weight * m.Capacity * m.Veto
	cost := (float64(q)/m.SlowStart + 1) / w * r * penalty * s
	return upstream.Candidate{
		Index: at, InFlight: int32(q), Cost: float32(cost), Latency: float32(r),
		Err: float32(err), Penalty: float32(penalty), Silence: float32(s),
	}
}

// power returns x to the power p, without math.Pow for the usual exponents.
func power(x, p float64) float64 {
	switch p {
	case 0:
		return 1
	case 1:
		return x
	case 1.5:
		return x * math.Sqrt(x)
	}
	return math.Pow(x, p)
}

func errorOf(m *upstream.Member, now int64) float64 {
	e, idle, ok := m.ErrorRate.Load(now)
	if ok {
		e *= upstream.Decay(float64(idle) / idleTau)
	}
	return min(maxErr, max(e, m.FleetErr))
}

func latencyFactor(m *upstream.Member, median float64, now int64) float64 {
	if median <= 0 || m.Successes.Load() < minSamples {
		return 1
	}
	l, idle, ok := m.Latency.Load(now)
	if !ok {
		return 1
	}
	keep := upstream.Decay(float64(idle) / idleTau)
	l = keep*(l+smallLatency)*m.Capacity + (1-keep)*(median+smallLatency)
	return min(max(l/(median+smallLatency), minLatency), maxLatency)
}

func silenceFactor(l *upstream.Live, median float64, now int64) float64 {
	if median <= 0 {
		return 1
	}
	silence := float64(l.Silence(now))
	if silence <= silentAfter*median {
		return 1
	}
	x := silence / (silentAfter * median)
	return x * x
}

// Cost returns the cost that Adaptive would compute for the member at index i at time now. It serves explanations and
// works for a pool of any policy.
func Cost(pool *upstream.Pool, i int, now int64) upstream.Candidate {
	return costOf(pool, int32(i), now)
}
