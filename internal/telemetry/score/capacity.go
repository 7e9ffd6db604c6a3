package score

import (
	"math"
	"time"
)

const (
	minRate        = 5.0             // requests per second below which the quotient is noise
	minUtilization = 0.05            // utilization below which the quotient is noise
	tauCapacity    = 5 * time.Second // time constant of the average
	stepDown       = 0.5             // one report moves the estimate's target down to half at most
	stepUp         = 1.5             // and up to one and a half times at most
)

// Capacity estimates an instance's capacity: successful requests per second at full utilization. The zero value has no
// estimate.
//
// The quotient of successful throughput and utilization is that of client-side weighted round robin in gRPC (proposal
// A58). It has no error penalty here, because the picker has its own. Each report's quotient is first limited to
// 0.5..1.5 times the estimate, then averaged exponentially with 5 s: one outlier moves it by a tenth at most.
type Capacity struct {
	value float64
	at    time.Time
}

// Observe processes one report: requests per second, failed share and utilization, all of the same report. It ignores
// reports that are too idle, not finite, or older than the latest.
func (c *Capacity) Observe(rps, errorRate, utilization float64, at time.Time) {
	if !(rps >= minRate) || !(utilization >= minUtilization) || !(errorRate >= 0) || math.IsInf(rps, 0) || !at.After(c.at) {
		return
	}
	raw := rps * (1 - min(errorRate, 1)) / min(utilization, 1)
	if raw <= 0 {
		return
	}
	if c.value == 0 {
		c.value, c.at = raw, at
		return
	}
	target := min(max(raw, stepDown*c.value), stepUp*c.value)
	c.value += decay(at.Sub(c.at), tauCapacity) * (target - c.value)
	c.at = at
}

// Value returns the estimate, false if there is none.
func (c *Capacity) Value() (float64, bool) { return c.value, c.value > 0 }

// ErrorRate tracks the failed share of an instance's requests: each portion of at least 10 requests moves it half way
// to the new value. The zero value has no rate.
type ErrorRate struct {
	value            float64
	known            bool
	requests, errors float64
}

// Observe adds requests and the number of failed requests among them.
func (r *ErrorRate) Observe(requests, errors float64) {
	const enough = 10 // requests needed to compute a rate
	r.requests += usable(requests)
	r.errors += usable(errors)
	if r.requests < enough {
		return
	}
	rate := min(r.errors/r.requests, 1)
	if r.known {
		rate = (r.value + rate) / 2
	}
	r.value, r.known, r.requests, r.errors = rate, true, 0, 0
}

// Value returns the rate, false if there were too few requests.
func (r *ErrorRate) Value() (float64, bool) { return r.value, r.known }
