package collector

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// If a node leaves, only its instances get another owner; if it comes back, it gets the same ones. The order of the list does
// not matter.
func TestOnlyTheInstancesOfANodeThatLeavesMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SliceOfNDistinct(rapid.StringMatching("[a-z]{1,8}"), 2, 8, rapid.ID).Draw(t, "nodes")
		gone := rapid.SampledFrom(nodes).Draw(t, "gone")
		fewer := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == gone })
		reversed := slices.Clone(nodes)
		slices.Reverse(reversed)
		for i := range 50 {
			instance := fmt.Sprint("i", i)
			before, after := Owner(nodes, "s", instance), Owner(fewer, "s", instance)
			if before != gone && after != before || after == gone || Owner(reversed, "s", instance) != before {
				t.Fatalf("%s moved from %s to %s, %s left", instance, before, after, gone)
			}
		}
	})
}

func TestInstancesAreSpread(t *testing.T) {
	count := map[string]int{}
	for i := range 3000 {
		count[Owner([]string{"a", "b", "c"}, "s", fmt.Sprint("s-", i))]++
	}
	for n, c := range count {
		if c < 900 || c > 1100 {
			t.Errorf("%s owns %d of 3000", n, c)
		}
	}
	if Owner(nil, "s", "i") != "" {
		t.Error("an owner without nodes")
	}
}
