package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// server is a simulated instance: so many workers with exponential service times and one queue in order of arrival.
type server struct {
	workers int
	service float64 // mean, seconds
	base    float64 // utilization without requests
	noise   float64 // standard deviation of the reported utilization
	rnd     *rand.Rand

	free []float64 // when each worker is free
	now  float64
}

func (s *server) capacity() float64 { return float64(s.workers) / s.service }

// window simulates ten seconds at a rate of arrivals. The base load does not slow requests down: it is of a resource of
// which they take a share, so the utilization reaches 1 at the capacity.
func (s *server) window(rate float64, at time.Time) Window {
	const span = 10.0
	if s.free == nil {
		s.free = make([]float64, s.workers)
	}
	end := s.now + span
	var took []float64
	busy, done := 0.0, 0.0
	for t := s.now + s.rnd.ExpFloat64()/rate; t < end; t += s.rnd.ExpFloat64() / rate {
		w := 0
		for i := range s.free {
			if s.free[i] < s.free[w] {
				w = i
			}
		}
		begin := max(t, s.free[w])
		s.free[w] = begin + s.rnd.ExpFloat64()*s.service
		if begin < end {
			busy += s.free[w] - begin
			done++
			took = append(took, s.free[w]-t)
		}
	}
	s.now = end
	slices.Sort(took)
	out := Window{At: at, Rate: done / span, CPU: math.NaN(), Utilization: math.NaN()}
	if len(took) > 0 {
		out.LatencyMs = took[len(took)/2] * 1000
	}
	used := min(busy/span/float64(s.workers), 1)
	out.Utilization = min(max(s.base+(1-s.base)*used+s.noise*s.rnd.NormFloat64(), 0), 1)
	return out
}

// day is the load over the windows, as shares of the capacity: it rises and falls between low and high.
func day(low, high float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = low + (high-low)*(1-math.Cos(2*math.Pi*float64(i)/float64(n)))/2
	}
	return out
}

var epoch = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)

// TestTheModelsCapacityIsFound states how far the estimates are from the true capacity of simulated instances. The table
// in docs/capacity.md is its output with -v.
func TestTheModelsCapacityIsFound(t *testing.T) {
	for _, c := range []struct {
		name      string
		low, high float64
		base      float64
		noise     float64
		reports   bool
		most      float64 // largest permitted error of the median
		bound     string
	}{
		{"utilization, load 20-80 %, base 5 %", .2, .8, .05, .02, true, .05, ByUtilization},
		{"utilization, load 10-40 %, base 5 %", .1, .4, .05, .02, true, .10, ByUtilization},
		{"utilization, load 5-15 %, base 5 %", .05, .15, .05, .02, true, .35, ByUtilization},
		{"utilization, load 50 % only, base 5 %", .5, .5, .05, .02, true, .10, ByUtilization},
		{"utilization, load 60-110 %, base 20 %", .6, 1.1, .2, .02, true, .05, ByUtilization},
		{"latency only, load 30-95 %", .3, .95, 0, 0, false, .25, ""},
		{"latency only, load 30-110 %", .3, 1.1, 0, 0, false, .25, ByLatency},
		{"latency only, load 20-40 %", .2, .4, 0, 0, false, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, workers := range []int{1, 8} {
				var off []float64
				bounds := map[string]int{}
				for seed := range uint64(9) {
					s := &server{workers: workers, service: .02, base: c.base, noise: c.noise, rnd: rand.New(rand.NewPCG(seed, 1))}
					var e Estimator
					at := epoch
					for _, part := range day(c.low, c.high, 60) {
						at = at.Add(10 * time.Second)
						w := s.window(part*s.capacity(), at)
						if !c.reports {
							w.Utilization = math.NaN()
						}
						e.Observe(w)
					}
					est := e.Estimate()
					bounds[est.Bound]++
					if est.Rate > 0 {
						off = append(off, est.Rate/s.capacity()-1)
					}
				}
				slices.Sort(off)
				if len(off) == 0 {
					t.Fatalf("%d workers: no estimate", workers)
				}
				median := off[len(off)/2]
				t.Logf("| %s | %d | %+.0f %% | %+.0f..%+.0f %% | %v |", c.name, workers, 100*median, 100*off[0], 100*off[len(off)-1], bounds)
				if math.Abs(median) > c.most {
					t.Errorf("%d workers: the median error is %+.0f %%, more than %.0f %%", workers, 100*median, 100*c.most)
				}
				if c.bound != "" && bounds[c.bound] < 6 {
					t.Errorf("%d workers: bounds %v, want mostly %s", workers, bounds, c.bound)
				}
			}
		})
	}
}
