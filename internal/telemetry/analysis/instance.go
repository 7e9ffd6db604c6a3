package analysis

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
	"github.com/smartlb/smartlb/internal/telemetry/score"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

// instance is a task's state of one instance.
type instance struct {
	service *service
	id      string
	series  map[string]*series // by reporter
	senders map[string]*sender // of health-status, by reporter
	windows windowSet
	tags    map[string]string

	unconfigured bool // the configuration does not contain it

	touched time.Time // the analyzer's clock at its last input
	newest  time.Time // highest timestamp of its reports

	capacity  score.Capacity // for the picker
	estimator capacity.Estimator
	estimate  event.CapacityEstimate // of the latest window
	errorRate score.ErrorRate
	health    score.Health
	proxied   score.Evidence // since the last tick, reported by proxies
	own       score.Evidence // reported by the instance

	failedSince time.Time // when the first of the current run of failures was seen; zero: no failures

	ignored   ignoredCounts
	published event.HealthScore // last emitted score
}

// series holds the reports of one reporter about an instance.
type series struct {
	window.Series
	heard time.Time // the analyzer's clock at its latest report
}

// silent returns the time since the reporter's latest report, by the analyzer's clock: the reporter's clock may be
// wrong.
func (s *series) silent(now time.Time) time.Duration { return now.Sub(s.heard) }

func newInstance(s *service, id string) *instance {
	return &instance{service: s, id: id, series: map[string]*series{}, senders: map[string]*sender{}}
}

func (i *instance) seeAt(at time.Time) {
	if at.After(i.newest) {
		i.newest = at
	}
}

// evict drops the reports before every window that can still change.
func (i *instance) evict() {
	for _, s := range i.series {
		if newest, ok := s.Newest(); ok {
			s.Evict(newest.At.Add(-keepInput))
		}
	}
}

// observeSelf takes rate and utilization from the same report of the instance: the quotient of numbers from different
// reporters or times would be meaningless.
func (i *instance) observeSelf(r window.Report) {
	if u := busy(r.Metrics); u.Set && r.Metrics.RPS.Set {
		i.capacity.Observe(r.Metrics.RPS.Value, r.Metrics.ErrorRate.Or(0), u.Value, r.At)
	}
}

// busy returns the utilization of the instance: its reported utilization, else its CPU usage.
func busy(m event.Metrics) event.Optional {
	if m.Utilization.Set {
		return m.Utilization
	}
	return m.CPUUsage
}

// pending adds requests to the evidence of the next tick.
func (i *instance) pending(reporter string, requests, errors float64) {
	e := &i.own
	if isProxy(reporter) {
		e = &i.proxied
	}
	e.Requests += requests
	e.Errors += errors
}

func isProxy(reporter string) bool { return strings.HasPrefix(reporter, "proxy/") }

// fold adds up all reports within [from, to), those of proxies and the instance's own; each field comes from the source
// that [window.Combine] defines.
func (i *instance) fold(from, to time.Time) window.Fold {
	var proxies, self window.Fold
	for _, reporter := range slices.Sorted(maps.Keys(i.series)) { // sorted: sums of floats depend on the order
		if isProxy(reporter) {
			proxies.Add(&i.series[reporter].Series, from, to)
		} else {
			self.Add(&i.series[reporter].Series, from, to)
		}
	}
	return window.Combine(&proxies, &self)
}

// recent adds up the reports of the last span. A reporter whose clock is behind is measured by its own clock. For a
// reporter that reports less often than span, its last report counts; otherwise its requests would appear and
// disappear.
func (i *instance) recent(now time.Time, span time.Duration) window.Fold {
	var proxies, self window.Fold
	for _, reporter := range slices.Sorted(maps.Keys(i.series)) {
		s := i.series[reporter]
		newest, _ := s.Newest()
		covered := span
		if gap, ok := s.Longest(); ok {
			covered = max(covered, min(gap, window.MaxGap)*3/2)
		}
		from, to := now.Add(-covered-max(s.heard.Sub(newest.At), 0)), now.Add(maxFuture)
		if isProxy(reporter) {
			proxies.Add(&s.Series, from, to)
		} else {
			self.Add(&s.Series, from, to)
		}
	}
	return window.Combine(&proxies, &self)
}

// sources returns which kinds of reporters have reports within [from, to).
func (i *instance) sources(from, to time.Time) (proxy, self bool) {
	for reporter, s := range i.series {
		s.Each(from, to, func(*window.Report, time.Duration) {
			if isProxy(reporter) {
				proxy = true
			} else {
				self = true
			}
		})
	}
	return proxy, self
}

// late counts a late report in its windows, if they still exist.
func (i *instance) late(at time.Time) { i.windows.late(at) }

const (
	maxTags      = 32
	maxTagLength = 256
)

// fewTags keeps only short tags: tags are for display, and a report may contain 10 MB of them.
func fewTags(tags map[string]string) map[string]string {
	out := make(map[string]string, min(len(tags), maxTags))
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if len(out) == maxTags {
			break
		}
		if v := tags[k]; len(k) <= maxTagLength && len(v) <= maxTagLength {
			out[k] = v
		}
	}
	return out
}

// ignoredCounts counts by reason over the last minute, in seconds of the analyzer's clock.
type ignoredCounts map[string]*[60]ignoredSecond

type ignoredSecond struct {
	second int64
	n      uint64
}

func (i *instance) ignore(reason string, now time.Time) {
	if i.ignored == nil {
		i.ignored = ignoredCounts{}
	}
	ring := i.ignored[reason]
	if ring == nil {
		ring = &[60]ignoredSecond{}
		i.ignored[reason] = ring
	}
	s := now.Unix()
	slot := &ring[s%60]
	if slot.second != s {
		*slot = ignoredSecond{second: s}
	}
	slot.n++
}

// lastMinute returns the counts that are not zero, nil when all are.
func (c ignoredCounts) lastMinute(now time.Time) map[string]uint64 {
	var out map[string]uint64
	for reason, ring := range c {
		var n uint64
		for _, s := range ring {
			if s.second > now.Unix()-60 {
				n += s.n
			}
		}
		if n > 0 {
			if out == nil {
				out = map[string]uint64{}
			}
			out[reason] = n
		}
	}
	return out
}
