package score

import (
	"math"
	"time"
)

// Window is the time span that a Sample covers.
const Window = 30 * time.Second

const (
	tauDown     = 5 * time.Second  // time constant when the score falls
	tauUp       = 30 * time.Second // time constant when the score rises
	halfTrust   = 50               // requests in the window at which the instance's own score counts half
	confident   = 0.5              // confidence from which an instance counts for the neutral score
	goodRun     = 20               // requests in a row without error that permit a degraded instance to rise
	goodChecks  = 3                // or passed health checks in a row
	panicBelow  = 0.5              // a smoothed score below is bad; if most are bad, comparing is pointless
	degradedAt  = 0.60             // hysteresis of the state: below for 2 ticks
	healthyAt   = 0.75             // above for 3 ticks
	unhealthyAt = 0.20
	reviveAt    = 0.35
	downTicks   = 2
	upTicks     = 3
)

// State is the state of an instance. A score changes it with hysteresis.
type State int

// The states.
const (
	Healthy State = iota
	Degraded
	Unhealthy
)

// Health is the state of one instance's score between ticks. The zero value is an unknown instance.
type Health struct {
	state      State
	smooth     float64
	known      bool
	at         time.Time
	below      int // ticks for which the score is below the state's lower bound
	above      int // ticks for which it is above the upper bound
	goodRun    float64
	badRun     float64
	goodChecks int
}

// Evidence counts the events since the previous tick.
type Evidence struct {
	Requests, Errors float64
	PassedChecks     int
	FailedChecks     int
}

// State returns the current state.
func (h *Health) State() State { return h.state }

// Observe counts evidence for a recovery: requests in a row without error, and passed health checks in a row.
func (h *Health) Observe(e Evidence) {
	if e.Errors > 0 {
		h.goodRun = 0
	} else {
		h.goodRun += e.Requests
	}
	switch {
	case e.Requests > 0 && e.Errors >= e.Requests:
		h.badRun += max(1, math.Round(e.Errors)) // a rate times an interval is not exactly a whole number
	case e.Errors > 0:
		h.badRun = 1 // the last request may have failed
	case e.Requests > 0:
		h.badRun = 0
	}
	if e.FailedChecks > 0 {
		h.goodChecks = 0
	} else {
		h.goodChecks += e.PassedChecks
	}
}

// FailedInARow returns how many requests failed since the last success. If a tick has both, the order is unknown, and
// one request counts as failed last. A balancer that avoids an instance soon after failures gives it too few requests
// for a rate.
func (h *Health) FailedInARow() float64 { return h.badRun }

// smoothTo moves the smoothed score towards raw: within about 5 s down, 30 s up. A degraded instance rises only on
// evidence; otherwise the few requests that it still gets would restore it.
func (h *Health) smoothTo(raw float64, now time.Time) float64 {
	if !h.known {
		h.smooth, h.known, h.at = raw, true, now
		return h.smooth
	}
	dt := max(now.Sub(h.at), 0)
	h.at = now
	switch {
	case raw <= h.smooth:
		h.smooth += decay(dt, tauDown) * (raw - h.smooth)
	case h.state == Healthy || h.goodRun >= goodRun || h.goodChecks >= goodChecks:
		h.smooth += decay(dt, tauUp) * (raw - h.smooth)
	}
	return h.smooth
}

// decay returns how far an exponential average with time constant tau moves in dt: 1-e^(-dt/tau).
func decay(dt, tau time.Duration) float64 {
	return -math.Expm1(-dt.Seconds() / tau.Seconds())
}

// confidence returns n/(n+50), and 1 while the instance is not healthy: an unhealthy instance gets few requests, and a
// lower confidence would restore it. For the same reason a few requests suffice if at least half of them failed: then e
// failures give a confidence of at least 1-2^-e.
func (h *Health) confidence(n, e float64) float64 {
	if h.state != Healthy {
		return 1
	}
	c := n / (n + halfTrust)
	if n > 0 && e >= n/2 {
		c = max(c, 1-math.Exp2(-e))
	}
	return c
}

// step updates the state with the score of one tick.
func (h *Health) step(score float64) {
	lower, upper := []float64{degradedAt, unhealthyAt, -1}[h.state], []float64{2, healthyAt, reviveAt}[h.state]
	h.below, h.above = next(h.below, score < lower), next(h.above, score > upper)
	switch {
	case h.below >= downTicks:
		h.state++
		h.below, h.above = 0, 0
	case h.above >= upTicks:
		h.state--
		h.below, h.above = 0, 0
	}
}

func next(run int, goesOn bool) int {
	if goesOn {
		return run + 1
	}
	return 0
}

// Freshness returns the weight of a score of the given age: 1 up to two report periods, then half after each 30 s, 0
// after 180 s.
func Freshness(age, period time.Duration) float64 {
	over := age - 2*period
	switch {
	case age > 180*time.Second:
		return 0
	case over <= 0:
		return 1
	}
	return math.Exp2(-over.Seconds() / 30)
}

// Shrink moves a smoothed score towards neutral if evidence is thin or old, and then limits it by the health checks:
// only they can make a score 0. Without evidence the score is neutral, not bad.
func Shrink(gate, neutral, confidence, freshness, smooth float64) float64 {
	return min(max(gate*(neutral+confidence*freshness*(smooth-neutral)), 0), 1)
}
