package analysis

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/score"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

const (
	minPeriod = time.Second
	maxPeriod = 60 * time.Second
	staleMin  = 10 * time.Second // an instance's report about itself is valid for three of its periods, at least this long
	staleMax  = 90 * time.Second
)

// Punctuate processes the time, about every second: it emits due windows, scores and alerts.
func (t *Task) Punctuate(now time.Time, fx *Effects) {
	t.rounds.tick(t.size(), now)
	for _, id := range slices.Sorted(maps.Keys(t.services)) {
		s := t.services[id]
		t.emitWindows(s, now, fx)
		t.emitScores(s, now, fx)
		t.forget(s, now)
	}
	if !t.replaying {
		t.judgeNodes(now, fx)
		t.judgeQuota(now, fx)
		for _, a := range t.alerts.Due(now) {
			t.emit(event.TopicAlerts, a.Fingerprint, a, fx)
		}
	}
}

// forget drops reports that no window needs any more, instances without input for the horizon, and services without
// instances. It runs after the windows were emitted: one batch of a reader that lags may span minutes.
func (t *Task) forget(s *service, now time.Time) {
	for _, i := range s.instances {
		if !t.replaying { // input read beyond the replay is not emitted yet
			i.evict()
		}
		if now.Sub(i.touched) > Horizon {
			t.drop(s, i)
		}
	}
	if len(s.instances) == 0 {
		delete(t.services, s.id)
	}
}

// view is the data of one instance at one tick.
type view struct {
	i      *instance
	recent window.Fold // the last 30 s
	checks checked
	self   event.Metrics // its latest report about itself, if still valid
	selfOK bool

	failing bool // its last requests failed, see instance.failing
}

func (t *Task) emitScores(s *service, now time.Time, fx *Effects) {
	var views []view
	var pool []score.Sample
	var healths []*score.Health
	for _, id := range slices.Sorted(maps.Keys(s.instances)) {
		i := s.instances[id]
		v := view{i: i, checks: i.checks(now), recent: i.recent(now, score.Window)}
		v.self, v.selfOK = i.selfReport(now)
		i.tick(v.recent.Requests > 0, now)
		v.failing = i.failing(now)
		views = append(views, v)
		pool = append(pool, v.sample())
		healths = append(healths, &i.health)
	}
	round := t.rounds.round
	for n, verdict := range score.Tick(pool, healths, now) {
		v := &views[n]
		h := t.healthScore(v, verdict, now)
		t.judge(v, now, fx)
		if t.replaying || same(h, v.i.published) || !round && !notable(h, v.i.published) {
			continue
		}
		h.Seq = t.next(now)
		v.i.published = h
		t.emit(event.TopicHealthScores, s.id, h, fx)
	}
}

// tick passes on the evidence since the last tick: that of proxies, if there is any.
func (i *instance) tick(busy bool, now time.Time) {
	e := i.own
	if i.proxied.Requests > 0 || i.throughProxies(now) {
		e = i.proxied // an instance's own report must not end a run of failures that proxies see
	}
	e.PassedChecks, e.FailedChecks = i.proxied.PassedChecks, i.proxied.FailedChecks
	i.health.Observe(e)
	if i.health.FailedInARow() == 0 {
		i.failedSince = time.Time{}
	} else if i.failedSince.IsZero() {
		i.failedSince = now
	}
	i.errorRate.Observe(e.Requests, e.Errors)
	i.proxied, i.own = score.Evidence{}, score.Evidence{}
	if !busy {
		i.errorRate = score.ErrorRate{} // no requests for 30 s: the old rate no longer applies
	}
}

// failing reports whether the last requests failed: three in a row, or two if requests are so rare that no third
// arrived within five seconds.
func (i *instance) failing(now time.Time) bool {
	run := i.health.FailedInARow()
	return run >= failingErrors || run >= failingRare && now.Sub(i.failedSince) >= failingSpan
}

func (v *view) sample() score.Sample {
	p95, _ := v.recent.P95()
	s := score.Sample{Requests: v.recent.Requests, Errors: v.recent.Errors, P95Ms: p95.Value, Gate: v.checks.gate()}
	if v.failing { // the last results count until a success, however old they are
		s.Requests = max(v.i.health.FailedInARow(), failingWeight)
		s.Errors = s.Requests
	}
	if v.selfOK {
		s.Utilization = busy(v.self).Value
		s.Memory = v.self.MemoryUsage.Value
	}
	return s
}

// selfReport returns the latest numbers of the instance about itself while they are valid: its own message, else what smartlb
// read from it. Of several collectors, it prefers one that knows the utilization, then the first by name.
func (i *instance) selfReport(now time.Time) (found event.Metrics, ok bool) {
	for _, reporter := range slices.Sorted(maps.Keys(i.series)) { // its own message is the first one
		if !event.FromInstance(reporter) {
			continue
		}
		m, valid := i.series[reporter].latest(now)
		if !valid || ok && !busy(m).Set {
			continue
		}
		if found, ok = m, true; reporter == event.ReporterSelf || busy(m).Set {
			return found, true
		}
	}
	return found, ok
}

// latest returns the latest report while it is valid: for three intervals of its reporter, within bounds.
func (s *series) latest(now time.Time) (event.Metrics, bool) {
	r, ok := s.Newest()
	if !ok {
		return event.Metrics{}, false
	}
	holds := staleMin
	if p, ok := s.Longest(); ok {
		holds = min(max(3*p, staleMin), staleMax)
	}
	return r.Metrics, s.silent(now) <= holds
}

