package capacity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// found is an instance with a known limit that gets a load.
func found(rate, load float64, zone string) Instance {
	return Instance{ID: "i", Zone: zone, Serves: true, Weight: 1, Load: load, Estimate: Estimate{Rate: rate, Bound: ByCPU, Confidence: High, Reason: "seen"}}
}

func many(n int, i Instance) (out []Instance) {
	for range n {
		out = append(out, i)
	}
	return out
}

func TestASummaryInOneSentence(t *testing.T) {
	unknown := Instance{Serves: true, Weight: 1, Load: 50, Estimate: Estimate{Reason: "it has too few requests"}}
	seen := Instance{ID: "i", Serves: true, Weight: 1, Load: 50, Estimate: Estimate{Rate: 60, Bound: BySeen, Confidence: Low, Reason: "seen"}}
	draining := found(1000, 10, "")
	draining.Serves = false
	silent := found(100, math.NaN(), "")
	for _, c := range []struct {
		name      string
		all       []Instance
		weights   bool
		want      string
		recommend int
	}{
		{"twelve equal ones", many(12, found(200, 50, "")), false, "carries 1,320 more requests/s; survives the loss of 8 of 12 instances at the present load", 4},
		{"one", many(1, found(200, 100, "")), false, "carries 60 more requests/s; does not survive the loss of an instance at the present load", 1},
		{"overload", many(2, found(100, 95, "")), false, "overloaded: 30 requests/s more than 80 % of its capacity", 3},
		{"nothing known", many(3, unknown), false, "headroom unknown: no instance has an estimate (it has too few requests)", 0},
		{"one without an estimate", append(many(3, found(200, 50, "")), unknown), false, "carries at least 280 more requests/s; survives the loss of at least 1 of 4 instances at the present load", 2},
		{"too many without an estimate", append(many(3, unknown), found(100, 50, "")), false, "headroom unknown: no estimate for 3 of 4 instances; i: seen", 0},
		{"seen rates only", many(4, seen), false, "carries at least 40 more requests/s; unknown whether it survives the loss of an instance", 0},
		{"load of an instance that drains counts, its capacity does not", append(many(1, found(100, 40, "")), draining), false, "carries 30 more requests/s; does not survive the loss of an instance at the present load", 1},
		{"nobody in rotation", []Instance{draining}, false, "headroom unknown: no instance is in rotation", 0},
		{"no load known", many(2, silent), false, "headroom unknown: no requests, or no reports about them; i: seen", 0},
		{"none", nil, false, "headroom unknown: no instance is in rotation", 0},
		{"mixed sizes share by capacity", []Instance{found(100, 50, ""), found(400, 50, "")}, false, "carries 300 more requests/s; does not survive the loss of an instance at the present load", 1},
		{"mixed sizes share by weight", []Instance{found(100, 50, ""), found(400, 50, "")}, true, "carries 60 more requests/s; does not survive the loss of an instance at the present load", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Sum(c.all, Options{Target: DefaultTarget, Weights: c.weights})
			if s.Text() != c.want || s.Recommend != c.recommend {
				t.Errorf("got %q and %d instances, want %q and %d", s.Text(), s.Recommend, c.want, c.recommend)
			}
		})
	}
}

