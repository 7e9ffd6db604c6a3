package reporter

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// fleet is so many instances and the requests that each gets a second.
func fleet(n int) lives {
	var out lives
	for i := range n {
		out = append(out, upstream.NewLive("s", fmt.Sprint(i), "a:1", 1, 0))
	}
	return out
}

func count(l *upstream.Live, requests, errors int) {
	l.Errors.Add(uint64(errors))
	l.Requests.Add(uint64(requests))
}

func (w *world) second(l lives, each func(i int, l *upstream.Live)) {
	for i, one := range l {
		each(i, one)
	}
	w.now += int64(time.Second)
	w.report(l)
}

func TestLargeFleetsAreReportedOnInRounds(t *testing.T) {
	for _, c := range []struct{ instances, most, least int }{
		{11, 11 * 60, 11 * 60},
		{20, 20 * 60, 20 * 60},
		{200, 200 * 8, 200 * 6}, // the first two are at once
		{1000, 1000 * 8, 1000 * 6},
	} {
		w, l := newWorld(0), fleet(c.instances)
		for range 60 {
			w.second(l, func(_ int, l *upstream.Live) { count(l, 100, 1) })
		}
		if n := len(w.log.of(event.TopicServiceMetrics)); n < c.least || n > c.most {
			t.Errorf("%d reports on %d instances in a minute, want %d to %d", n, c.instances, c.least, c.most)
		}
	}
}

// A fleet's size must not make news late: what changes is reported in the next
// second.
func TestNewsOfALargeFleetAreReportedAtOnce(t *testing.T) {
	steady := func(l *upstream.Live) { count(l, 40, 0) }
	for name, news := range map[string]func(*upstream.Live){
		"it fails":               func(l *upstream.Live) { count(l, 40, 40) },
		"a third fails":          func(l *upstream.Live) { count(l, 40, 13) },
		"one request, it fails":  func(l *upstream.Live) { count(l, 1, 1) },
		"it gets no more":        func(*upstream.Live) {},
		"it gets thrice as many": func(l *upstream.Live) { count(l, 120, 0) },
		"it gets very many more": func(l *upstream.Live) { count(l, 4000, 0) },
	} {
		for phase := range 10 {
			w, l := newWorld(0), fleet(300)
			for range 20 + phase {
				w.second(l, func(_ int, l *upstream.Live) { steady(l) })
			}
			before := len(w.log.got)
			w.second(l, func(i int, l *upstream.Live) {
				if i == 7 {
					news(l)
				} else {
					steady(l)
				}
			})
			found := false
			for _, m := range metrics(t, w.log.got[before:]) {
				found = found || m.InstanceID == "7"
			}
			// Without a request since the last report there is nothing to say.
			if fresh := l[7].Requests.Load() != w.seen[l[7]].requests; !found && fresh {
				t.Errorf("%s, %d s after a round: not reported", name, phase)
			}
			if len(w.log.got) > before+1 && len(w.log.got) < before+300 {
				t.Errorf("%s: %d instances were reported on", name, len(w.log.got)-before)
			}
		}
	}
}

// An instance that fails whatever it gets is reported on each second, however
// rare its requests are: readers count failures in a row.
func TestEachFailureInARowIsReported(t *testing.T) {
	w, l := newWorld(0), fleet(300)
	for second := range 61 {
		w.second(l, func(i int, l *upstream.Live) {
			switch {
			case i != 7:
				count(l, 40, 0)
			case second%7 == 0:
				count(l, 1, 1)
			}
		})
	}
	n := 0
	for _, m := range metrics(t, w.log.of(event.TopicServiceMetrics)) {
		if m.InstanceID == "7" {
			n++
		}
	}
	if n != 9 {
		t.Errorf("%d reports of 9 failures, each in another second", n)
	}
}

// Rates times the gaps between reports are the requests, in rounds as well.
func TestRoundsLoseNoRequest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, l := newWorld(0), fleet(rapid.SampledFrom([]int{3, 50, 300}).Draw(t, "instances"))
		total, failed := 0, 0
		for range rapid.IntRange(1, 50).Draw(t, "seconds") {
			n := rapid.SampledFrom([]int{0, 0, 1, 40}).Draw(t, "requests")
			bad := rapid.IntRange(0, n).Draw(t, "errors")
			w.second(l, func(i int, l *upstream.Live) {
				if i == 0 {
					count(l, n, bad)
				}
			})
			total, failed = total+n, failed+bad
		}
		w.slot = 0 // as at the end of Run
		w.now += int64(time.Second)
		w.report(l)
		var requests, errors float64
		var last time.Time
		for i, m := range metrics(t, w.log.of(event.TopicServiceMetrics)) {
			gap := time.Second
			if i > 0 {
				gap = m.Timestamp.Sub(last)
			}
			last = m.Timestamp
			requests += m.Metrics.RPS.Value * gap.Seconds()
			errors += m.Metrics.RPS.Value * gap.Seconds() * m.Metrics.ErrorRate.Value
		}
		if math.Abs(requests-float64(total)) > .01*float64(total)+.1 || math.Abs(errors-float64(failed)) > .01*float64(total)+.1 {
			t.Fatalf("reported %.2f requests and %.2f errors, counted %d and %d", requests, errors, total, failed)
		}
	})
}

func TestSampledDecisionsHaveALimitOfTheirOwn(t *testing.T) {
	w := newWorld(10)
	w.cfg.SampleRate = 2
	for second := range 3 {
		for n := range 30 {
			d := decision()
			d.At = int64(second+1) * 1e9
			if n >= 25 {
				d.Why = event.WhyError
			}
			w.Record(d)
		}
	}
	if s := w.Stats(); len(w.ring) != 3*(2+5) || s.RateCapped != 3*23 {
		t.Errorf("%d queued, %+v; want 2 samples and 5 errors of each second", len(w.ring), s)
	}
}

func TestEstimatesHaveFourDigits(t *testing.T) {
	for v, want := range map[float64]float64{0: 0, 1: 1, 1234567: 1235000, .000123456: .0001235, -2.34567: -2.346, 99999: 100000} {
		if got := digits(v); math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%v became %v, want %v", v, got, want)
		}
	}
}