func (t *Task) healthScore(v *view, verdict score.Verdict, now time.Time) event.HealthScore {
	i := v.i
	h := event.HealthScore{
		ServiceID: i.service.id, InstanceID: i.id, Timestamp: now.UTC().Truncate(time.Millisecond), Score: round(verdict.Score), Raw: event.Some(round(verdict.Raw)),
		Subscores: event.Subscores{
			Errors: event.Some(round(verdict.Factors.Errors)), Latency: event.Some(round(verdict.Factors.Latency)),
			Utilization: event.Some(round(verdict.Factors.Utilization)),
		},
		Confidence: round(verdict.Confidence), Samples: math.Round(v.recent.Requests), State: v.state(verdict.State),
		Ignored: i.ignored.lastMinute(now), AsOf: i.asOf(), PeriodMs: float64(max(i.period(), t.rounds.every).Milliseconds()),
	}
	p95, _ := v.recent.P95()
	h.P95Latency = rounded(p95)
	if e, ok := i.errorRate.Value(); ok {
		h.ErrorRate = event.Some(round(e))
	} else if v.failing {
		h.ErrorRate = event.Some(1)
	}
	h.RPS = rounded(i.rps(now))
	if h.Estimate = i.estimate; !h.RPS.Set {
		h.Estimate.Load = event.Optional{} // of windows of the past
	}
	if v.selfOK {
		h.Utilization = rounded(busy(v.self))
		if c, ok := i.capacity.Value(); ok {
			h.Capacity = event.Some(round(c))
		}
	}
	h.Reasons = v.reasons(verdict)
	return h
}

func (v *view) state(s score.State) string {
	switch {
	case v.checks.status == event.StatusDraining:
		return event.StatusDraining
	case v.checks.status == event.StatusUnhealthy || s == score.Unhealthy:
		return event.StatusUnhealthy
	case v.checks.status == event.StatusDegraded || s == score.Degraded:
		return event.StatusDegraded
	}
	return event.StatusHealthy
}

// reasons returns texts that explain why the score is below 1.
func (v *view) reasons(verdict score.Verdict) []string {
	var out []string
	if v.checks.known && v.checks.status != event.StatusHealthy {
		out = append(out, fmt.Sprintf("health checks say %s", v.checks.status))
	}
	if verdict.Panic {
		out = append(out, "most of the service is bad: its instances are not compared")
	}
	if v.failing {
		out = append(out, fmt.Sprintf("its last %.0f requests failed", v.i.health.FailedInARow()))
	} else if verdict.Factors.Errors < 0.95 && !verdict.Panic {
		out = append(out, fmt.Sprintf("%.0f %% of its requests failed, more than its peers'", 100*v.recent.Errors/max(v.recent.Requests, 1)))
	}
	if p95, _ := v.recent.P95(); verdict.Factors.Latency < 0.95 && p95.Set && !verdict.Panic {
		out = append(out, fmt.Sprintf("p95 of %.0f ms is longer than its peers'", p95.Value))
	}
	if verdict.Factors.Utilization < 0.95 && v.selfOK {
		if u := busy(v.self); u.Value > 0.7 {
			out = append(out, fmt.Sprintf("utilization is %.0f %%", 100*u.Value))
		} else {
			out = append(out, fmt.Sprintf("memory is %.0f %% full", 100*v.self.MemoryUsage.Value))
		}
	}
	return out
}

// asOf returns the time of the latest report, or of the latest health check if there is no report.
func (i *instance) asOf() time.Time {
	at := i.newest
	if at.IsZero() {
		for _, s := range i.senders {
			if s.at.After(at) {
				at = s.at
			}
		}
	}
	if at.IsZero() {
		at = i.touched
	}
	return at.UTC()
}

// period returns the report interval of the instance: that of its most frequent current reporter.
func (i *instance) period() time.Duration {
	best := maxPeriod
	found := false
	for _, s := range i.series {
		r, _ := s.Newest()
		if p, ok := s.Period(); ok && i.newest.Sub(r.At) <= maxPeriod {
			best, found = min(best, p), true
		}
	}
	if !found {
		return minPeriod
	}
	return max(best, minPeriod)
}

// rps returns the current rate: the sum of the proxies' last reports, else the instance's own rate.
func (i *instance) rps(now time.Time) event.Optional {
	var proxies, self event.Optional
	for _, reporter := range slices.Sorted(maps.Keys(i.series)) {
		s := i.series[reporter]
		r, ok := s.Newest()
		p, _ := s.Longest()
		if !ok || !r.Metrics.RPS.Set || s.silent(now) > min(max(3*p, 3*time.Second), maxPeriod) {
			continue
		}
		if isProxy(reporter) {
			proxies = event.Some(proxies.Value + r.Metrics.RPS.Value)
		} else {
			self = event.Some(self.Value + r.Metrics.RPS.Value)
		}
	}
	if proxies.Set {
		return proxies
	}
	return self
}

// same reports whether two scores are equal except for their times.
func same(a, b event.HealthScore) bool {
	a.Timestamp, a.Seq = b.Timestamp, b.Seq
	return reflect.DeepEqual(a, b)
}

// round keeps four digits: smaller changes do not justify a message.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }
