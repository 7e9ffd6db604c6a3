package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

func TestDelayKnownAnswers(t *testing.T) {
	p := backoff.Policy{Base: 100 * time.Millisecond, Max: time.Second, Factor: 2}
	for _, c := range []struct {
		attempt int
		unit    float64
		want    time.Duration
	}{
		{0, 0, 50 * time.Millisecond},
		{0, 0.5, 75 * time.Millisecond},
		{2, 0, 200 * time.Millisecond},
		{3, 0.5, 600 * time.Millisecond},
		{60, 0, 500 * time.Millisecond},
		{-1, 0, 50 * time.Millisecond},
	} {
		if got := p.Delay(c.attempt, c.unit); got != c.want {
			t.Errorf("Delay(%d, %v) = %v, want %v", c.attempt, c.unit, got, c.want)
		}
	}
}

func TestDelayStaysWithinItsBoundsForAnyPolicy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := backoff.Policy{
			Base:   time.Duration(rapid.Int64Range(-1, int64(time.Minute)).Draw(t, "base")),
			Max:    time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "max")),
			Factor: rapid.Float64Range(0, 10).Draw(t, "factor"),
		}
		attempt := rapid.IntRange(0, 10_000).Draw(t, "attempt")
		d := p.Delay(attempt, rapid.Float64Range(0, 0.999999).Draw(t, "unit"))
		ceiling := max(p.Max, p.Base, 10*time.Second)
		if d <= 0 || d > ceiling {
			t.Fatalf("delay %v outside (0, %v]", d, ceiling)
		}
		if later := p.Delay(attempt+1, 0); later < p.Delay(attempt, 0) {
			t.Fatalf("delay shrinks from attempt %d to the next", attempt)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := backoff.Policy{Base: time.Hour, Max: time.Hour}
		if p.Wait(ctx, 0) {
			t.Fatal("Wait reports a full wait although its context ended")
		}
		began := time.Now()
		if !(backoff.Policy{Base: time.Second}).Wait(t.Context(), 0) {
			t.Fatal("Wait reports an ended context")
		}
		if d := time.Since(began); d < 500*time.Millisecond || d > time.Second {
			t.Fatalf("waited %v, want between half and all of a second", d)
		}
	})
}
