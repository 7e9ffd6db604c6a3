package picker

import (
	"math"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// two is the common part of the policies with two random choices (Mitzenmacher, The Power of Two Choices in Randomized
// Load Balancing, TPDS 2001). It draws two distinct live instances by weight and takes the instance with the lower
// cost.
//
// In a pool of unequal weights both draws may give the same instance. Each draw then stands for one of the places of an
// instance (see race.go), and the comparison is of the requests that the two places hold. All places have the same chance,
// so equal instances get exactly their shares.
type two struct {
	table     alias
	weighting weighting
}

func newTwo(p *upstream.Pool) two {
	return two{newAlias(liveWeights(p)), newWeighting(p, rampedWeight)}
}

func liveWeights(p *upstream.Pool) []float64 {
	w := make([]float64, len(p.Live))
	for i, at := range p.Live {
		w[i] = rampedWeight(&p.Members[at])
	}
	return w
}

// pair draws two distinct untried instances. b is -1 if there is only one, and a is -1 if there is none.
func (t two) pair(pool *upstream.Pool, ask *upstream.Ask) (a, b int32) {
	a, b = -1, -1
	for tries := 0; tries < 16 && b < 0; tries++ {
		at := pool.Live[t.table.draw(ask.Rand)]
		switch {
		case ask.WasTried(pool.Members[at].Live) || at == a:
		case a < 0:
			a = at
		default:
			b = at
		}
	}
	for i := 0; a < 0 && i < len(pool.Live); i++ {
		if at := pool.Live[i]; !ask.WasTried(pool.Members[at].Live) {
			a = at
		}
	}
	return a, b
}

// factor returns the value with which a policy multiplies (q + 1)/weight.
type factor func(m *upstream.Member, now int64) float64

func (t two) choose(pool *upstream.Pool, ask *upstream.Ask, f factor) int {
	if t.weighting.uneven {
		return t.choosePlace(pool, ask, f)
	}
	a, b := t.pair(pool, ask)
	if a < 0 {
		return -1
	}
	ma := &pool.Members[a]
	ca := f(ma, ask.Now) * float64(ma.InFlight.Load()+1) / rampedWeight(ma)
	ask.Trace.Add(upstream.Candidate{Index: a, InFlight: int32(ma.InFlight.Load()), Cost: float32(ca)})
	ask.Trace.Reason = "only"
	if b < 0 {
		return int(a)
	}
	mb := &pool.Members[b]
	cb := f(mb, ask.Now) * float64(mb.InFlight.Load()+1) / rampedWeight(mb)
	ask.Trace.Add(upstream.Candidate{Index: b, InFlight: int32(mb.InFlight.Load()), Cost: float32(cb)})
	ask.Trace.Reason = "lowest-cost"
	if cb < ca {
		return int(b)
	}
	return int(a)
}

// noiseOfPeaks is the ratio of two factors below which they count as equal in a pool of unequal weights. The factor of
// PeakEWMA is a maximum, and an instance of five times the weight sees a higher maximum of the same latencies.
const noiseOfPeaks = 3

// sustained limits a factor to the average latency of the instance. A peak of one slow response fades over 10 s, and an
// instance of five times the weight has five times as many of them. The average of an instance that became slow follows
// within some ten responses.
func sustained(m *upstream.Member, f float64, now int64) float64 {
	if average, _, ok := m.Latency.Load(now); ok {
		return min(f, average+1)
	}
	return f
}

// choosePlace draws two places and takes the place with the lower cost, for pools of unequal weights.
func (t two) choosePlace(pool *upstream.Pool, ask *upstream.Ask, f factor) int {
	a, b := t.draw(pool, ask), t.draw(pool, ask)
	if a < 0 || b < 0 {
		a, _ = t.pair(pool, ask)
		b = a
	}
	if a < 0 {
		return -1
	}
	fa, fb := f(&pool.Members[a], ask.Now), f(&pool.Members[b], ask.Now)
	if max(fa, fb) > noiseOfPeaks*min(fa, fb) {
		fa, fb = sustained(&pool.Members[a], fa, ask.Now), sustained(&pool.Members[b], fb, ask.Now)
	}
	lower := min(fa, fb)
	ca := t.held(pool, a, ask) * max(1, fa/lower/noiseOfPeaks)
	cb := t.held(pool, b, ask) * max(1, fb/lower/noiseOfPeaks)
	ask.Trace.Add(upstream.Candidate{Index: a, InFlight: int32(pool.Members[a].InFlight.Load()), Cost: float32(ca)})
	if a == b {
		ask.Trace.Reason = "only"
		return int(a)
	}
	ask.Trace.Add(upstream.Candidate{Index: b, InFlight: int32(pool.Members[b].InFlight.Load()), Cost: float32(cb)})
	ask.Trace.Reason = "lowest-cost"
	if cb < ca || cb == ca && ask.Rand.Uint64()&1 == 0 {
		return int(b)
	}
	return int(a)
}

// held returns one more than the requests that a random place of an instance holds.
func (t two) held(pool *upstream.Pool, at int32, ask *upstream.Ask) float64 {
	m := &pool.Members[at]
	each := float64(m.InFlight.Load()) * t.weighting.min / rampedWeight(m)
	return 1 + math.Floor(each+float64(ask.Rand.Uint64()>>11)/(1<<53))
}

// draw returns an untried instance drawn by weight, -1 if 16 draws found none.
func (t two) draw(pool *upstream.Pool, ask *upstream.Ask) int32 {
	for range 16 {
		if at := pool.Live[t.table.draw(ask.Rand)]; !ask.WasTried(pool.Members[at].Live) {
			return at
		}
	}
	return -1
}

// LeastRequest compares requests in flight per weight on two random instances:
// HAProxy's random(2), Envoy's LEAST_REQUEST, Traefik's p2c.
type LeastRequest struct{ two }

// NewLeastRequest builds the draw table.
func NewLeastRequest(p *upstream.Pool) *LeastRequest { return &LeastRequest{newTwo(p)} }

// Choose implements [upstream.Policy].
func (l *LeastRequest) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	return l.choose(pool, a, func(*upstream.Member, int64) float64 { return 1 })
}

