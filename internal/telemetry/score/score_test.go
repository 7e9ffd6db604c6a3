package score

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)

func samples(t *rapid.T) []Sample {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Sample {
		n := rapid.Float64Range(0, 5000).Draw(t, "requests")
		return Sample{
			Requests: n, Errors: n * rapid.Float64Range(0, 1).Draw(t, "failed"),
			P95Ms: rapid.Float64Range(0, 10000).Draw(t, "p95"), Utilization: rapid.Float64Range(0, 1).Draw(t, "utilization"),
			Memory: rapid.Float64Range(0, 1).Draw(t, "memory"), Gate: rapid.SampledFrom([]float64{0, .5, 1}).Draw(t, "gate"),
		}
	}), 1, 12).Draw(t, "pool")
}

func TestScoresAreRatios(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := samples(t)
		wild := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300}
		i := rapid.IntRange(0, len(pool)-1).Draw(t, "which")
		switch rapid.IntRange(0, 5).Draw(t, "field") {
		case 0:
			pool[i].Requests = rapid.SampledFrom(wild).Draw(t, "wild")
		case 1:
			pool[i].Errors = rapid.SampledFrom(wild).Draw(t, "wild")
		case 2:
			pool[i].P95Ms = rapid.SampledFrom(wild).Draw(t, "wild")
		case 3:
			pool[i].Utilization = rapid.SampledFrom(wild).Draw(t, "wild")
		case 4:
			pool[i].Gate = rapid.SampledFrom(wild).Draw(t, "wild")
		}
		healths := make([]*Health, len(pool))
		for i := range healths {
			healths[i] = &Health{}
		}
		for tick := range 5 {
			for i, v := range Tick(pool, healths, epoch.Add(time.Duration(tick)*time.Second)) {
				for name, x := range map[string]float64{"score": v.Score, "raw": v.Raw, "confidence": v.Confidence, "errors": v.Factors.Errors, "latency": v.Factors.Latency, "utilization": v.Factors.Utilization} {
					if !(x >= 0 && x <= 1) {
						t.Fatalf("instance %d: %s is %v", i, name, x)
					}
				}
			}
		}
	})
}

func TestFactorsFallWithErrorsLatencyAndUtilization(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Float64Range(1, 5000).Draw(t, "requests")
		e := rapid.Float64Range(0, 1).Draw(t, "failed") * n
		more := e + (n-e)*rapid.Float64Range(0, 1).Draw(t, "more")
		me := rapid.Float64Range(0, 1).Draw(t, "peers")
		if a, b := ErrorFactor(n, e, me), ErrorFactor(n, more, me); b > a {
			t.Fatalf("%v errors give %v, %v give %v", e, a, more, b)
		}
		l := rapid.Float64Range(-3, 10).Draw(t, "ln p95")
		longer := l + rapid.Float64Range(0, 5).Draw(t, "longer")
		ml, mad := rapid.Float64Range(-3, 10).Draw(t, "peers' ln p95"), rapid.Float64Range(0, 2).Draw(t, "mad")
		if a, b := LatencyFactor(n, l, ml, mad), LatencyFactor(n, longer, ml, mad); b > a {
			t.Fatalf("latency %v gives %v, %v gives %v", l, a, longer, b)
		}
		u := rapid.Float64Range(0, 1).Draw(t, "utilization")
		if a, b := UtilizationFactor(u), UtilizationFactor(u+rapid.Float64Range(0, 1-u).Draw(t, "busier")); b > a {
			t.Fatalf("utilization %v gives %v, more gives %v", u, a, b)
		}
	})
}

func TestOrderAndScaleDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := samples(t)
		want := Rate(pool)
		perm := rapid.Permutation(indices(len(pool))).Draw(t, "order")
		scale := rapid.Float64Range(0.01, 100).Draw(t, "scale")
		moved := make([]Sample, len(pool))
		for to, from := range perm {
			moved[to] = pool[from]
			moved[to].P95Ms *= scale
		}
		for to, got := range Rate(moved) {
			w := want[perm[to]]
			if !near(got.Errors, w.Errors) || !near(got.Latency, w.Latency) || !near(got.Utilization, w.Utilization) {
				t.Fatalf("instance %d: %+v, was %+v", perm[to], got, w)
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func TestIdenticalPeersAreAllPerfectHoweverBadTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Float64Range(1, 5000).Draw(t, "requests")
		s := Sample{Requests: n, Errors: n * rapid.Float64Range(0, 1).Draw(t, "failed"), P95Ms: rapid.Float64Range(0.1, 1e4).Draw(t, "p95"), Gate: 1}
		pool := make([]Sample, rapid.IntRange(1, 10).Draw(t, "instances"))
		for i := range pool {
			pool[i] = s
		}
		for _, f := range Rate(pool) {
			if !near(f.Raw(), 1) {
				t.Fatalf("%+v of %+v", f, s)
			}
		}
	})
}

