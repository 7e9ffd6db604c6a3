package capacity

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	halfLife   = 30 * time.Minute // after this time a window counts half
	maxBins    = 24               // distinct rates that are kept
	binWidth   = 1.15             // each bin is so many times as high as the one below
	maxWeight  = 12               // windows of one bin that count in a fit: hours at one rate must not hide a short peak
	forgotten  = 0.1              // weight below which a bin is dropped, after about 100 minutes for a single one
	minRate    = 1.0              // requests per second below which a window shows the base load only
	maxErrors  = 0.1              // failed share above which a window shows failures, not capacity
	maxValue   = 1e9              // rates and latencies above are not believable
	changeRun  = 6                // windows in a row that contradict the fit: the instance changed
	changeStep = 0.1              // utilization by which a window contradicts at least
	changePart = 0.25             // and share of the predicted utilization
)

// Window is what was measured of an instance in one interval of about ten seconds. A number that is NaN, infinite or
// negative is unknown.
type Window struct {
	At          time.Time // its end
	Rate        float64   // requests per second
	Errors      float64   // failed share of the requests, 0..1
	LatencyMs   float64   // median
	Utilization float64   // 0..1, as the instance reports it
	CPU         float64   // 0..1
	Limit       float64   // requests in flight that the proxies together may have at the instance; 0 or unknown: no limit
}

// resource is what an instance may run out of, and whose use it reports.
type resource int

const (
	utilization resource = iota
	cpu
	resources
)

// bin holds the windows of about the same rate. Its sums decay.
type bin struct {
	key  int
	n    float64 // windows
	seen int     // the same without decay
	rate float64 // sum of the rates
	use  [resources]sums
	slow sums // of 1/latency: its mean does not suffer from single slow windows, and queueing theory is linear in it
}

// sums are the weight, the sum and the sum of squares of one number, and how often it was seen.
type sums struct {
	n, sum, squares float64
	seen            int // without decay
}

func (s *sums) add(v float64) {
	s.n++
	s.seen++
	s.sum += v
	s.squares += v * v
}

func (s *sums) scale(f float64) { s.n, s.sum, s.squares = s.n*f, s.sum*f, s.squares*f }

func (s *sums) mean() float64 { return s.sum / s.n }

// x returns the mean rate of the bin.
func (b *bin) x() float64 { return b.rate / b.n }

// Estimator estimates the capacity of one instance. The zero value knows nothing. Its memory is bounded: about 3 KiB at
// most. It is not safe for concurrent use.
type Estimator struct {
	bins    []bin // by ascending key
	at      time.Time
	odd     int // windows in a row that contradict the fit; negative: with less utilization than predicted
	windows int // with requests, since the start or the last change
	failing int // windows in a row with too many failures
	limit   float64
}

// Observe adds a window. It ignores windows that are not newer than the latest.
func (e *Estimator) Observe(w Window) {
	if !w.At.After(e.at) {
		return
	}
	rate := known(w.Rate)
	if math.IsNaN(rate) {
		return
	}
	e.forget(w.At)
	e.limit = max(known(w.Limit), 0)
	if math.IsNaN(e.limit) {
		e.limit = 0
	}
	if known(w.Errors) > maxErrors {
		e.failing++
		return // failures may be cheap, and do not show what the instance can carry
	}
	e.failing = 0
	used := [resources]float64{share(w.Utilization), share(w.CPU)}
	if e.contradicts(rate, used) {
		*e = Estimator{at: e.at, limit: e.limit}
	}
	b := e.bin(rate)
	b.n++
	b.seen++
	b.rate += rate
	for r, u := range used {
		if !math.IsNaN(u) {
			b.use[r].add(u)
		}
	}
	if rate < minRate {
		return
	}
	e.windows++
	if ms := known(w.LatencyMs); ms > 0 {
		b.slow.add(1 / ms)
	}
}

// forget lets the bins decay until now.
func (e *Estimator) forget(now time.Time) {
	if !e.at.IsZero() {
		f := math.Exp2(-now.Sub(e.at).Seconds() / halfLife.Seconds())
		for i := range e.bins {
			b := &e.bins[i]
			b.n, b.rate = b.n*f, b.rate*f
			b.slow.scale(f)
			for r := range b.use {
				b.use[r].scale(f)
			}
		}
		e.bins = slices.DeleteFunc(e.bins, func(b bin) bool { return b.n < forgotten })
	}
	e.at = now
}

// idle is the key of the bin of windows with almost no requests.
const idle = math.MinInt

// key returns the key of the bin of a rate.
func key(rate float64) int {
	if rate < minRate {
		return idle
	}
	return int(math.Floor(math.Log(rate) / math.Log(binWidth)))
}

// find returns the place of a bin, and whether it is there.
func (e *Estimator) find(key int) (int, bool) {
	return slices.BinarySearchFunc(e.bins, key, func(b bin, key int) int { return cmp.Compare(b.key, key) })
}

// bin returns the bin of a rate. If all bins are in use, it drops the one with the least windows; never the highest,
// which shows most about the capacity.
func (e *Estimator) bin(rate float64) *bin {
	i, found := e.find(key(rate))
	if found {
		return &e.bins[i]
	}
	if len(e.bins) == maxBins {
		least := 0
		for j := range e.bins[:maxBins-1] {
			if e.bins[j].n < e.bins[least].n {
				least = j
			}
		}
		e.bins = slices.Delete(e.bins, least, least+1)
		if least < i {
			i--
		}
	}
	e.bins = slices.Insert(e.bins, i, bin{key: key(rate)})
	return &e.bins[i]
}

// contradicts reports whether the windows do not fit any more: the instance has more or less CPUs, or other software.
// Then what was measured before says nothing.
func (e *Estimator) contradicts(rate float64, used [resources]float64) bool {
	for r, u := range used {
		if math.IsNaN(u) {
			continue
		}
		want, ok := e.predict(resource(r), rate)
		if !ok {
			return false
		}
		far := max(changeStep, changePart*want)
		switch {
		case u > want+far:
			e.odd = max(e.odd, 0) + 1
		case u < want-far:
			e.odd = min(e.odd, 0) - 1
		default:
			e.odd = 0
		}
		return e.odd >= changeRun || e.odd <= -changeRun // the first known resource decides
	}
	return false
}

// predict returns the use of a resource at a rate: what was measured at this rate, else what the law says if it is good.
func (e *Estimator) predict(r resource, rate float64) (float64, bool) {
	if i, ok := e.find(key(rate)); ok && e.bins[i].use[r].seen >= sustained {
		return e.bins[i].use[r].mean(), true
	}
	l, ok := e.law(r)
	return min(l.base+l.demand*rate, 1), ok && l.split && l.err <= mediumErr
}

// known returns v, NaN if it is no number to believe.
func known(v float64) float64 {
	if math.IsNaN(v) || v < 0 || v > maxValue {
		return math.NaN()
	}
	return v
}

// share returns a number of 0..1, NaN if it is unknown.
func share(v float64) float64 { return math.Min(known(v), 1) }
