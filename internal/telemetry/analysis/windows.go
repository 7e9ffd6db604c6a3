package analysis

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

const (
	grace      = 5 * time.Second  // a window is final this long after its end, by the analyzer's clock, even if input stops
	earlyShort = 2 * time.Second  // least time between early revisions of a 10 s window
	earlyLong  = 10 * time.Second // the same for a 60 s window
)

// windowKey identifies a window of one instance or service.
type windowKey struct {
	size  time.Duration
	start int64 // Unix seconds
}

func (k windowKey) from() time.Time { return time.Unix(k.start, 0).UTC() }
func (k windowKey) to() time.Time   { return k.from().Add(k.size) }

func (k windowKey) early() time.Duration {
	if k.size == window.Short {
		return earlyShort
	}
	return earlyLong
}

// windowState records what was emitted for a window.
type windowState struct {
	dirty   bool // it has input that was not emitted
	fresh   bool // some of that input is not replayed: the previous owner cannot have emitted it
	final   bool // a final revision was emitted
	emitted time.Time
	late    uint64
}

// windowSet holds the windows that may still change.
type windowSet map[windowKey]*windowState

// touch marks the windows that contain t; fresh unless the input is replayed.
func (w *windowSet) touch(t time.Time, fresh bool) {
	if *w == nil {
		*w = windowSet{}
	}
	for _, size := range [...]time.Duration{window.Short, window.Long} {
		k := windowKey{size, window.Start(t, size).Unix()}
		s := (*w)[k]
		if s == nil {
			s = &windowState{}
			(*w)[k] = s
		}
		s.dirty, s.fresh = true, s.fresh || fresh
	}
}

func (w windowSet) late(t time.Time) {
	for _, size := range [...]time.Duration{window.Short, window.Long} {
		if s := w[windowKey{size, window.Start(t, size).Unix()}]; s != nil {
			s.late++
			s.dirty = true
		}
	}
}

// due calls emit for each window with new content, oldest first, and drops old windows. While replaying it only records
// what the previous owner emitted at that time, and calls emit for final windows, so that state that depends on them is
// made again. Without early there are only final revisions.
func (w windowSet) due(now time.Time, replaying, early bool, emit func(k windowKey, s *windowState, final bool)) {
	keys := slices.SortedFunc(maps.Keys(w), func(a, b windowKey) int {
		if a.start != b.start {
			return int(a.start - b.start)
		}
		return int(a.size - b.size)
	})
	for _, k := range keys {
		s := w[k]
		final := !now.Before(k.to().Add(grace))
		if final && (s.dirty || !s.final) || early && s.dirty && now.Sub(s.emitted) >= k.early() {
			switch {
			case !replaying:
				emit(k, s, final)
				s.dirty, s.fresh, s.final, s.emitted = false, false, final, now
			case !s.fresh:
				if final {
					emit(k, s, final)
				}
				s.dirty, s.final, s.emitted = false, final, now
			}
		}
		if now.Sub(k.to()) > Horizon {
			delete(w, k)
		}
	}
}

// emitWindows writes the windows of a service and its instances.
func (t *Task) emitWindows(s *service, now time.Time, fx *Effects) {
	for _, id := range slices.Sorted(maps.Keys(s.instances)) {
		i := s.instances[id]
		i.windows.due(now, t.replaying, t.rounds.small(), func(k windowKey, w *windowState, final bool) {
			f := i.fold(k.from(), k.to())
			m := aggregated(&f, k, final)
			if final && k.size == window.Short {
				t.observeCapacity(i, &m)
			}
			if t.replaying {
				return
			}
			m.ServiceID, m.InstanceID, m.Tags, m.LateDropped = s.id, id, i.tags, w.late
			proxy, self := i.sources(k.from(), k.to())
			m.Sources = sourceNames(proxy, self)
			if k.size == window.Short && !t.rounds.small() { // quantiles stay; the sketch is in the long window
				m.Latency.Sketch, m.Latency.SketchType, m.Latency.Alpha = nil, "", event.Optional{}
			}
			t.emitWindow(m, now, fx)
		})
	}
	s.windows.due(now, t.replaying, t.rounds.small(), func(k windowKey, _ *windowState, final bool) {
		if t.replaying {
			return
		}
		var all window.Fold
		proxy, self := false, false
		for _, id := range slices.Sorted(maps.Keys(s.instances)) {
			f := s.instances[id].fold(k.from(), k.to())
			all.Merge(&f)
			p, o := s.instances[id].sources(k.from(), k.to())
			proxy, self = proxy || p, self || o
		}
		m := aggregated(&all, k, final)
		m.ServiceID, m.InstanceID, m.Sources = s.id, event.InstanceAll, sourceNames(proxy, self)
		t.emitWindow(m, now, fx)
	})
}

func (t *Task) emitWindow(m event.MetricsAggregated, now time.Time, fx *Effects) {
	if m.Samples == 0 && m.LateDropped == 0 {
		return
	}
	m.Revision = t.next(now)
	t.emit(event.TopicMetricsAggregated, m.ServiceID, m, fx)
}

// emit writes a message. A message that violates its own schema is a bug; emit counts it instead.
func (t *Task) emit(topic, key string, m interface{ Encode() ([]byte, error) }, fx *Effects) {
	value, err := m.Encode()
	if err != nil {
		t.dropped["invalid-"+topic]++
		return
	}
	fx.add(Record{Topic: topic, Key: []byte(key), Value: value})
}

// aggregated converts a fold to a message.
func aggregated(f *window.Fold, k windowKey, final bool) event.MetricsAggregated {
	m := event.MetricsAggregated{
		WindowStart: k.from(), WindowEnd: k.to(), WindowSec: int(k.size / time.Second), Final: final, Samples: f.Samples,
		ErrorRate: rounded(f.ErrorRate()), Latency: roundedLatency(f.Latency()), ActiveConnections: roundedGauge(f.Active.Gauge()),
		CPU: roundedGauge(f.CPU.Gauge()), Memory: roundedGauge(f.Memory.Gauge()), Utilization: roundedGauge(f.Utilization.Gauge()),
		Coverage: event.Some(round(min(f.Covered.Seconds()/k.size.Seconds(), 1))),
	}
	if f.HasRate {
		m.Requests = event.Some(round(f.Requests))
		span := k.size
		if !final {
			span = min(max(f.Covered, time.Second), k.size) // the part with reports so far
		}
		m.RPS = event.Some(round(f.Requests / span.Seconds()))
	}
	if f.HasError {
		m.Errors = event.Some(round(f.Errors))
	}
	return m
}

func sourceNames(proxy, self bool) []string {
	var out []string
	if proxy {
		out = append(out, "proxy")
	}
	if self {
		out = append(out, "self")
	}
	return out
}

// rounded keeps four decimals, as round does.
func rounded(o event.Optional) event.Optional {
	o.Value = round(o.Value)
	return o
}

func roundedGauge(g event.Gauge) event.Gauge {
	return event.Gauge{Last: rounded(g.Last), Max: rounded(g.Max), Avg: rounded(g.Avg)}
}

// roundedLatency keeps microseconds; a sketch is within 1 % anyway.
func roundedLatency(l event.Latency) event.Latency {
	for _, o := range []*event.Optional{&l.Sum, &l.Min, &l.Max, &l.P50, &l.P90, &l.P95, &l.P99} {
		o.Value = math.Round(o.Value*1e3) / 1e3
	}
	return l
}
