package collector

import (
	"math"
	"time"

	"github.com/smartlb/smartlb/internal/base/promtext"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

// maxGap is the longest time between two scrapes from which a rate is computed.
const maxGap = 5 * time.Minute

// sampler makes messages of the pages of one instance. It keeps the counters of the page before.
type sampler struct {
	exprs [config.NumScraped]promtext.Expr
	known [config.NumScraped]bool // the service has this number

	at               time.Time
	requests, errors promtext.Value
}

// newSampler returns the sampler of checked settings.
func newSampler(m config.ScrapeMetrics, parse func(string) (promtext.Expr, error)) (*sampler, error) {
	s := &sampler{}
	for i, text := range m.Exprs() {
		if text == "" {
			continue
		}
		e, err := parse(text)
		if err != nil {
			return nil, err
		}
		s.exprs[i], s.known[i] = e, true
	}
	return s, nil
}

// wanted returns the expressions of the numbers that the service has.
func (s *sampler) wanted() (exprs []promtext.Expr) {
	for i, known := range s.known {
		if known {
			exprs = append(exprs, s.exprs[i])
		}
	}
	return exprs
}

// spread returns the values of wanted by their place.
func (s *sampler) spread(values []promtext.Value) (all [config.NumScraped]promtext.Value) {
	for i, known := range s.known {
		if known {
			all[i], values = values[0], values[1:]
		}
	}
	return all
}

// metrics converts the numbers of a page that was read at a time. Rates are of the time since the page before, and unknown if
// a counter fell: the instance began anew. The result may be empty.
func (s *sampler) metrics(values []promtext.Value, at time.Time) event.Metrics {
	return s.measure(s.spread(values), at)
}

func (s *sampler) measure(v [config.NumScraped]promtext.Value, at time.Time) (m event.Metrics) {
	m.Utilization, m.CPUUsage, m.MemoryUsage = share(v[config.ScrapedUtilization]), share(v[config.ScrapedCPU]), share(v[config.ScrapedMemory])
	for _, n := range []promtext.Value{v[config.ScrapedInFlight], v[config.ScrapedQueue]} {
		if n.Known && n.V >= 0 {
			m.ActiveConnections = event.Some(round(m.ActiveConnections.Value + n.V))
		}
	}
	requests, errors := v[config.ScrapedRequests], v[config.ScrapedErrors]
	gap := at.Sub(s.at)
	if n, ok := increase(s.requests, requests); ok && gap > 0 && gap <= maxGap {
		m.RPS = event.Some(round(n / gap.Seconds()))
		if failed, ok := increase(s.errors, errors); ok && n > 0 {
			m.ErrorRate = event.Some(min(round(failed/n), 1))
		}
	}
	s.at, s.requests, s.errors = at, requests, errors
	return m
}

// increase returns by how much a counter grew.
func increase(before, now promtext.Value) (float64, bool) {
	return now.V - before.V, before.Known && now.Known && before.V >= 0 && now.V >= before.V
}

// share returns a number of 0..1. A number above 1 is 1, a negative one is unknown.
func share(v promtext.Value) event.Optional {
	if !v.Known || v.V < 0 {
		return event.Optional{}
	}
	return event.Some(min(round(v.V), 1))
}

// round removes digits that carry no information.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }
