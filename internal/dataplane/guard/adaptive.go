package guard

import "sync/atomic"

// Latencies adds the latencies of the requests of a service. The zero value is off: it adds nothing. Its methods are safe for
// concurrent use.
type Latencies struct {
	on                  atomic.Bool
	count, sum, running atomic.Int64
}

// Observe adds the latency of a request in nanoseconds, and how many requests ran when it began.
func (l *Latencies) Observe(ns int64, running int) {
	if l.on.Load() {
		l.sum.Add(ns)
		l.running.Add(int64(running))
		l.count.Add(1)
	}
}

// Set switches the measurement on or off.
func (l *Latencies) Set(on bool) { l.on.Store(on) }

// Take returns what was added since the last call.
func (l *Latencies) Take() Sample {
	return Sample{Count: l.count.Swap(0), Latency: l.sum.Swap(0), Running: l.running.Swap(0)}
}

// Sample is what was measured in an interval.
type Sample struct {
	Count   int64 // requests: successful ones, and those that timed out
	Latency int64 // of all of them, in nanoseconds
	Running int64 // requests in flight when they began, of all of them
	Peak    int   // most requests in flight
}

// Adaptive finds how many requests a service can have in flight before they wait in the service: a limit by the gradient of the
// latency, after Netflix's Gradient2 and Envoy's adaptive concurrency. It compares the mean latency of a window with base, the
// latency of the service while it is not overloaded, and uses the mean number of requests in flight when these requests began:
//
//	slow:               limit = used · Tolerance · base / latency + headroom, at least half of used
//	limit was reached:  limit = limit + headroom
//
// Load and a service that became slower look the same. Only a test tells them apart, and each lowered limit is one: if the
// latency does not fall with the requests in flight, load is not the cause, and the former limit returns until the base is
// measured. The base is measured every 30 s if the limit was reached or the base is in doubt: the limit is halved, and again
// until that no longer helps.
//
// These measurements follow the wall clock, so that all nodes of a fleet make them in the same seconds: one node of many hardly
// changes the load of the service. Only they raise the base.
//
// The limit is the ceiling until the latency rises. Without enough requests nothing changes. Failures are no latency; timeouts
// are. It is not safe for concurrent use.
type Adaptive struct {
	Min       int     // lowest limit
	Tolerance float64 // multiple of base up to which the latency may rise, above 1

	limit  float64 // 0: never lowered
	base   float64 // ns; 0: unknown
	sure   bool    // a test has measured the base
	doubt  bool    // a test says that the base is too low
	window Sample
	second int64 // of the wall clock, the latest
	period int64 // of 30 s, the latest
	test   test
}

// test is a lowered limit whose effect is awaited.
type test struct {
	kind   testKind
	began  int64 // second
	before load
	first  load // before the first of several tests that measure the base
}

type testKind uint8

const (
	noTest     testKind = iota
	decrease            // the limit was lowered because the latency was too high
	probe               // the limit was halved to measure the base
	jointProbe          // the same, of all nodes together
)

// load is what a window showed.
type load struct {
	limit   float64 // Adaptive.limit
	used    float64 // requests in flight
	latency float64 // ns
}

const (
	windowRequests = 20  // without which a window goes on
	probePeriod    = 30  // seconds
	maxTest        = 20  // seconds
	settled        = .8  // of the requests in flight before a test: with more, its effect is not visible yet
	confirmed      = 1.1 // factor between a measurement and the base within which no further test is needed
	baseStep       = .25 // of the way to a lower latency: one window with cheap requests is no new base
	headroomShare  = .1  // of a limit, to find out whether the service can do more
)

// Limit returns the limit, at most ceiling. It is 0, no limit, if the ceiling is.
func (a *Adaptive) Limit(ceiling int) int {
	if ceiling == 0 || a.limit == 0 || a.limit >= float64(ceiling) {
		return ceiling
	}
	return min(max(int(a.limit), a.Min), ceiling)
}

