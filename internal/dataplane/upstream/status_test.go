package upstream

import (
	"testing"

	"pgregory.net/rapid"
)

func TestStatusSetHoldsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s StatusSet
		want := map[int]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "ranges") {
			low, high := rapid.IntRange(-10, 700).Draw(t, "low"), rapid.IntRange(-10, 700).Draw(t, "high")
			s.Add(low, high)
			for status := low; status <= high; status++ {
				want[status] = status >= 0 && status < 640
			}
		}
		for status := -20; status < 720; status++ {
			if s.Has(status) != want[status] {
				t.Fatalf("%d: %v", status, s.Has(status))
			}
		}
	})
}
