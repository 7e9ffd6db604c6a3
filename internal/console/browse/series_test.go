package browse

import (
	"testing"

	"pgregory.net/rapid"
)

// The ring against a plain map of everything that was put.
func TestRingRemembersTheLastSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r ring
		model := map[int64]float32{}
		at, newest := int64(1000), int64(-1)
		closes := rapid.Bool().Draw(t, "closes")
		for range rapid.IntRange(1, 400).Draw(t, "puts") {
			at += int64(rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2, 7, 100, 500, -1}).Draw(t, "pause"))
			v := float32(rapid.IntRange(0, 9).Draw(t, "value"))
			put := r.put
			if closes {
				put = r.bridge
			}
			put(at, v)
			if at < newest {
				continue
			}
			if closes && newest >= 0 && at-newest-1 <= bridged {
				for s := newest + 1; s < at; s++ {
					model[s] = model[newest]
				}
			}
			model[at], newest = v, at
		}
		if len(r.values) > Points {
			t.Fatalf("%d points", len(r.values))
		}
		if end := r.first + int64(len(r.values)) - 1; end != newest {
			t.Fatalf("ends at %d, not %d", end, newest)
		}
		for i, v := range r.values {
			want, put := model[r.first+int64(i)]
			if !put {
				want = gap
			}
			if v != want {
				t.Fatalf("step %d: %v, not %v", r.first+int64(i), v, want)
			}
		}
		for s := range model {
			if s > newest-Points && s < r.first {
				t.Fatalf("step %d of the last %d was forgotten", s, Points)
			}
		}
	})
}

func TestAnOldValueIsNotTheCurrentOne(t *testing.T) {
	var r ring
	if _, ok := r.last(5); ok {
		t.Error("a value out of nothing")
	}
	r.put(5, 2)
	for now, want := range map[int64]bool{5: true, 5 + bridged: true, 6 + bridged: false} {
		if v, ok := r.last(now); ok != want || (ok && v != 2) {
			t.Errorf("at %d: %v %v", now, v, ok)
		}
	}
}

// Teeth are no trend: a lag that a consumer commits away every half minute.
func TestTheFloorOfASaw(t *testing.T) {
	for _, c := range []struct {
		why    string
		values []float32
		want   float64
		known  bool
	}{
		{"teeth", []float32{5, 20, 35, 5, 20, 35, 5, 20, 35, 5, 20, 35}, 0, true},
		{"growing teeth", []float32{5, 20, 5, 20, 5, 20, 65, 80, 65, 80, 65, 80}, 2, true},
		{"shrinking", []float32{90, 90, 90, 90, 90, 90, 60, 60, 60, 60, 60, 60}, -1, true},
		{"a gap", []float32{5, gap, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, 0, false},
		{"too short", []float32{5, 5}, 0, false},
	} {
		r := ring{values: c.values}
		if v, ok := r.floor(12); v != c.want || ok != c.known {
			t.Errorf("%s: %v %v, want %v", c.why, v, ok, c.want)
		}
	}
}