// Update adds what was measured since the last call. wall is the time in nanoseconds since the epoch. At the end of a window,
// which lasts a second or until it has enough requests, the limit may change.
func (a *Adaptive) Update(s Sample, ceiling int, wall int64) {
	w := &a.window
	w.Count, w.Latency, w.Running, w.Peak = w.Count+s.Count, w.Latency+s.Latency, w.Running+s.Running, max(w.Peak, s.Peak)
	second := wall / 1e9
	if second == a.second {
		return
	}
	if a.second == 0 {
		a.period = second / probePeriod
	}
	a.second = second
	a.test.began = min(a.test.began, second) // the clock may be set back
	if w.Count < windowRequests || ceiling == 0 {
		return
	}
	now := load{limit: a.limit, used: float64(w.Running) / float64(w.Count), latency: float64(w.Latency) / float64(w.Count)}
	limit := float64(a.Limit(ceiling))
	full := float64(w.Peak) >= limit
	together := second/probePeriod != a.period
	a.window, a.period = Sample{}, second/probePeriod
	if a.base == 0 {
		a.base = now.latency
	}
	if a.test.kind != noTest && !a.judge(now, full) {
		return
	}
	a.base = min(a.base, a.base+baseStep*(now.latency-a.base))
	switch decreasing := a.test.kind == decrease; {
	case together && decreasing && full:
		a.halve(jointProbe, now, a.test.before)
	case together && (full || a.doubt):
		a.doubt = false
		a.halve(jointProbe, now, now)
	case full && !a.sure && !a.doubt && !decreasing:
		a.halve(probe, now, now)
	case a.slow(now) && !a.doubt && (decreasing || a.canLower(now)):
		if !decreasing {
			a.test = test{kind: decrease, began: second, before: now}
		}
		a.lower(max(a.target(now), a.test.before.used/2))
	case full && limit < float64(ceiling) && !a.slow(now):
		a.limit = limit + headroom(limit)
	}
}

func (a *Adaptive) slow(l load) bool { return l.latency > a.Tolerance*a.base }

// target returns the limit with which the latency is Tolerance · base, and the headroom. It follows from Little's law: the
// service answers used / latency requests in a nanosecond.
func (a *Adaptive) target(l load) float64 {
	return l.used*a.Tolerance*a.base/l.latency + headroom(l.used)
}

func headroom(limit float64) float64 { return max(1, limit*headroomShare) }

func (a *Adaptive) lower(limit float64) { a.limit = max(limit, float64(a.Min)) }

// canLower reports whether a lower limit would show an effect.
func (a *Adaptive) canLower(now load) bool { return float64(a.Min) <= now.used*settled }

// halve begins a test that measures the base. Near the lowest limit there is nothing to halve: the latency is the base.
func (a *Adaptive) halve(kind testKind, now, first load) {
	if !a.canLower(now) {
		a.base, a.sure, a.test = now.latency, true, test{}
		a.limit = first.limit
		return
	}
	a.test = test{kind: kind, began: a.second, before: now, first: first}
	a.lower(now.used / 2)
}

// judge evaluates the test under way. It reports whether the window counts as any other.
func (a *Adaptive) judge(now load, full bool) bool {
	t, late := a.test, a.second-a.test.began > maxTest
	cut := now.used / t.before.used
	if cut > settled {
		return a.unsettled(now, late)
	}
	a.test = test{}
	helped := now.latency <= t.before.latency*(1+cut)/2
	switch {
	case t.kind == decrease && helped:
		return true
	case t.kind == decrease:
		a.limit, a.doubt = t.before.limit, true
		return false
	case helped && full && a.canLower(now) && !a.confirms(now):
		a.halve(t.kind, now, t.first)
		return false
	case now.latency < a.base || t.kind == jointProbe:
		a.base, a.sure = now.latency, full || !helped
	default:
		a.doubt = true
	}
	a.limit = t.first.limit
	if a.slow(t.first) && !a.doubt {
		a.lower(a.target(t.first))
	}
	return false
}

// unsettled returns the result of judge while about as many requests are in flight as before the test.
func (a *Adaptive) unsettled(now load, late bool) bool {
	switch {
	case a.test.kind != decrease && !late: // requests of the former limit are in flight
		return false
	case a.test.kind != decrease:
		a.limit, a.test = a.test.first.limit, test{}
	case late || !a.slow(now): // the latency fell without much of a decrease, or it is as high as the headroom makes it
		a.test = test{}
	}
	return true
}

// confirms reports whether a test has measured the base that is known.
func (a *Adaptive) confirms(l load) bool {
	return a.sure && l.latency < a.base*confirmed && l.latency > a.base/confirmed
}
