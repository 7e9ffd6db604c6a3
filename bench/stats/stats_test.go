package stats

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > within {
		t.Errorf("%s: got %v, want %v within %v", what, got, want, within)
	}
}

func TestQuantileOfKnownValues(t *testing.T) {
	near(t, "median of four", Quantile([]float64{4, 1, 3, 2}, .5), 2.5, 0)
	near(t, "p99 of 0..100", Quantile(ramp(101), .99), 99, 1e-9)
	near(t, "maximum", Quantile([]float64{3, 9, 5}, 1), 9, 0)
	near(t, "a single value", Quantile([]float64{7}, .99), 7, 0)
	if !math.IsNaN(Quantile(nil, .5)) {
		t.Error("a quantile of nothing")
	}
}

func ramp(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(n - 1 - i)
	}
	return v
}

func TestQuantileLiesBetweenItsNeighbours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 50).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		got := Quantile(v, q)
		low := v[int(q*float64(len(v)-1))] // sorted by now
		if got < low || got > v[len(v)-1] {
			t.Fatalf("%v outside [%v, %v]", got, low, v[len(v)-1])
		}
	})
}

func TestPairingCancelsWhatDisturbedBoth(t *testing.T) {
	base := []float64{10, 40, 20}
	s := Summarize(PairedRatios([]float64{9, 36, 18}, base))
	near(t, "median ratio", s.Median, .9, 1e-12)
	near(t, "range of ratios", s.Max-s.Min, 0, 1e-12)
	if base[1] != 40 {
		t.Error("the values were sorted")
	}
}

func TestScheduleIsAPoissonProcess(t *testing.T) {
	const rate, seconds = 1500, 200
	at := Schedule(rand.New(rand.NewPCG(1, 2)), rate, seconds*time.Second)
	// A Poisson count has the standard deviation sqrt(n); 5 of them is never.
	near(t, "count", float64(len(at)), rate*seconds, 5*math.Sqrt(rate*seconds))
	gaps, squares, long := 0.0, 0.0, 0
	for i := 1; i < len(at); i++ {
		g := (at[i] - at[i-1]).Seconds()
		if g < 0 {
			t.Fatal("times go backwards")
		}
		gaps, squares = gaps+g, squares+g*g
		if g > 2./rate {
			long++
		}
	}
	n := float64(len(at) - 1)
	mean := gaps / n
	near(t, "variation of the gaps", math.Sqrt(squares/n-mean*mean)/mean, 1, .02)
	near(t, "gaps above twice the mean", float64(long)/n, math.Exp(-2), .005)
	again := Schedule(rand.New(rand.NewPCG(1, 2)), rate, time.Second)
	for i := range again {
		if again[i] != at[i] {
			t.Fatal("the same seed gave other times")
		}
	}
}

func TestLognormalHasTheMeanAndVariationItIsNamedBy(t *testing.T) {
	l, rnd := Lognormal{20, 1}, rand.New(rand.NewPCG(3, 4))
	const n = 1_000_000
	sum, squares, below := 0.0, 0.0, 0
	for range n {
		x := l.Draw(rnd)
		sum, squares = sum+x, squares+x*x
		if x <= 98.11 {
			below++
		}
	}
	mean := sum / n
	near(t, "mean", mean, 20, .1)
	near(t, "variation", math.Sqrt(squares/n-mean*mean)/mean, 1, .02)
	near(t, "share of draws below p99", float64(below)/n, .99, .0005)
	near(t, "p99 by the closed form exp(mu + 2.3263 sigma)", l.CDF(20*math.Exp(2.326348*math.Sqrt(math.Ln2)-math.Ln2/2)), .99, 1e-6)
}

func TestRB99OfKnownCases(t *testing.T) {
	p99 := 20 * math.Exp(2.3263478740408408*math.Sqrt(math.Ln2)-math.Ln2/2)
	same := func(n int, w Waited) []Waited {
		v := make([]Waited, n)
		for i := range v {
			v[i] = w
		}
		return v
	}
	near(t, "no waiting: the p99 of the service time", RB99(same(10, Waited{0, 20}), 1), p99, 1e-6)
	near(t, "all wait 7 ms: moved by 7", RB99(same(10, Waited{7, 20}), 1), p99+7, 1e-6)
	near(t, "twice as slow: doubled", RB99(same(10, Waited{0, 40}), 1), 2*p99, 1e-6)
	// 2 % wait so long that only they are above: the t at which half of them are done.
	mixed := append(same(98, Waited{0, 20}), same(2, Waited{10_000, 20})...)
	median := 20 * math.Exp(-math.Ln2/2)
	near(t, "2 % wait 10 s: 10 s and the median of the service time", RB99(mixed, 1), 10_000+median, 1e-3)
	if !math.IsNaN(RB99(nil, 1)) {
		t.Error("a p99 of nothing")
	}
}

// On synthetic runs rb99 estimates the same number as the plain p99 and
// scatters less: that is why it is used.
func TestRB99AgreesWithP99AndScattersLess(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var plain, rb []float64
	for range 40 {
		var latencies []float64
		var waits []Waited
		for range 5000 {
			l := Lognormal{20, 1}
			if rnd.IntN(4) == 0 {
				l.Mean = 30
			}
			wait := rnd.ExpFloat64() * 5
			latencies = append(latencies, wait+l.Draw(rnd))
			waits = append(waits, Waited{wait, l.Mean})
		}
		plain, rb = append(plain, Quantile(latencies, .99)), append(rb, RB99(waits, 1))
	}
	near(t, "means of both", mean(rb)/mean(plain), 1, .02)
	if d, p := deviation(rb), deviation(plain); d > p/4 {
		t.Errorf("rb99 scatters by %.3f, the plain p99 by %.3f: want less than a quarter", d, p)
	}
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func deviation(v []float64) float64 {
	m, sum := mean(v), 0.0
	for _, x := range v {
		sum += (x - m) * (x - m)
	}
	return math.Sqrt(sum / float64(len(v)))
}
