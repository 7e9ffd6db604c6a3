package score

import (
	"math"
	"time"
)

// Window is the span that a Sample covers.
const Window = 30 * time.Second

const (
	tauDown     = 5 * time.Second  // believe bad news soon
	tauUp       = 30 * time.Second // and good news late
	halfTrust   = 50               // requests in the window at which the own score counts half
	confident   = 0.5              // confidence from which on an instance says what is neutral
	goodRun     = 20               // requests in a row without error that allow a degraded instance to rise
	goodChecks  = 3                // or passed health checks in a row
	panicBelow  = 0.5              // a smoothed score below counts as bad; when most are, comparing is pointless
	degradedAt  = 0.60             // hysteresis of the state: 2 ticks below
	healthyAt   = 0.75             // 3 ticks above
	unhealthyAt = 0.20
	reviveAt    = 0.35
	downTicks   = 2
	upTicks     = 3
)

// State is a step of the ladder that a score climbs with hysteresis.
type State int

// The states.
const (
	Healthy State = iota
	Degraded
	Unhealthy
)

// Health is the memory of one instance's score between ticks. The zero value is an instance nobody knows.
type Health struct {
	state      State
	smooth     float64
	known      bool
	at         time.Time
	below      int // ticks that the score is below the state's lower bound
	above      int // ticks that it is above the upper one
	goodRun    float64
	badRun     float64
	goodChecks int
}

// Evidence is what happened since the previous tick.
type Evidence struct {
	Requests, Errors float64
	PassedChecks     int
	FailedChecks     int
}

// State returns the state.
func (h *Health) State() State { return h.state }

// Observe counts evidence for a recovery: requests in a row without error and health checks passed in a row.
func (h *Health) Observe(e Evidence) {
	if e.Errors > 0 {
		h.goodRun = 0
	} else {
		h.goodRun += e.Requests
	}
	switch {
	case e.Requests > 0 && e.Errors >= e.Requests:
		h.badRun += max(1, math.Round(e.Errors)) // a rate times an interval is not quite a whole number
	case e.Errors > 0:
		h.badRun = 1 // the last one may have failed
	case e.Requests > 0:
		h.badRun = 0
	}
	if e.FailedChecks > 0 {
		h.goodChecks = 0
	} else {
		h.goodChecks += e.PassedChecks
	}
}

// FailedInARow returns how many requests failed since the last good one. In a tick that has both the order is not
// known, and one is taken to have failed last. A balancer that leaves an instance
// alone for failing soon gives it too few requests for any rate.
func (h *Health) FailedInARow() float64 { return h.badRun }

// smoothTo moves the smoothed score towards raw: within about 5 s down, 30 s up. A degraded instance rises only on
// evidence, else the few requests that it still gets would restore it.
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

// confidence returns n/(n+50), and 1 while the instance is not healthy: a sick instance gets few requests, and
// thinking better of it for that reason would restore it. For the same reason an instance whose requests mostly
// fail is believed after a few of them: e failures that an even chance would have spared count 1-2^-e.
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

// step moves the state by the score of one tick.
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

// Freshness returns how much a score of the given age still says: all up to two report periods, then half after each
// 30 s, nothing after 180 s.
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

// Shrink pulls a smoothed score to neutral where evidence is thin or old, and lets health checks have the last
// word: only they can make a score 0. Without evidence the score is neutral, not bad.
func Shrink(gate, neutral, confidence, freshness, smooth float64) float64 {
	return min(max(gate*(neutral+confidence*freshness*(smooth-neutral)), 0), 1)
}