// PeakEWMA compares latency times requests in flight on two random instances. The latency average rises immediately and
// fades over 10 s (Finagle's p2cPeakEwma). An instance without samples costs 1 ms times its requests, so it is picked
// early. Failures do not change the latency and do not raise the cost: ejection protects this policy. In a pool of unequal
// weights a peak counts as far as the average latency confirms it: see sustained.
type PeakEWMA struct{ two }

// NewPeakEWMA builds the draw table.
func NewPeakEWMA(p *upstream.Pool) *PeakEWMA { return &PeakEWMA{newTwo(p)} }

// Choose implements [upstream.Policy].
func (l *PeakEWMA) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	return l.choose(pool, a, peak)
}

// peak returns the latency that PeakEWMA expects, in ns and never 0.
func peak(m *upstream.Member, now int64) float64 {
	v, idle, ok := m.Peak.Load(now)
	if !ok {
		v = 1e6
	}
	v *= upstream.Decay(float64(idle) / upstream.PeakTau) // idle: as if samples of 0 had arrived
	return v + 1
}

// Random draws one instance by weight.
type Random struct{ two }

// NewRandom builds the draw table.
func NewRandom(p *upstream.Pool) *Random { return &Random{newTwo(p)} }

// Choose implements [upstream.Policy].
func (r *Random) Choose(pool *upstream.Pool, a *upstream.Ask) int {
	if at := r.draw(pool, a); at >= 0 {
		return r.took(pool, a, at)
	}
	if at, _ := r.pair(pool, a); at >= 0 {
		return r.took(pool, a, at)
	}
	return -1
}

func (*Random) took(pool *upstream.Pool, a *upstream.Ask, at int32) int {
	a.Trace.Reason = "random"
	a.Trace.Add(upstream.Candidate{Index: at, InFlight: int32(pool.Members[at].InFlight.Load())})
	return int(at)
}
