package analysis

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

// observeCapacity passes a final window of ten seconds to the estimator of the instance. Windows that are final again
// because of late reports count once.
func (t *Task) observeCapacity(i *instance, m *event.MetricsAggregated) {
	rate, proxies := i.rateIn(m.WindowStart, m.WindowEnd)
	i.estimator.Observe(capacity.Window{
		At: m.WindowEnd, Rate: rate, Errors: orNaN(m.ErrorRate), LatencyMs: orNaN(m.Latency.P50), Utilization: orNaN(m.Utilization.Avg), CPU: orNaN(m.CPU.Avg),
		Limit: float64(proxies * t.configured.Limits[i.service.id]), // each proxy has the limit for itself
	})
	e := i.estimator.Estimate()
	i.estimate = event.CapacityEstimate{Bound: e.Bound, Confidence: e.Confidence.String(), Reason: e.Reason}
	if !math.IsNaN(rate) {
		i.estimate.Load = event.Some(round(rate))
	}
	if e.Rate > 0 {
		i.estimate.RPS = event.Some(significant(e.Rate))
	}
}

func orNaN(o event.Optional) float64 {
	if !o.Set {
		return math.NaN()
	}
	return o.Value
}

// significant keeps three digits: smaller changes do not justify a message.
func significant(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	return math.Round(v/unit) * unit
}

// rateIn returns the mean rate of an instance in a span, and how many proxies sent it requests. Proxies add up, each over
// the time that its own reports cover, because in a large fleet a report may cover more than a window. Without proxies, it
// is the rate that the instance reports, and NaN if it reports none.
func (i *instance) rateIn(from, to time.Time) (rate float64, proxies int) {
	own, through := math.NaN(), false
	for _, reporter := range slices.Sorted(maps.Keys(i.series)) {
		s := i.series[reporter]
		v, ok := s.rate(from, to)
		switch {
		case isProxy(reporter):
			through = true
			if ok && v > 0 {
				rate += v
				proxies++
			}
		case ok && math.IsNaN(own): // its own message is the first one
			own = v
		}
	}
	if !through {
		return own, 0
	}
	return rate, proxies
}

// rate returns the mean of the rates that a reporter reported in a span. If the reporter reports less often, it is the
// rate of its next report, else of the one before. It is false if the reporter was silent.
func (s *series) rate(from, to time.Time) (float64, bool) {
	requests, seconds := 0.0, 0.0
	s.Each(from, to, func(r *window.Report, gap time.Duration) {
		if r.Metrics.RPS.Set {
			requests += r.Metrics.RPS.Value * gap.Seconds()
			seconds += gap.Seconds()
		}
	})
	if seconds > 0 {
		return requests / seconds, true
	}
	found, ok := 0.0, false
	longest, _ := s.Longest()
	s.Each(from.Add(-window.MaxGap), to.Add(window.MaxGap), func(r *window.Report, gap time.Duration) {
		before := r.At.Before(to) && to.Sub(r.At) <= longest*3/2
		next := !r.At.Before(to) && gap > r.At.Sub(to)
		if r.Metrics.RPS.Set && (before || next) {
			found, ok = r.Metrics.RPS.Value, true
		}
	})
	return found, ok
}
