package capacity

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var nan = math.NaN()

// feed passes windows ten seconds apart to an estimator.
type feed struct {
	Estimator
	at time.Time
}

func (f *feed) window(w Window) {
	if f.at.IsZero() {
		f.at = epoch
	}
	f.at = f.at.Add(10 * time.Second)
	w.At = f.at
	f.Observe(w)
}

// used is a window of an instance whose utilization follows the rate.
func used(rate, base, demand float64) Window {
	return Window{Rate: rate, Utilization: min(base+demand*rate, 1), CPU: nan, LatencyMs: 20}
}

func near(got, want, part float64) bool { return math.Abs(got-want) <= part*want }

func TestAnEstimateSaysWhatBindsAndWhy(t *testing.T) {
	rates := []float64{200, 250, 300, 350, 400, 350, 300, 250}
	for _, c := range []struct {
		name       string
		feed       func(f *feed)
		rate       float64
		bound      string
		confidence Confidence
		reason     string
	}{
		{"nothing", func(*feed) {}, 0, "", None, "too few requests"},
		{"utilization", func(f *feed) {
			for range 4 {
				for _, r := range rates {
					f.window(used(2*r, .1, .001))
				}
			}
		}, 900, ByUtilization, High, "highest load seen was 90 %"},
		{"a low load", func(f *feed) {
			for range 4 {
				for _, r := range rates {
					f.window(used(r/2, .1, .001))
				}
			}
		}, 900, ByUtilization, Medium, "highest load seen was 30 %"},
		{"one rate: no base load, so a lower estimate", func(f *feed) {
			for range 30 {
				f.window(used(400, .1, .001))
			}
		}, 800, ByUtilization, Medium, "too little to separate"},
		{"the CPU is scarcer than the workers", func(f *feed) {
			for range 4 {
				for _, r := range rates {
					w := used(r, 0, .001)
					w.CPU = .002 * r
					f.window(w)
				}
			}
		}, 500, ByCPU, High, "80 %"},
		{"a utilization that does not follow the rate", func(f *feed) {
			for range 4 {
				for i, r := range rates {
					f.window(Window{Rate: r, Utilization: []float64{.5, .3}[i%2], CPU: nan, LatencyMs: 20})
				}
			}
		}, 400, BySeen, Low, "no limit was seen"},
		{"latencies of an M/M/1 queue", func(f *feed) {
			for range 4 {
				for _, r := range rates {
					f.window(Window{Rate: r, Utilization: nan, CPU: nan, LatencyMs: 1000 / (500 - r)})
				}
			}
		}, 500, ByLatency, Medium, "times the lowest"},
		{"a limit of requests in flight", func(f *feed) {
			for range 4 {
				for _, r := range rates {
					w := used(r, 0, .0005)
					w.Limit = 10
					f.window(w)
				}
			}
		}, 500, ByConcurrency, Medium, "10 requests in flight, 20 ms each"},
		{"only failures", func(f *feed) {
			for range 10 {
				w := used(100, 0, .001)
				w.Errors = .5
				f.window(w)
			}
		}, 0, "", None, "fail"},
		{"a moment", func(f *feed) { f.window(Window{Rate: 100, Utilization: nan, CPU: nan, LatencyMs: 20}) }, 0, "", None, "less than a minute"},
		{"a jump of one window is no proof", func(f *feed) {
			for range 10 {
				f.window(Window{Rate: 100, Utilization: nan, CPU: nan, LatencyMs: 20})
			}
			f.window(Window{Rate: 1e6, Utilization: nan, CPU: nan, LatencyMs: 20})
		}, 100, BySeen, Low, "no limit was seen"},
		{"half of the CPUs are gone", func(f *feed) {
			for range 10 {
				for _, r := range rates {
					f.window(used(r, 0, .001))
				}
			}
			for range 10 {
				for _, r := range rates {
					f.window(used(r, 0, .002))
				}
			}
		}, 500, ByUtilization, High, "80 %"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f feed
			c.feed(&f)
			got := f.Estimate()
			if !near(got.Rate, c.rate, .03) || got.Bound != c.bound || got.Confidence != c.confidence || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("got %+v, want %v by %q with confidence %v because of %q", got, c.rate, c.bound, c.confidence, c.reason)
			}
		})
	}
}

func TestAShortPeakIsRemembered(t *testing.T) {
	var f feed
	for i := range 3 + 60 {
		rate := 100.0
		if i < 3 {
			rate = 1000
		}
		f.window(Window{Rate: rate, Utilization: nan, CPU: nan, LatencyMs: 20})
	}
	if got := f.Estimate(); !near(got.Rate, 1000, .01) || got.Bound != BySeen {
		t.Errorf("ten minutes after a peak of 30 s: %+v", got)
	}
}

func TestWhatWasSeenIsForgotten(t *testing.T) {
	var f feed
	for range 6 {
		f.window(Window{Rate: 1000, Utilization: nan, CPU: nan})
	}
	if got := f.Estimate(); !near(got.Rate, 1000, .01) {
		t.Fatalf("got %+v", got)
	}
	for range 3 * 360 { // three hours
		f.window(Window{Rate: 10, Utilization: nan, CPU: nan})
	}
	if got := f.Estimate(); !near(got.Rate, 10, .01) {
		t.Errorf("after three hours at 10 requests/s: %+v", got)
	}
}

func TestAnEstimatorStaysSmallAndFinite(t *testing.T) {
	wild := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{nan, math.Inf(1), math.Inf(-1), -1, 0, 1e-300, 1e300, math.MaxFloat64}), rapid.Float64Range(0, 1), rapid.Float64Range(0, 5000))
	rapid.Check(t, func(t *rapid.T) {
		var e Estimator
		at := epoch
		highest := 0.0
		for range rapid.IntRange(0, 80).Draw(t, "windows") {
			at = at.Add(time.Duration(rapid.Int64Range(-int64(time.Minute), int64(time.Hour)).Draw(t, "step")))
			w := Window{At: at, Rate: wild.Draw(t, "rate"), Errors: wild.Draw(t, "errors"), LatencyMs: wild.Draw(t, "latency"), Utilization: wild.Draw(t, "utilization"), CPU: wild.Draw(t, "cpu"), Limit: wild.Draw(t, "limit")}
			if w.Rate <= maxValue {
				highest = max(highest, w.Rate)
			}
			e.Observe(w)
			got := e.Estimate()
			switch {
			case len(e.bins) > maxBins:
				t.Fatalf("%d bins", len(e.bins))
			case math.IsNaN(got.Rate) || math.IsInf(got.Rate, 0) || got.Rate < 0:
				t.Fatalf("rate %v", got.Rate)
			case (got.Rate > 0) != (got.Bound != "") || (got.Bound == "") != (got.Confidence == None):
				t.Fatalf("a rate, its bound and a confidence belong together: %+v", got)
			case got.Bound == BySeen && got.Rate > highest*(1+1e-9):
				t.Fatalf("%v was never seen", got.Rate)
			case got.Reason == "" || len(got.Reason) > 250:
				t.Fatalf("reason %q", got.Reason)
			}
		}
	})
}

// BenchmarkObserve shows what one window of one instance costs, with all bins in use.
func BenchmarkObserve(b *testing.B) {
	var f feed
	for i := range b.N {
		f.window(used(10*math.Pow(1.2, float64(i%maxBins)), .1, 1e-4))
		_ = f.Estimate()
	}
}
