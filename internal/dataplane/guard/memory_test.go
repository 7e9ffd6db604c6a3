package guard

import (
	"testing"

	"pgregory.net/rapid"
)

func TestMemoryRefusesByPriority(t *testing.T) {
	m := NewMemory(1000)
	for _, step := range []struct {
		used        uint64
		normal, low bool // refused
	}{
		{849, false, false}, {850, false, true}, {949, false, true}, {950, true, true}, {2000, true, true},
		{900, true, true}, {899, false, true}, {800, false, true}, {799, false, false}, {960, true, true}, {0, false, false},
	} {
		m.Observe(step.used)
		if normal, low := m.Refuses(Normal), m.Refuses(Low); normal != step.normal || low != step.low {
			t.Errorf("%d of 1000 bytes: normal refused %v, low refused %v", step.used, normal, low)
		}
	}
	if s := m.Stats(); s.Normal != 4 || s.Low != 8 || s.Limit != 1000 {
		t.Errorf("%+v", s)
	}
	var none *Memory
	if none.Refuses(Low) || none.Stats() != (MemoryStats{}) {
		t.Error("a process without a limit refuses requests")
	}
}

// The pressure depends on the last mark that was crossed, whatever the steps are.
func TestPressureFollowsMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Uint64Range(1, 1<<50).Draw(t, "limit")
		m := NewMemory(limit)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			used := rapid.Uint64Range(0, limit+limit/4).Draw(t, "used")
			before, now := m.Observe(used)
			share := float64(used) / float64(limit)
			switch {
			case share >= .95 && now != Exhausted, share < .80 && now != NoPressure, share >= .85 && now == NoPressure, share < .90 && now == Exhausted:
				t.Fatalf("%.3f of the memory: pressure %d", share, now)
			case share >= .80 && share < .85 && now != min(before, Tight), share >= .90 && share < .95 && now != max(before, Tight):
				t.Fatalf("%.3f of the memory: pressure %d after %d", share, now, before)
			}
		}
	})
}