// run ticks a pool for some seconds and returns the last verdicts.
func run(pool []Sample, healths []*Health, from time.Time, seconds int) ([]Verdict, time.Time) {
	var v []Verdict
	for range seconds {
		for i := range pool {
			healths[i].Observe(Evidence{Requests: pool[i].Requests / 30, Errors: pool[i].Errors / 30})
		}
		v = Tick(pool, healths, from)
		from = from.Add(time.Second)
	}
	return v, from
}

func fleet(n int) ([]Sample, []*Health) {
	pool, healths := make([]Sample, n), make([]*Health, n)
	for i := range pool {
		pool[i] = Sample{Requests: 3000, Errors: 3, P95Ms: 40, Gate: 1}
		healths[i] = &Health{}
	}
	return pool, healths
}

func TestFailingInstanceIsDegradedInSecondsAndComesBackOnEvidence(t *testing.T) {
	pool, healths := fleet(10)
	_, now := run(pool, healths, epoch, 60)
	pool[3].Errors = 1500
	v, now := run(pool, healths, now, 11)
	if v[3].State == Healthy || v[3].Score > 0.3 {
		t.Fatalf("after 11 s at 50 %% errors: %+v", v[3])
	}
	for i := range v {
		if i != 3 && (v[i].State != Healthy || v[i].Score < 0.95) {
			t.Errorf("healthy instance %d: %+v", i, v[i])
		}
	}
	low := v[3].Score
	// No requests, no checks: no evidence, no rise.
	pool[3] = Sample{Gate: 1}
	v, now = run(pool, healths, now, 60)
	if v[3].Score > low+0.01 {
		t.Errorf("rose from %v to %v without evidence", low, v[3].Score)
	}
	for range goodChecks {
		healths[3].Observe(Evidence{PassedChecks: 1})
	}
	v, now = run(pool, healths, now, 90)
	if v[3].State != Healthy {
		t.Errorf("90 s after %d passed checks: %+v", goodChecks, v[3])
	}
	_ = now
}

func TestSlowInstanceScoresLower(t *testing.T) {
	pool, healths := fleet(6)
	pool[0].P95Ms = 400
	v, _ := run(pool, healths, epoch, 30)
	if v[0].Score > 0.5 || v[1].Score < 0.95 {
		t.Errorf("slow %v, ordinary %v", v[0].Score, v[1].Score)
	}
}

func TestWhenMostAreBadNobodyIsCompared(t *testing.T) {
	pool, healths := fleet(4)
	for i := range 3 {
		pool[i].Utilization = 1
		pool[i].Errors = []float64{3000, 1500, 2000}[i]
	}
	v, _ := run(pool, healths, epoch, 30)
	for i, want := range []float64{math.Sqrt(0.1), math.Sqrt(0.1), math.Sqrt(0.1), 1} { // by their own load alone
		if !v[i].Panic || !near(v[i].Score, want) {
			t.Errorf("instance %d: %+v", i, v[i])
		}
	}
}

func TestWhenInputStopsTheScoreGoesToNeutralAndNeverToZero(t *testing.T) {
	pool, healths := fleet(5)
	_, now := run(pool, healths, epoch, 30)
	for i := range pool {
		pool[i] = Sample{Gate: 1}
	}
	v, _ := run(pool, healths, now, 1)
	for i := range v {
		if v[i].Score < 0.99 {
			t.Errorf("instance %d without input scores %v", i, v[i].Score)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		neutral, c, s := rapid.Float64Range(0, 1).Draw(t, "neutral"), rapid.Float64Range(0, 1).Draw(t, "confidence"), rapid.Float64Range(0, 1).Draw(t, "smooth")
		if got := Shrink(1, neutral, c, Freshness(181*time.Second, time.Second), s); !near(got, neutral) {
			t.Fatalf("a score of three minutes ago is %v, neutral %v", got, neutral)
		}
		a, b := rapid.Float64Range(0, 200).Draw(t, "age"), rapid.Float64Range(0, 200).Draw(t, "older")
		fa, fb := Freshness(time.Duration(a*1e9), time.Second), Freshness(time.Duration((a+b)*1e9), time.Second)
		if fb > fa || fa < 0 || fa > 1 {
			t.Fatalf("freshness %v, later %v", fa, fb)
		}
	})
}

