package analysis

import (
	"slices"
	"testing"

	"github.com/smartlb/smartlb/internal/event"
)

func failed(rate float64) event.Metrics {
	return event.Metrics{RPS: event.Some(rate), ErrorRate: event.Some(1)}
}

// A balancer leaves an instance alone that fails, so its failures come seconds
// apart. In between its score rose to 1 again, and what it said of itself ended
// the run of failures, so that the alert came half a minute late.
func TestFailuresCountUntilASuccessHoweverRareTheyAre(t *testing.T) {
	b := newBench(t)
	proxy, self := event.ReporterProxy("n1"), event.ReporterSelf
	for range 30 {
		for _, i := range []string{"user-service-1", "user-service-2", "user-service-3"} {
			b.metrics(proxy, i, rps(2))
			b.metrics(self, i, rps(2))
		}
		b.tick()
	}
	firing, low := -1, 1.0
	for second := range 120 {
		for _, i := range []string{"user-service-1", "user-service-2"} {
			b.metrics(proxy, i, rps(3))
		}
		m := rps(0)
		if second%7 == 2 {
			m = failed(1)
		}
		b.metrics(proxy, "user-service-3", m)
		b.metrics(self, "user-service-3", rps(.4)) // health checks and other callers
		b.tick()
		if firing < 0 && slices.Contains(b.alerts(), "fast-failing user-service-3 firing") {
			firing = second
		}
		if s := b.score("user-service-3").Score; second > 30 {
			if low = min(low, s); s > .6 {
				t.Fatalf("second %d: the score of an instance whose last requests all failed is %.2f", second, s)
			}
		}
	}
	if firing < 0 || firing > 20 { // the third failure comes in second 16
		t.Errorf("the alert fired in second %d, want by 20", firing)
	}
	if low > .2 {
		t.Errorf("the score never fell below %.2f", low)
	}
	for range 90 {
		b.metrics(proxy, "user-service-3", rps(1))
		b.tick()
	}
	if s := b.score("user-service-3"); s.Score < .9 {
		t.Errorf("after successes the score is %.2f: %v", s.Score, s.Reasons)
	}
}
