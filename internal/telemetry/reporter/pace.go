package reporter

import (
	"math"

	"github.com/smartlb/smartlb/internal/base/pace"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// A proxy reports on a small fleet at each interval and on a larger one in
// rounds (package pace). Rounds report on all instances at once: similar
// records in one batch compress best. Between rounds an instance is reported on
// at once when its traffic changed, so that news travel as fast as in a small
// fleet. Rounds end just before the full ten seconds of the wall clock, so that
// the windows of the analyzer hold whole rounds.

// round reports whether it is time for all instances.
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

// tick is what was counted of an instance at one moment.
type tick struct {
	requests, errors uint64
	at               int64
}

// What is worth a report between rounds.
const (
	errorStep  = .2 // the failed share differs by this from what was reported
	errorShare = .5 // or is at least this
	rateSigmas = 6  // the number of requests is this many standard deviations from what is expected by the reported rate, and
	rateStep   = .5 // by this share of it
)

// changed looks at what happened since the last look, and reports whether that
// differs from what was reported last.
func (c *counted) changed(l *upstream.Live, now int64) bool {
	before := c.seen
	c.seen = tick{l.Requests.Load(), l.Errors.Load(), now}
	n := float64(c.seen.requests - before.requests)
	if !c.told {
		if n == 0 {
			c.at = now // readers take the first report for one interval's
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

// digits keeps four significant digits: estimates have no more.
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
