package capacity

import "math"

// windowSeconds is the length of a window for the noise of its rate.
const windowSeconds = 10

const (
	minUse    = 0.02 // utilization below which its quotient with the rate is noise
	minSpread = 1.25 // highest rate over lowest from which the base load can be separated
	beyond    = 8    // and by how many standard deviations of a random number of requests it must exceed it
	maxLawErr = 0.5  // relative error from which a utilization does not follow the rate
	sustained = 3    // windows at a rate that show that it can be carried
	slowSeen  = 2    // times its base latency up to which an instance carries its load
	slowKnee  = 1.5  // times its base latency from which the latency shows the limit
	slowSure  = 2.5  // and from which it shows it well
	kneeFrom  = 0.5  // share of the highest rate from which on latencies count for the limit
	kneeMost  = 1.5  // times the highest rate up to which the limit may lie
	maxNoise  = 0.3  // relative error of the slope from which latencies do not show a line
)

// law is the utilization law with a base load: utilization = base + demand*rate.
//
// Source: the utilization law U = X*D (P. Denning, J. Buzen, "The Operational Analysis of Queueing Network Models", ACM
// Computing Surveys 10(3), 1978, section 3), with service demands found by regression of utilization on throughput
// (Lazowska, Zahorjan, Graham, Sevcik, "Quantitative System Performance", 1984, chapter 12). An instance is full where
// the line reaches 1. Worked example: 30 % busy at 200 requests/s and 50 % at 400 give a demand of 1 ms and a base of
// 10 %, so the instance carries 900 requests/s.
type law struct {
	base, demand float64
	capacity     float64
	highest      float64 // utilization seen
	windows      float64
	err          float64 // relative standard error of the capacity
	split        bool    // the rates differ enough to separate the base load from the demand
}

// law fits the line of a resource; false without enough windows.
//
// If the rates differ too little, the line goes through the origin. This is never too high an estimate of the capacity:
// with a base b it is too low by the factor 1 - b*(1-U)/(U*(1-b)).
func (e *Estimator) law(r resource) (law, bool) {
	var l law
	var w, sx, su, sxx, sxu float64
	low, high, seen := math.Inf(1), 0.0, 0
	least := 1.0
	for i := range e.bins {
		b := &e.bins[i]
		s := &b.use[r]
		if s.n < forgotten {
			continue
		}
		x, u, n := b.x(), s.mean(), min(s.n, maxWeight)
		if b.key != idle {
			l.windows += s.n
			seen += s.seen
			l.highest = max(l.highest, u)
			high = max(high, x)
		}
		low, least = min(low, x), min(least, u)
		w, sx, su, sxx, sxu = w+n, sx+n*x, su+n*u, sxx+n*x*x, sxu+n*x*u
	}
	if high == 0 || l.highest < minUse || seen < sustained {
		return law{}, false
	}
	l.demand = sxu / sxx
	if mx := sx / w; high >= minSpread*low && high-low >= beyond*math.Sqrt(high/windowSeconds) {
		spread := sxx - sx*mx
		d := (sxu - su*mx) / spread
		if !(d > 0) {
			return law{}, false // it does not follow the rate
		}
		if base := su/w - d*mx; base > 0 {
			l.demand, l.base = d, min(base, least)
		}
		l.split = true
	}
	l.capacity = (1 - l.base) / l.demand
	l.err = e.lawError(r, &l, w, sxx-sx*sx/w)
	return l, l.capacity > 0 && l.capacity < maxValue && l.err < maxLawErr
}

// lawError returns the relative standard error of the capacity, from the residuals of the windows.
func (e *Estimator) lawError(r resource, l *law, w, spread float64) float64 {
	var rss, mean float64
	for i := range e.bins {
		b := &e.bins[i]
		s := &b.use[r]
		if s.n < forgotten {
			continue
		}
		fit := l.base + l.demand*b.x()
		n := min(s.n, maxWeight)
		rss += n / s.n * max(s.squares-2*fit*s.sum+s.n*fit*fit, 0)
		mean += n * b.x() / w
	}
	if w <= 2 {
		return 1
	}
	variance := rss / (w - 2)
	if !l.split || spread <= 0 {
		return math.Sqrt(variance/w) / max(l.demand*mean, minUse)
	}
	far := l.capacity - mean // the error of a line grows with the distance from what was measured
	return math.Sqrt(variance*(1/w+far*far/spread)) / (l.demand * l.capacity)
}

// knee is the rate at which the latency would become infinite.
//
// Source: in an M/M/1 queue, with either order of service, the median latency is proportional to 1/(capacity - rate), so
// its inverse is linear in the rate and zero at the capacity (L. Kleinrock, "Queueing Systems", volume 1, 1975, sections
// 3.2 and 4.4 for processor sharing). With several servers the inverse is flat first and falls later, so only rates near
// the highest one count, and only if the latency has risen. The estimate is then up to about 20 % too high with 8
// servers (model_test.go).
type knee struct {
	capacity float64
	at       float64 // highest rate
	slower   float64 // latency at the highest rate, in base latencies
}

// knee finds the limit that latencies show; false if they show none.
func (e *Estimator) knee() (knee, bool) {
	base, top := e.fastest(), -1
	for i := range e.bins {
		if e.bins[i].slow.seen >= sustained {
			top = i
		}
	}
	if base == 0 || top < 0 {
		return knee{}, false
	}
	k := knee{at: e.bins[top].x(), slower: base / e.bins[top].slow.mean()}
	if k.slower < slowKnee {
		return knee{}, false
	}
	var w, sx, sy, sxx, sxy, syy float64
	points := 0
	for i := range e.bins[:top+1] {
		b := &e.bins[i]
		if b.slow.seen == 0 || b.x() < kneeFrom*k.at {
			continue
		}
		points++
		n, x, y := min(b.slow.n, maxWeight), b.x(), b.slow.mean()
		w, sx, sy, sxx, sxy, syy = w+n, sx+n*x, sy+n*y, sxx+n*x*x, sxy+n*x*y, syy+n*y*y
	}
	dx, dy, dxy := sxx-sx*sx/w, syy-sy*sy/w, sxy-sx*sy/w
	if points >= 3 && dx > 0 && dxy < 0 {
		slope := dxy / dx
		noise := math.Sqrt(max(dy-slope*dxy, 0)/float64(points-2)/dx*(w/float64(points))) / -slope
		if noise < maxNoise {
			k.capacity = min(max(sx/w-sy/w/slope, k.at), kneeMost*k.at)
			return k, true
		}
	}
	// A queue that is still long from an overload hides the line. Then the instance serves what it can: its highest rate.
	k.capacity = k.at
	return k, k.slower >= slowSure
}

// fastest returns the highest mean of 1/latency, that of the base latency; 0: unknown.
func (e *Estimator) fastest() (base float64) {
	for i := range e.bins {
		if s := &e.bins[i].slow; s.seen >= sustained {
			base = max(base, s.mean())
		}
	}
	return base
}

// carried returns the highest rate that the instance carried for a while without becoming slow: a lower bound of its
// capacity.
func (e *Estimator) carried() (rate float64) {
	base := e.fastest()
	for i := range e.bins {
		b := &e.bins[i]
		if b.key == idle || b.seen < sustained || b.slow.n > 0 && base > slowSeen*b.slow.mean() {
			continue
		}
		rate = max(rate, b.x())
	}
	return rate
}
