package collector

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/event"
)

// A sender may have several requests in progress, so that one overtakes another. That is no error of the sender, and no growth
// of a counter is lost or counts twice.
func TestRequestsThatAreOvertakenAreNoError(t *testing.T) {
	x := receive(t, "")
	began := x.now
	var delta, cumulative, gauges []string
	for i := range 5 {
		delta = append(delta, resourceOf("shop", "shop-1", x.durations(x.now, true, map[int]int{200: 90, 500: 10})))
		cumulative = append(cumulative, resourceOf("shop", "shop-2", x.durations(began, false, map[int]int{200: 90 * i, 500: 10 * i})))
		gauges = append(gauges, resourceOf("shop", "shop-1", x.gauge("http.server.active_requests", float64(i))))
		x.now = x.now.Add(5 * time.Second)
	}
	for i, step := range []struct {
		resource string
		rps      float64 // of the latest message
		messages int
	}{
		{delta[0], 0, 0}, {delta[1], 20, 1}, {delta[3], 10, 2}, {delta[2], 10, 2}, {delta[2], 10, 2}, {delta[4], 40, 3}, {delta[3], 40, 3}, {delta[0], 40, 3},
		{cumulative[0], 0, 0}, {cumulative[2], 20, 1}, {cumulative[1], 20, 1}, {cumulative[3], 20, 2}, {cumulative[4], 20, 3},
		{gauges[4], 0, 4}, {gauges[3], 0, 4},
	} {
		x.now = x.now.Add(time.Second)
		if rejected, why := x.send(i%2 == 0, step.resource); rejected != 0 || why != "" {
			t.Fatalf("step %d: %d rejected: %s", i, rejected, why)
		}
		id := "shop-1"
		if strings.Contains(step.resource, "shop-2") {
			id = "shop-2"
		}
		m, n := x.last(id)
		if n != step.messages || m.Metrics.RPS.Value != step.rps || step.rps > 0 && m.Metrics.ErrorRate != event.Some(.1) {
			t.Errorf("step %d: %d messages, the latest with %+v; want %d with %v requests/s", i, n, m.Metrics, step.messages, step.rps)
		}
	}
	if got := x.r.Stats().Reports; got[ReportLate] != 6 || got[ReportOld] != 0 {
		t.Errorf("results %v", got)
	}
}

// Growth that may have been counted before is rejected, so that the sender is told.
func TestGrowthThatCannotBeTakenForNewIsRejected(t *testing.T) {
	x := receive(t, "")
	one := func() string { return resourceOf("shop", "shop-1", x.durations(x.now, true, map[int]int{200: 100})) }
	x.send(true, one())
	x.now = x.now.Add(time.Second)
	late := one()
	for range remembered {
		x.now = x.now.Add(time.Second)
		x.send(true, one())
	}
	if rejected, why := x.send(true, late); rejected != 1 || !strings.Contains(why, "older than its latest 16 reports") {
		t.Errorf("%d rejected: %s", rejected, why)
	}
}

// In whatever order requests come, and however often, the rates add up to what was counted.
func TestRatesOfReorderedRequestsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := receive(t, "")
		const step = 2 * time.Second
		n := rapid.IntRange(2, 10).Draw(rt, "requests")
		var all []string
		total := 0
		for i := range n {
			grown := rapid.IntRange(1, 1000).Draw(rt, "growth")
			if i > 0 { // the first one is what rates begin with
				total += grown
			}
			all = append(all, resourceOf("shop", "shop-1", x.durations(x.now, true, map[int]int{200: grown})))
			x.now = x.now.Add(step)
		}
		middle := all[1 : n-1]
		order := append(rapid.Permutation(middle).Draw(rt, "order"), rapid.SliceOfN(rapid.SampledFrom(all[:n-1]), 0, 6).Draw(rt, "again")...)
		for i, r := range append(append([]string{all[0]}, order...), all[n-1]) {
			x.now = x.now.Add(time.Second)
			if rejected, why := x.send(i%2 == 0, r); rejected != 0 {
				rt.Fatalf("%d rejected: %s", rejected, why)
			}
		}
		sum, before := 0.0, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, r := range x.log.of(event.TopicServiceMetrics, "shop-1") {
			m, err := event.DecodeServiceMetrics(r.Value)
			if err != nil {
				rt.Fatal(err)
			}
			sum += m.Metrics.RPS.Value * m.Timestamp.Sub(before).Seconds()
			before = m.Timestamp
		}
		if math.Abs(sum-float64(total)) > .01 {
			rt.Fatalf("the rates add up to %v requests, want %d", sum, total)
		}
	})
}
