package report

import (
	"math"
	"time"
)

// defaultSteady is the default of the longest pause. Readers use a report for three of the sender's pauses.
const defaultSteady = 30 * time.Second

// Thresholds for a report before the pause ends.
const (
	usageStep  = 0.15 // CPU or utilization differs by this from the last report
	errorStep  = 0.2  // the share of failed requests differs by this from the last report
	rateSigmas = 6    // the number of requests is this many standard deviations from the number expected at the reported rate, and
	rateStep   = 0.5  // differs by this share of the expected number
)

// look holds the measurements at the end of one interval.
type look struct {
	at               time.Time
	requests, errors uint64
	cpu, utilization *float64
}

// pace decides when the next report is due. After each interval it compares the measurements with the last report;
// while they do not differ, the pause between reports doubles. The zero value has no last report.
type pace struct {
	last     look
	next     time.Time     // when the next report is due
	pause    time.Duration // between the last report and next
	reported Report        // the last report
	rps      float64
	failed   float64
	cpu      mean // since the last report
	busy     mean
	changed  bool
}

// mean is the mean of the measurements since the last report, so that usage and rate of a report cover the same span.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v *float64) {
	if v != nil {
		m.sum += *v
		m.n++
	}
}

func (m *mean) value() *float64 {
	if m.n == 0 {
		return nil
	}
	v := m.sum / float64(m.n)
	return &v
}

// due records a measurement and returns whether a report is due.
func (p *pace) due(l look, cfg *Config) bool {
	p.cpu.add(l.cpu)
	p.busy.add(l.utilization)
	before := p.last
	p.last = l
	p.changed = before.at.IsZero() || p.differs(before, l)
	return p.changed || !l.at.Before(p.next.Add(-cfg.Interval/2))
}

func (p *pace) means() (cpu, utilization *float64) { return p.cpu.value(), p.busy.value() }

func (p *pace) differs(before, l look) bool {
	if apart(l.cpu, p.reported.CPU) || apart(l.utilization, p.reported.Utilization) {
		return true
	}
	n, expected := float64(l.requests-before.requests), p.rps*l.at.Sub(before.at).Seconds()
	if off := math.Abs(n - expected); off > rateSigmas*math.Sqrt(max(n, expected, 1)) && off > rateStep*expected {
		return true
	}
	return n > 0 && math.Abs(min(float64(l.errors-before.errors)/n, 1)-p.failed) >= errorStep
}

func apart(a, b *float64) bool {
	if a == nil || b == nil {
		return (a == nil) != (b == nil)
	}
	return math.Abs(*a-*b) >= usageStep
}

// published records that r was published, and sets the time of the next report.
func (p *pace) published(r *Report, interval, steady time.Duration) {
	p.pause = min(2*p.pause, steady)
	if p.changed || p.pause < interval {
		p.pause = interval
	}
	p.next = r.Time.Add(p.pause)
	p.reported, p.rps, p.failed = Report{CPU: r.CPU, Utilization: r.Utilization}, r.RPS(), 0
	if rate := r.ErrorRate(); rate != nil {
		p.failed = *rate
	}
	p.cpu, p.busy = mean{}, mean{}
}
