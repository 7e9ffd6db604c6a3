package reporter

import (
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Limits of the time span of a report's rate, in seconds.
const (
	minSpan = .05
	maxSpan = 60
)

// counted holds an instance's counters as of the last report.
type counted struct {
	requests, errors uint64
	hist             [upstream.HistBuckets]uint32
	at               int64
	published        bool    // a report was published
	seen             tick    // counters at the last check
	rps, failed      float64 // rates of the last report
	load             int64   // time of the last published report of the instance in a response
}

// report publishes one service-metrics message for every instance that had traffic since its last report, when a round
// is due. Between rounds it does so only for instances whose traffic changed. Values that a proxy cannot know (cpu,
// memory) are absent.
func (r *Reporter) report(lives Lives) {
	now := r.cfg.Now()
	round := r.round(now)
	present := make(map[*upstream.Live]bool, len(r.seen))
	lives.EachLive(func(l *upstream.Live, tags map[string]string) {
		present[l] = true
		last := r.seen[l]
		if last == nil {
			last = &counted{at: now - int64(r.cfg.Interval)}
			r.seen[l] = last
		}
		if round {
			r.reportLoad(l, last, tags)
		}
		if changed := last.changed(l, now); !changed && !round {
			return
		}
		if m, headers, ok := r.measure(l, last, now); ok {
			m.Tags = tags
			r.send(event.TopicServiceMetrics, l.Service, m.AppendJSON(nil), headers, &r.stats.reports)
		}
	})
	for l := range r.seen {
		if !present[l] {
			delete(r.seen, l)
			r.forget(l)
		}
	}
}

// forget drops the state of an instance that was removed.
func (r *Reporter) forget(l *upstream.Live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.said, [2]string{l.Service, l.Instance})
}

func (r *Reporter) measure(l *upstream.Live, last *counted, now int64) (event.ServiceMetrics, []kafka.Header, bool) {
	errors, requests := l.Errors.Load(), l.Requests.Load()
	n := requests - last.requests
	failed := min(errors-last.errors, n) // an error whose request counts in the next span is left for that span
	if n == 0 {
		if !last.published {
			last.at = now // the first report covers only its own interval
		}
		return event.ServiceMetrics{}, nil, false
	}
	// The rate covers the time since the last report, not since the last tick. A reader that multiplies it by that gap
	// (at most a minute) gets the number of requests.
	span := min(max(float64(now-last.at)/1e9, minSpan), maxSpan)
	last.requests, last.errors, last.at, last.published = requests, last.errors+failed, now, true
	last.rps, last.failed = float64(n)/span, float64(failed)/float64(n)
	m := event.ServiceMetrics{
		Timestamp: r.wall(now), ServiceID: l.Service, InstanceID: l.Instance,
		Metrics: event.Metrics{
			RPS:               event.Some(round(last.rps, 1e3)),
			ErrorRate:         event.Some(round(last.failed, 1e6)),
			ActiveConnections: event.Some(float64(max(0, l.InFlight.Load()))),
		},
	}
	headers := r.reporter
	if sketch := sketchOf(l, last); sketch != nil {
		if p95, err := sketch.GetValueAtQuantile(.95); err == nil {
			m.Metrics.P95Latency = event.Some(round(p95, 1e3))
		}
		var encoded []byte
		sketch.Encode(&encoded, false)
		headers = append(headers[:len(headers):len(headers)], kafka.Header{Key: event.HeaderLatency, Value: encoded})
	}
	return m, headers, true
}

// sketchOf converts the latencies counted since the last report to a sketch in milliseconds, nil if there were none.
func sketchOf(l *upstream.Live, last *counted) *ddsketch.DDSketch {
	var sketch *ddsketch.DDSketch
	for b := range l.Hist {
		count := uint32(l.Hist[b].Load())
		n := count - last.hist[b]
		last.hist[b] = count
		if n == 0 {
			continue
		}
		if sketch == nil {
			m, err := mapping.NewLogarithmicMapping(event.SketchAlpha)
			if err != nil {
				return nil // alpha is a constant within (0, 1)
			}
			sketch = ddsketch.NewDDSketchFromStoreProvider(m, store.BufferedPaginatedStoreConstructor)
		}
		_ = sketch.AddWithCount(upstream.HistMiddle(b)/1e6, float64(n))
	}
	return sketch
}

// round keeps messages readable: the removed digits are far below the measured precision.
func round(v, steps float64) float64 { return math.Round(v*steps) / steps }