// A service in two regions with three zones. The area whose loss leaves the least comes first, whatever its name and number
// of instances.
func TestTheLossOfAZoneAndOfARegion(t *testing.T) {
	in := func(n int, rate float64, zone, region string) []Instance {
		i := found(rate, 40, zone)
		i.Region = region
		return many(n, i)
	}
	all := slices.Concat(in(2, 100, "b", "eu"), in(2, 100, "c", "us"), in(3, 100, "z", "eu"), in(1, 10, "", ""))
	s := Sum(all, Options{Target: DefaultTarget})
	if want := []Area{{"z", 3, 328, Yes}, {"b", 2, 408, Yes}, {"c", 2, 408, Yes}}; !slices.Equal(s.Zones, want) {
		t.Errorf("zones: got %v, want %v", s.Zones, want)
	}
	if want := []Area{{"eu", 5, 168, No}, {"us", 2, 408, Yes}}; !slices.Equal(s.Regions, want) {
		t.Errorf("regions: got %v, want %v", s.Regions, want)
	}
	want := "carries 248 more requests/s; survives the loss of 3 of 8 instances at the present load; survives the loss of its largest zone (z); does not survive the loss of its largest region (eu)"
	if s.Text() != want {
		t.Errorf("got %q, want %q", s.Text(), want)
	}
	all[3].Estimate = Estimate{}
	if s = Sum(all, Options{Target: DefaultTarget}); s.Regions[0].Survives != Unknown || !strings.HasSuffix(s.Text(), "; unknown whether it survives the loss of its largest region (eu)") {
		t.Errorf("with an instance without an estimate, got %v, %s", s.Regions, s.Text())
	}
	small := Sum(slices.Concat(in(1, 500, "big", "r"), in(3, 100, "many", "r")), Options{Target: DefaultTarget})
	if small.Zones[0].Name != "big" || small.Regions != nil || strings.Contains(small.Text(), "region") {
		t.Errorf("one large instance, one region: %+v, %s", small, small.Text())
	}
	by := Sum(slices.Concat(in(2, 100, "slow", ""), in(2, 400, "fast", "")), Options{Target: DefaultTarget, Weights: true})
	if want := []Area{{"fast", 2, 160, Yes}, {"slow", 2, 640, Yes}}; !slices.Equal(by.Zones, want) {
		t.Errorf("by weight: got %v, want %v", by.Zones, want)
	}
	two := Sum(slices.Concat(in(2, 100, "a", "eu"), in(2, 100, "a", "us"), in(1, 100, "a", ""), in(1, 100, "b", "eu")), Options{Target: DefaultTarget})
	var names []string
	for _, a := range two.Zones {
		names = append(names, fmt.Sprint(a.Name, " ", a.Instances))
	}
	if want := []string{"eu/a 2", "us/a 2", "a 1", "b 1"}; !slices.Equal(names, want) {
		t.Errorf("zones of one name in two regions: got %q, want %q", names, want)
	}
	if over := Sum(slices.Concat(in(2, 45, "a", ""), in(2, 45, "b", "")), Options{Target: DefaultTarget}); over.Zones[0].Survives != No || strings.Contains(over.Text(), "zone") {
		t.Errorf("overload: %+v, %s", over, over.Text())
	}
}

func drawInstances(t *rapid.T) []Instance {
	wild := rapid.SampledFrom([]float64{0, 1, 50, 1e5, 1e300, -1, math.NaN(), math.Inf(1)})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Instance {
		bound := rapid.SampledFrom([]string{"", ByCPU, BySeen, ByLatency}).Draw(t, "bound")
		i := Instance{
			Zone: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "zone"), Region: rapid.SampledFrom([]string{"", "eu", "us"}).Draw(t, "region"), Serves: rapid.Bool().Draw(t, "serves"),
			Weight: rapid.Float64Range(0, 4).Draw(t, "weight"), Load: wild.Draw(t, "load"),
		}
		if bound != "" {
			i.Estimate = Estimate{Rate: rapid.Float64Range(0, 1e6).Draw(t, "rate"), Bound: bound, Confidence: Confidence(rapid.IntRange(1, 3).Draw(t, "confidence"))}
		}
		return i
	}), 0, 12).Draw(t, "instances")
}

func TestASummaryNeverPromisesWhatIsNotThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawInstances(t)
		o := Options{Target: rapid.Float64Range(MinTarget, MaxTarget).Draw(t, "target"), Weights: rapid.Bool().Draw(t, "weights")}
		s := Sum(all, o)
		sum := 0.0
		for _, i := range all {
			if i.Serves {
				sum += i.Estimate.Rate
			}
		}
		const small = 1e-6
		for _, a := range slices.Concat(s.Zones, s.Regions) {
			if !o.Weights && a.Rest > s.Usable*(1+small) || a.Survives == Yes && a.Rest < s.Load {
				t.Fatalf("the rest is more than all, or carries too little: %+v", s)
			}
		}
		switch {
		case s.Capacity > sum*(1+small), s.Usable > s.Capacity*(1+small):
			t.Fatalf("more than the sum of the instances, %v: %+v", sum, s)
		case s.Survives >= max(s.Measured, 1):
			t.Fatalf("survives the loss of all: %+v", s)
		case s.Measured == 0 && (!math.IsNaN(s.Headroom) || s.Recommend != 0 || s.Confidence != None || s.Capacity != 0):
			t.Fatalf("promises without an estimate: %+v", s)
		case math.IsInf(s.Headroom, 0) || math.IsNaN(s.Capacity) || math.IsInf(s.Capacity, 0) || s.Recommend < 0:
			t.Fatalf("no usable numbers: %+v", s)
		case s.Text() == "":
			t.Fatal("no text")
		}
		if s.Survives > 0 && s.Headroom < -small*s.Load {
			t.Fatalf("survives without headroom: %+v", s)
		}
		if n := len(all); n > 0 { // one more instance in rotation never makes less of a service that shares by capacity
			more := Sum(append(all, found(10, math.NaN(), "a")), Options{Target: o.Target})
			if before := Sum(all, Options{Target: o.Target}); more.Usable < before.Usable {
				t.Fatalf("one more instance: %v to %v", before.Usable, more.Usable)
			}
		}
	})
}
