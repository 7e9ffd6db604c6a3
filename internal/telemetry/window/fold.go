package window

import (
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Fold adds up reports of a span. The zero value is empty.
type Fold struct {
	Samples  int           // reports
	Covered  time.Duration // time span that one reporter's reports cover; the longest of several reporters
	Newest   time.Time     // of the reports
	Requests float64       // rps times gap
	Errors   float64       // requests times error rate
	HasRate  bool          // requests are known
	HasError bool          // errors are known

	Active, CPU, Memory, Utilization Level

	sketch    *Sketch // merged latencies, nil: none
	maxP95    float64 // highest p95 of reports without a sketch
	hasMaxP95 bool
}

// Level folds a gauge: the latest value, the highest and the mean of the reports.
type Level struct {
	At        time.Time
	Last, Max float64
	sum       float64
	n         int
}

func (l *Level) add(at time.Time, o event.Optional) {
	if !o.Set {
		return
	}
	if l.n == 0 || !at.Before(l.At) {
		l.At, l.Last = at, o.Value
	}
	l.Max = max(l.Max, o.Value)
	l.sum += o.Value
	l.n++
}

// Known reports whether there was any value.
func (l *Level) Known() bool { return l.n > 0 }

// Gauge returns the level in the form of messages.
func (l *Level) Gauge() event.Gauge {
	if l.n == 0 {
		return event.Gauge{}
	}
	return event.Gauge{Last: event.Some(l.Last), Max: event.Some(l.Max), Avg: event.Some(l.sum / float64(l.n))}
}

// plus adds another reporter's values of the same gauge: connections through two proxies add up.
func (l *Level) plus(o *Level) {
	if o.n == 0 {
		return
	}
	mean := o.sum / float64(o.n)
	if l.n > 0 {
		mean += l.sum / float64(l.n)
	}
	if o.At.After(l.At) {
		l.At = o.At
	}
	l.Last += o.Last
	l.Max += o.Max
	l.n += o.n
	l.sum = mean * float64(l.n)
}

// Add adds the reports of one reporter within [from, to). Several reporters of the same kind (proxies) add up.
func (f *Fold) Add(s *Series, from, to time.Time) {
	var covered time.Duration
	var active Level
	s.Each(from, to, func(r *Report, gap time.Duration) {
		f.Samples++
		covered += gap
		if r.At.After(f.Newest) {
			f.Newest = r.At
		}
		m := &r.Metrics
		if m.RPS.Set {
			n := m.RPS.Value * gap.Seconds()
			f.Requests += n
			f.HasRate = true
			if m.ErrorRate.Set {
				f.Errors += n * m.ErrorRate.Value
				f.HasError = true
			}
		}
		active.add(r.At, m.ActiveConnections)
		f.CPU.add(r.At, m.CPUUsage)
		f.Memory.add(r.At, m.MemoryUsage)
		f.Utilization.add(r.At, m.Utilization)
		f.addLatency(r)
	})
	f.Active.plus(&active)
	f.Covered = max(f.Covered, min(covered, to.Sub(from)))
}

func (f *Fold) addLatency(r *Report) {
	if r.Sketch != nil {
		if f.sketch == nil {
			f.sketch = NewSketch()
		}
		if f.sketch.Merge(r.Sketch) == nil {
			return
		}
	}
	if r.Metrics.P95Latency.Set {
		f.maxP95, f.hasMaxP95 = max(f.maxP95, r.Metrics.P95Latency.Value), true
	}
}

// Merge adds the fold of another instance: its requests, errors, latencies and connections. Levels of resource use are
// left out because they do not add up.
func (f *Fold) Merge(o *Fold) {
	f.Samples += o.Samples
	f.Covered = max(f.Covered, o.Covered)
	if o.Newest.After(f.Newest) {
		f.Newest = o.Newest
	}
	f.Requests += o.Requests
	f.Errors += o.Errors
	f.HasRate = f.HasRate || o.HasRate
	f.HasError = f.HasError || o.HasError
	f.Active.plus(&o.Active)
	if o.sketch != nil {
		if f.sketch == nil {
			f.sketch = NewSketch()
		}
		f.sketch.MergeWith(o.sketch)
	}
	if o.hasMaxP95 {
		f.maxP95, f.hasMaxP95 = max(f.maxP95, o.maxP95), true
	}
}

// P95 returns the 95th percentile in milliseconds and its source. The source is the merged sketches if every report has
// a sketch, else the highest reported value. That value is an upper bound; percentiles must not be averaged.
func (f *Fold) P95() (event.Optional, string) {
	var p float64
	sketched := false
	if f.sketch != nil {
		p, sketched = f.sketch.Quantile(0.95)
	}
	switch {
	case sketched && f.hasMaxP95:
		return event.Some(max(p, f.maxP95)), event.P95FromMixed
	case sketched:
		return event.Some(p), event.P95FromSketch
	case f.hasMaxP95:
		return event.Some(f.maxP95), event.P95FromMax
	}
	return event.Optional{}, ""
}

// Latency returns the latencies in the form of messages, with the merged sketch.
func (f *Fold) Latency() event.Latency {
	p95, source := f.P95()
	out := event.Latency{P95: p95, P95Source: source}
	if f.sketch == nil || f.sketch.Count() == 0 {
		return out
	}
	at := func(q float64) event.Optional {
		v, ok := f.sketch.Quantile(q)
		return event.Optional{Value: v, Set: ok}
	}
	out.Count, out.Sum = event.Some(f.sketch.Count()), event.Some(f.sketch.Sum())
	out.Min, out.Max = at(0), at(1)
	out.P50, out.P90, out.P99 = at(0.5), at(0.9), at(0.99)
	out.Sketch = f.sketch.Encode(nil)
	out.SketchType, out.Alpha = event.SketchDDSketch, event.Some(alpha)
	return out
}

// ErrorRate returns errors over requests, unknown if either is unknown.
func (f *Fold) ErrorRate() event.Optional {
	if !f.HasError || f.Requests <= 0 {
		return event.Optional{}
	}
	return event.Some(min(f.Errors/f.Requests, 1))
}

// Combine joins the proxies' measurements with the instance's own reports, field by field. Requests, errors, latency
// and connections are those of the proxies if they have any. This is the clients' view; rates of both must never be
// added, because they count the same requests. Levels of resource use are always the instance's own.
func Combine(proxies, self *Fold) Fold {
	out := *self
	out.Samples += proxies.Samples
	out.Covered = max(out.Covered, proxies.Covered)
	if proxies.Newest.After(out.Newest) {
		out.Newest = proxies.Newest
	}
	if proxies.HasRate {
		out.Requests, out.HasRate = proxies.Requests, true
		out.Errors = proxies.Errors
		if !proxies.HasError && self.HasError && self.Requests > 0 {
			out.Errors = proxies.Requests * self.Errors / self.Requests
		}
		out.HasError = proxies.HasError || self.HasError
	}
	if proxies.sketch != nil || proxies.hasMaxP95 {
		out.sketch, out.maxP95, out.hasMaxP95 = proxies.sketch, proxies.maxP95, proxies.hasMaxP95
	}
	if proxies.Active.Known() {
		out.Active = proxies.Active
	}
	return out
}
