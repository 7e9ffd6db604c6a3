package report

import (
	"math"
	"time"
)

// defaultSteady is the longest pause by default. Readers believe a report for three of the sender's pauses.
const defaultSteady = 30 * time.Second

// What is worth a report before its time.
const (
	usageStep  = 0.15 // CPU or utilization differ by this from what was reported
	errorStep  = 0.2  // the failed share differs by this from what was reported
	rateSigmas = 6    // the number of requests is this many standard deviations from what the reported rate lets expect, and
	rateStep   = 0.5  // by this share of it
)

// look is what is seen at one interval.
type look struct {
	at               time.Time
	requests, errors uint64
	cpu, utilization *float64
}

// pace decides when the next report is due. Each interval it looks at what happened; while that is what was reported
// last, the pause between reports doubles. The zero value has reported nothing.
type pace struct {
	last     look
	next     time.Time     // when the next report is due
	pause    time.Duration // before it
	reported Report        // what was reported last
	rps      float64
	failed   float64
	cpu      mean // since then
	busy     mean
	changed  bool
}

// mean is the mean of the looks since the last report: a report tells the usage of the span that its rate is of.
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

// due takes a look and reports whether it is time for a report.
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

// published notes a report.
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
