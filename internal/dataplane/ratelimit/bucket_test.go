package ratelimit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = int64(time.Millisecond)

func TestABucketHasItsBurstAndRefillsAtItsRate(t *testing.T) {
	const cost, depth = 10 * ms, 50 * ms // 100/s, burst 5
	state := int64(0)
	for _, step := range []struct {
		what      string
		at, wait  int64
		tokenLeft int64
	}{
		{"a full bucket", 1000 * ms, 0, 4},
		{"at once", 1000 * ms, 0, 3},
		{"at once", 1000 * ms, 0, 2},
		{"at once", 1000 * ms, 0, 1},
		{"the last token", 1000 * ms, 0, 0},
		{"empty: one comes back after 10 ms", 1000 * ms, 10 * ms, 0},
		{"a refused request costs nothing", 1004 * ms, 6 * ms, 0},
		{"back", 1010 * ms, 0, 0},
		{"two came back", 1030 * ms, 0, 1},
		{"the second", 1030 * ms, 0, 0},
		{"the third is too early", 1030 * ms, 10 * ms, 0},
		{"full after a pause, not more than full", 9000 * ms, 0, 4},
	} {
		next, wait := advance(state, step.at, cost, depth)
		if left := (step.at + depth - next) / cost; wait != step.wait || left != step.tokenLeft {
			t.Errorf("%s: wait %d, %d tokens left, want %d and %d", step.what, wait, left, step.wait, step.tokenLeft)
		}
		state = next
	}
}

// The algorithm decides as a bucket that counts tokens.
func TestABucketIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cost := rapid.Int64Range(1, 1000).Draw(t, "cost")
		burst := rapid.Int64Range(1, 20).Draw(t, "burst")
		now, state := int64(1_000_000), int64(0)
		full := burst * cost // parts of tokens: one has cost of them, and one part comes back per unit of time
		have := full
		for range rapid.IntRange(1, 100).Draw(t, "requests") {
			gap := rapid.Int64Range(0, 3*cost).Draw(t, "gap")
			now, have = now+gap, min(full, have+gap)
			next, wait := advance(state, now, cost, full)
			if (wait == 0) != (have >= cost) {
				t.Fatalf("wait %d with %d parts of %d", wait, have, cost)
			}
			if wait == 0 {
				have -= cost
			} else if wait != cost-have {
				t.Fatalf("wait %d, %d are missing", wait, cost-have)
			}
			state = next
		}
	})
}

// Whatever the shares of a node are in the meantime, it allows no more than the whole limit, and no request waits longer
// than a token costs now.
func TestABucketFollowsItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const step = 1000
		depth := step * rapid.Int64Range(1, 10).Draw(t, "burst")
		now, state, earned, spent := int64(1_000_000), int64(0), 0.0, 0.0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			share := rapid.Float64Range(.01, 1).Draw(t, "share")
			cost := int64(step / share)
			gap := rapid.Int64Range(0, 2*cost).Draw(t, "gap")
			now, earned = now+gap, earned+float64(gap)/step
			next, wait := advance(state, now, cost, depth)
			if wait > cost {
				t.Fatalf("a token costs %d, and the wait is %d", cost, wait)
			}
			if wait == 0 {
				spent++
			} else if _, again := advance(next, now+wait, cost, depth); again != 0 {
				t.Fatalf("after %d there is no token yet", wait)
			}
			state = next
		}
		if most := earned + float64(depth)/step; spent > most {
			t.Fatalf("%v requests passed, at most %v may", spent, most)
		}
	})
}
