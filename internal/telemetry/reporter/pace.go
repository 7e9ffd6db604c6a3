package reporter

import (
	"math"

	"github.com/smartlb/smartlb/internal/base/pace"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// A proxy reports on a small fleet at each interval and on a larger fleet in rounds (package pace). A round reports on
// all instances at once, because similar records in one batch compress best. Between rounds an instance is reported at
// once if its traffic changed, so that changes are published as fast as in a small fleet. Rounds end just before the
// full ten seconds of the wall clock, so that the analyzer's windows contain whole rounds.

// round reports whether a report on all instances is due.
func (r *Reporter) round(now int64) bool {
	every := pace.Rounds(len(r.seen), r.cfg.Interval)
	if every <= r.cfg.Interval {
		return true
	}
	slot := (r.wall(now).UnixNano() + int64(r.cfg.Interval)) / int64(every)
	if slot == r.slot {
		return false
	}
	r.slot = slot
	return true
}

// tick holds an instance's counters at one moment.
type tick struct {
	requests, errors uint64
	at               int64
}

// Changes that justify a report between rounds.
const (
	errorStep  = .2 // the failed share differs by this from the last report
	errorShare = .5 // or is at least this
	rateSigmas = 6  // the number of requests differs by this many standard deviations from the number expected from the reported rate, and
	rateStep   = .5 // by this share of it
)

// changed compares the traffic since the last check with the last report, and reports whether it differs.
func (c *counted) changed(l *upstream.Live, now int64) bool {
	before := c.seen
	c.seen = tick{l.Requests.Load(), l.Errors.Load(), now}
	n := float64(c.seen.requests - before.requests)
	if !c.published {
		if n == 0 {
			c.at = now // readers assume that the first report covers one interval
		}
		return n > 0
	}
	expected := c.rps * float64(now-before.at) / 1e9
	if off := math.Abs(n - expected); off > rateSigmas*math.Sqrt(max(n, expected, 1)) && off > rateStep*expected {
		return true
	}
	if n == 0 {
		return false
	}
	failed := min(float64(c.seen.errors-before.errors)/n, 1)
	return failed >= errorShare || math.Abs(failed-c.failed) >= errorStep
}

// digits keeps four significant digits: estimates are not more precise.
func digits(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	if math.IsInf(scale, 0) || scale == 0 {
		return v
	}
	return math.Round(v*scale) / scale
}
