package upstream

import (
	"math"
	"math/rand/v2"
	"testing"
)

// After enough requests, about one of twenty takes longer than the estimate, whatever the latencies are, and also after
// they changed.
func TestOneOfTwentyTakesLonger(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s SlowAfter
	for _, latency := range []func() float64{
		func() float64 { return 20e6 * math.Exp(r.NormFloat64()) },
		func() float64 { return 200e6 * r.ExpFloat64() },
		func() float64 { return 5e6 + 5e6*r.Float64() },
	} {
		for range 5000 {
			s.Observe(int64(latency()))
		}
		longer := 0
		for range 20_000 {
			ns := int64(latency())
			if ns > s.Load() {
				longer++
			}
			s.Observe(ns)
		}
		if share := float64(longer) / 20_000; share < .04 || share > .06 {
			t.Errorf("%.3f of the requests take longer than %d ns", share, s.Load())
		}
	}
}

func TestTheEstimateBeginsWithTheFirstRequests(t *testing.T) {
	var s SlowAfter
	for i := range slowFirst {
		if s.Load() != 0 {
			t.Fatalf("an estimate after %d requests", i)
		}
		s.Observe(int64(i+1) * 10e6)
	}
	if s.Load() != slowFirst*10e6 {
		t.Errorf("got %d", s.Load())
	}
}

func TestTheEstimateStaysWithinItsBounds(t *testing.T) {
	var s SlowAfter
	for range 10_000 {
		s.Observe(math.MaxInt64)
	}
	if s.Load() != slowMost {
		t.Errorf("got %d", s.Load())
	}
	for range 100_000 {
		s.Observe(0)
	}
	if s.Load() != slowLowest {
		t.Errorf("got %d", s.Load())
	}
}
