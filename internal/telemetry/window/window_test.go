package window

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/event"
)

var epoch = time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)

func report(sec float64, rps float64) Report {
	return Report{At: epoch.Add(time.Duration(sec * float64(time.Second))), Metrics: event.Metrics{RPS: event.Some(rps)}}
}

func TestAlphaIsTheOneThatMessagesName(t *testing.T) {
	if alpha != event.SketchAlpha {
		t.Fatalf("alpha is %v, event.SketchAlpha %v", alpha, event.SketchAlpha)
	}
}

func TestSeriesDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secs := rapid.SliceOfNDistinct(rapid.IntRange(0, 100), 1, 40, rapid.ID[int]).Draw(t, "seconds")
		var shuffled, sorted Series
		for _, s := range secs {
			if !shuffled.Insert(report(float64(s), float64(s))) {
				t.Fatalf("report at %d is new, and was called a duplicate", s)
			}
		}
		slices.Sort(secs)
		want := 0.0
		for n, s := range secs {
			sorted.Insert(report(float64(s), float64(s)))
			gap := 1.0
			if n > 0 {
				gap = min(float64(s-secs[n-1]), 60)
			}
			want += float64(s) * gap
		}
		var a, b Fold
		a.Add(&shuffled, epoch, epoch.Add(101*time.Second))
		b.Add(&sorted, epoch, epoch.Add(101*time.Second))
		if a.Requests != b.Requests || math.Abs(a.Requests-want) > 1e-6*want {
			t.Fatalf("requests: shuffled %v, sorted %v, want %v", a.Requests, b.Requests, want)
		}
		if shuffled.Insert(report(float64(secs[0]), 7)) {
			t.Fatal("a second report with the same timestamp was taken")
		}
	})
}

