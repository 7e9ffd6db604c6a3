package guard

import (
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestRetryBudgetNeverExceedsItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var active, running atomic.Int64
		b := Budget{Share: rapid.Float64Range(0, 1).Draw(t, "share"), Min: rapid.IntRange(0, 10).Draw(t, "min")}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0:
				active.Add(1)
			case 1:
				if active.Load() > 0 {
					active.Add(-1)
				}
			case 2:
				before := running.Load()
				ok := b.Take(&active, &running)
				limit := int64(b.Min) + int64(b.Share*float64(active.Load()))
				if ok != (before < limit) {
					t.Fatalf("active %d running %d: got %v, limit %d", active.Load(), before, ok, limit)
				}
			case 3:
				if running.Load() > 0 {
					running.Add(-1)
				}
			}
		}
	})
}
