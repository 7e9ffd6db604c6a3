package pace

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRoundsGrowWithTheFleetWithinBounds(t *testing.T) {
	for _, c := range []struct {
		instances      int
		shortest, want time.Duration
	}{
		{0, time.Second, time.Second}, {1, time.Second, time.Second}, {20, time.Second, time.Second}, {21, time.Second, 2 * time.Second},
		{200, time.Second, 10 * time.Second}, {1_000_000, time.Second, 10 * time.Second}, {200, 30 * time.Second, 30 * time.Second},
	} {
		if got := Rounds(c.instances, c.shortest); got != c.want {
			t.Errorf("%d instances, %v: %v, want %v", c.instances, c.shortest, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1_000_000).Draw(t, "instances")
		shortest := time.Duration(rapid.IntRange(100, 60_000).Draw(t, "ms")) * time.Millisecond
		if got := Rounds(n, shortest); got < shortest || got > max(shortest, Longest) || Rounds(n+1, shortest) < got {
			t.Fatalf("%v, then %v", got, Rounds(n+1, shortest))
		}
	})
}