func TestGapIsOneSecondForTheFirstAndSixtyAtMost(t *testing.T) {
	var s Series
	for _, sec := range []float64{10, 11, 13, 200} {
		s.Insert(report(sec, 1))
	}
	var got []time.Duration
	s.Each(epoch, epoch.Add(time.Hour), func(_ *Report, gap time.Duration) { got = append(got, gap) })
	want := []time.Duration{time.Second, time.Second, 2 * time.Second, time.Minute}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEvictionKeepsTheReportThatAGapNeeds(t *testing.T) {
	var s Series
	for sec := range 20 {
		s.Insert(report(float64(sec), 1))
	}
	s.Evict(epoch.Add(10 * time.Second))
	var f Fold
	f.Add(&s, epoch.Add(10*time.Second), epoch.Add(20*time.Second))
	if f.Requests != 10 || s.Len() != 11 {
		t.Errorf("requests %v of %d reports, want 10 of 11", f.Requests, s.Len())
	}
}

func TestProxiesAddUpAndAreNotMixedWithSelfReports(t *testing.T) {
	m := func(rps, errs, cpu float64) event.Metrics {
		return event.Metrics{RPS: event.Some(rps), ErrorRate: event.Some(errs), CPUUsage: event.Some(cpu), P95Latency: event.Some(10 * rps), ActiveConnections: event.Some(rps)}
	}
	var a, b, own Series
	a.Insert(Report{At: epoch, Metrics: m(10, 0.1, 0.9)})
	b.Insert(Report{At: epoch, Metrics: m(30, 0.5, 0.9)})
	own.Insert(Report{At: epoch, Metrics: m(45, 0, 0.5)})
	var proxies, self Fold
	proxies.Add(&a, epoch, epoch.Add(Short))
	proxies.Add(&b, epoch, epoch.Add(Short))
	self.Add(&own, epoch, epoch.Add(Short))
	got := Combine(&proxies, &self)
	if got.Requests != 40 || got.Errors != 16 {
		t.Errorf("%v requests, %v errors, want 40 and 16 of the proxies", got.Requests, got.Errors)
	}
	if got.CPU.Last != 0.5 {
		t.Errorf("cpu %v, want the instance's own 0.5", got.CPU.Last)
	}
	if got.Active.Last != 40 {
		t.Errorf("connections %v, want 40 through both proxies", got.Active.Last)
	}
	if p, source := got.P95(); p.Value != 300 || source != event.P95FromMax {
		t.Errorf("p95 %v from %s, want 300 from max", p.Value, source)
	}
	alone := Combine(&Fold{}, &self)
	if alone.Requests != 45 {
		t.Errorf("%v requests without proxies, want the instance's own 45", alone.Requests)
	}
}

func TestMergedQuantileIsThatOfAllRequests(t *testing.T) {
	// Two busy fast instances and a slow one with little traffic: averaging p95 misses by a factor.
	rng := rand.New(rand.NewPCG(1, 2))
	var all []float64
	var f Fold
	for _, part := range []struct {
		n    int
		mean float64
	}{{5000, 10}, {5000, 12}, {50, 900}} {
		k := NewSketch()
		for range part.n {
			v := part.mean * math.Exp(rng.NormFloat64()/3)
			all = append(all, v)
			k.Add(v)
		}
		var s Series
		s.Insert(Report{At: epoch, Metrics: event.Metrics{RPS: event.Some(float64(part.n))}, Sketch: k.Encode(nil)})
		f.Add(&s, epoch, epoch.Add(Short))
	}
	slices.Sort(all)
	want := all[int(0.95*float64(len(all)-1))]
	got, source := f.P95()
	if source != event.P95FromSketch || math.Abs(got.Value-want) > 0.015*want {
		t.Errorf("p95 %v from %s, want %v within 1.5 %%", got.Value, source, want)
	}
	l := f.Latency()
	if l.Count.Value != float64(len(all)) {
		t.Errorf("count %v, want %d", l.Count.Value, len(all))
	}
	if err := CheckSketch(l.Sketch); err != nil {
		t.Errorf("the merged sketch is refused: %v", err)
	}
}

func TestReportsWithoutSketchMakeP95AnUpperBound(t *testing.T) {
	k := NewSketch()
	k.AddCount(10, 100)
	var s Series
	s.Insert(Report{At: epoch, Sketch: k.Encode(nil), Metrics: event.Metrics{RPS: event.Some(1), P95Latency: event.Some(10)}})
	s.Insert(Report{At: epoch.Add(time.Second), Metrics: event.Metrics{RPS: event.Some(1), P95Latency: event.Some(80)}})
	var f Fold
	f.Add(&s, epoch, epoch.Add(Short))
	if p, source := f.P95(); p.Value != 80 || source != event.P95FromMixed {
		t.Errorf("p95 %v from %s, want 80 from mixed", p.Value, source)
	}
}

func TestSketchesThatCannotBeMergedAreRefused(t *testing.T) {
	coarse, err := ddsketch.LogUnboundedDenseDDSketch(0.05)
	if err != nil {
		t.Fatal(err)
	}
	fine, err := ddsketch.LogUnboundedDenseDDSketch(alpha)
	if err != nil {
		t.Fatal(err)
	}
	_ = coarse.Add(1)
	_ = fine.Add(-1)
	enc := func(s *ddsketch.DDSketch) []byte {
		var b []byte
		s.Encode(&b, false)
		return b
	}
	tooHigh, _ := ddsketch.LogUnboundedDenseDDSketch(alpha)
	_ = tooHigh.Add(1e12)
	for name, b := range map[string][]byte{
		"empty": nil, "words": []byte("hello"), "other accuracy": enc(coarse), "negative latency": enc(fine),
		"latency of thirty years": enc(tooHigh), "too long": make([]byte, MaxSketchBytes+1),
	} {
		if CheckSketch(b) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	k := NewSketch()
	k.Add(math.NaN())
	k.Add(math.Inf(1))
	k.Add(0)
	if err := CheckSketch(k.Encode(nil)); err != nil {
		t.Errorf("a sketch of extremes: %v", err)
	}
	if k.Count() != 2 {
		t.Errorf("count %v, want 2: NaN is nothing", k.Count())
	}
}

func TestWindowStartsAreAligned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "ms"))
		size := rapid.SampledFrom([]time.Duration{Short, Long}).Draw(t, "size")
		s := Start(at, size)
		if s.After(at) || at.Sub(s) >= size || s.UnixNano()%int64(size) != 0 {
			t.Fatalf("%v is not the aligned start of %v's window", s, at)
		}
	})
}

func FuzzSketch(f *testing.F) {
	k := NewSketch()
	for i := range 100 {
		k.Add(float64(i))
	}
	f.Add(k.Encode(nil))
	f.Add([]byte{})
	f.Add([]byte{0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if CheckSketch(b) != nil {
			return
		}
		sum := NewSketch()
		sum.Add(5)
		if err := sum.Merge(b); err != nil {
			t.Fatalf("checked, yet not mergeable: %v", err)
		}
		if p, ok := sum.Quantile(0.95); !ok || math.IsNaN(p) || p < 0 {
			t.Fatalf("p95 is %v", p)
		}
		if err := CheckSketch(sum.Encode(nil)); err != nil && sum.Count() < maxCount {
			t.Fatalf("the merged sketch is refused: %v", err)
		}
	})
}