func TestChecksHaveTheLastWord(t *testing.T) {
	pool, healths := fleet(4)
	pool[0].Gate = 0
	pool[1].Gate = 0.5
	v, _ := run(pool, healths, epoch, 5)
	if v[0].Score != 0 || v[1].Score > 0.5 {
		t.Errorf("unhealthy %v, degraded %v", v[0].Score, v[1].Score)
	}
}

func TestCapacityIsGoodRateOverUtilization(t *testing.T) {
	var c Capacity
	c.Observe(150.5, 0.02, 0.97, epoch)
	if got, ok := c.Value(); !ok || !near(got, 150.5*0.98/0.97) {
		t.Fatalf("got %v", got)
	}
}

func TestCapacityMovesInBoundedSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Capacity
		at := epoch
		for range rapid.IntRange(1, 50).Draw(t, "reports") {
			before, known := c.Value()
			dt := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "gap"))
			at = at.Add(dt)
			rps := rapid.OneOf(rapid.Float64Range(0, 1e5), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), -5})).Draw(t, "rps")
			u := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{math.NaN(), -1, 7})).Draw(t, "utilization")
			c.Observe(rps, rapid.Float64Range(0, 1).Draw(t, "failed"), u, at)
			after, ok := c.Value()
			if known && (!ok || after < 0.5*before-1e-9 || after > 1.5*before+1e-9) {
				t.Fatalf("moved from %v to %v", before, after)
			}
			if math.IsNaN(after) || math.IsInf(after, 0) {
				t.Fatalf("capacity is %v", after)
			}
		}
	})
}

func TestCapacityIgnoresIdleAndOldReports(t *testing.T) {
	var c Capacity
	c.Observe(4.9, 0, 0.5, epoch)
	c.Observe(100, 0, 0.04, epoch)
	c.Observe(100, 1, 0.5, epoch)
	if v, ok := c.Value(); ok {
		t.Errorf("capacity %v of idle or failing reports", v)
	}
	c.Observe(100, 0, 0.5, epoch.Add(time.Second))
	c.Observe(10, 0, 1, epoch)
	if v, _ := c.Value(); v != 200 {
		t.Errorf("capacity %v, want 200: the second report is older", v)
	}
}

func TestErrorRateMovesHalfWayWithTenRequests(t *testing.T) {
	var r ErrorRate
	r.Observe(9, 9)
	if _, ok := r.Value(); ok {
		t.Fatal("9 requests make no rate")
	}
	r.Observe(1, 0)
	if v, _ := r.Value(); !near(v, 0.9) {
		t.Fatalf("got %v, want 0.9", v)
	}
	r.Observe(100, 0)
	if v, _ := r.Value(); !near(v, 0.45) {
		t.Fatalf("got %v, want 0.45", v)
	}
}

func TestHealthyFleetNeverFlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool, healths := fleet(rapid.IntRange(1, 10).Draw(t, "instances"))
		for tick := range 60 {
			for i := range pool {
				pool[i].P95Ms = 40 * math.Exp(rapid.Float64Range(-.15, .15).Draw(t, "luck"))
			}
			for i, v := range Tick(pool, healths, epoch.Add(time.Duration(tick)*time.Second)) {
				if v.State != Healthy {
					t.Fatalf("tick %d: instance %d is %v", tick, i, v)
				}
			}
		}
	})
}

// An instance that fails everything soon gets a request every few seconds only:
// that must not make it look well (the score stayed at .94 once).
func TestFewRequestsThatAllFailAreBelieved(t *testing.T) {
	pool := []Sample{{Requests: 600, P95Ms: 50, Gate: 1}, {Requests: 500, P95Ms: 55, Gate: 1}, {Requests: 6, Errors: 6, Gate: 1}}
	healths := []*Health{{}, {}, {}}
	var v []Verdict
	for i := range 20 {
		v = Tick(pool, healths, epoch.Add(time.Duration(i)*time.Second))
	}
	if v[2].Score > .5 || v[2].State == Healthy {
		t.Errorf("score %.2f, state %d after six failures of six", v[2].Score, v[2].State)
	}
	if v[0].Score < .95 || v[1].Score < .95 {
		t.Errorf("its peers have %.2f and %.2f", v[0].Score, v[1].Score)
	}
	// One failure of two requests proves little.
	pool[2] = Sample{Requests: 2, Errors: 1, Gate: 1}
	if v := Tick(pool, []*Health{{}, {}, {}}, epoch); v[2].Score < .75 {
		t.Errorf("score %.2f after one failure of two", v[2].Score)
	}
}
