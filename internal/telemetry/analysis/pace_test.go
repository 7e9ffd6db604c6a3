//go:build !race

// These tests calculate much in one goroutine: the race detector would only make them slow.

package analysis

import (
	"fmt"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// large is a bench with so many instances that are reported on each ten seconds by a proxy and each thirty by
// themselves, as the reporters of a large fleet do.
func large(t *testing.T, instances int) (b *bench, second func(news func(i int) (event.Metrics, bool))) {
	b = newBench(t)
	n := 0
	return b, func(news func(i int) (event.Metrics, bool)) {
		for i := range instances {
			id := fmt.Sprintf("user-service-%d", i)
			m, changed := news(i)
			if changed || n%10 == 0 {
				b.metrics(event.ReporterProxy("n1"), id, m)
			}
			if (n+i)%30 == 0 {
				u := rps(100)
				u.Utilization = event.Some(.5)
				b.metrics(event.ReporterSelf, id, u)
			}
		}
		n++
		b.tick()
	}
}

func well(int) (event.Metrics, bool) { return rps(100), false }

// What a large fleet writes is bounded by its rounds, and nothing of it looks stale in between.
func TestScoresAndWindowsOfALargeFleetComeInRounds(t *testing.T) {
	const instances = 200
	b, second := large(t, instances)
	for range 90 {
		second(well)
	}
	b.all = nil
	for range 120 {
		second(well)
	}
	scores := decodeAll(t, b.all, event.TopicHealthScores, event.DecodeHealthScore)
	if n := len(scores); n < 11*instances || n > 13*instances {
		t.Errorf("%d scores of %d instances in two minutes, want one each ten seconds", n, instances)
	}
	for _, s := range scores {
		age := s.Timestamp.Sub(s.AsOf)
		if s.State != event.StatusHealthy || !s.Utilization.Set || !s.RPS.Set || s.Samples < 500 || s.PeriodMs < 10_000 || age > 11*time.Second {
			t.Fatalf("%+v", s)
		}
	}
	for _, w := range decodeAll(t, b.all, event.TopicMetricsAggregated, event.DecodeMetricsAggregated) {
		if !w.Final {
			t.Fatalf("an early revision: %+v", w)
		}
	}
	if a := b.alerts(); len(a) != 0 {
		t.Errorf("alerts of a healthy fleet: %v", a)
	}
}

// A broken instance shows within ten seconds and raises an alert within thirty, however many there are.
func TestNewsOfALargeFleetDoNotWaitForARound(t *testing.T) {
	for phase := range 10 {
		b, second := large(t, 200)
		for range 60 + phase {
			second(well)
		}
		shown, fired := -1, -1
		for s := range 30 {
			second(func(i int) (event.Metrics, bool) {
				if i == 7 {
					return failed(100), true
				}
				return rps(100), false
			})
			if shown < 0 && b.score("user-service-7").State != event.StatusHealthy {
				shown = s
			}
			for _, a := range b.alerts() {
				if fired < 0 && a == "fast-failing user-service-7 firing" {
					fired = s
				}
			}
		}
		if shown < 0 || shown > 10 || fired < 0 {
			t.Errorf("phase %d: shown as failing after %d s, alert after %d s; want 10 and 30 (-1: never)", phase, shown, fired)
		}
	}
}

// A collector that reports once a minute is not without requests in between.
func TestARareReporterKeepsItsRequestsBetweenReports(t *testing.T) {
	b := newBench(t)
	for s := range 600 {
		if s%60 == 0 {
			b.metrics("collector", "user-service-1", rps(10))
		}
		b.tick()
		if got := b.score("user-service-1"); s > 180 && got.Samples < 500 {
			t.Fatalf("second %d: %v requests", s, got.Samples)
		}
	}
}

func TestASelfReporterThatStopsIsStaleAfterThreeOfItsPauses(t *testing.T) {
	b := newBench(t)
	busy := rps(10)
	busy.Utilization = event.Some(.5)
	for s := range 300 {
		if s%30 == 0 && s < 240 {
			b.metrics(event.ReporterSelf, "user-service-1", busy)
		}
		b.metrics(event.ReporterProxy("n1"), "user-service-1", rps(10))
		b.tick()
	}
	if a := b.alerts(); len(a) != 0 {
		t.Fatalf("alerts %v after a silence of 90 s", a)
	}
	for range 60 {
		b.metrics(event.ReporterProxy("n1"), "user-service-1", rps(10))
		b.tick()
	}
	found := false
	for _, a := range b.alerts() {
		found = found || a == "telemetry-stale user-service-1 firing"
	}
	if !found {
		t.Errorf("alerts %v, want telemetry-stale", b.alerts())
	}
}
