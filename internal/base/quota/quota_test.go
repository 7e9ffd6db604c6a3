package quota_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/base/quota"
)

func TestOnePartyLeavesSomethingToOthers(t *testing.T) {
	q := quota.New(8, 8)
	take := func(party string) (n int) {
		for {
			if _, err := q.Take(party, false); err != nil {
				return n
			}
			n++
		}
	}
	for i, want := range []int{4, 2, 1, 1, 0} {
		if got := take(fmt.Sprint("party ", i)); got != want {
			t.Errorf("party %d got %d, want %d", i, got, want)
		}
	}
	if _, err := q.Take("another", false); !errors.Is(err, quota.ErrFull) {
		t.Error(err)
	}
	q = quota.New(100, 3)
	if got := take("a"); got != 3 {
		t.Errorf("%d, where each may have 3", got)
	}
	if _, err := q.Take("a", true); err != nil {
		t.Errorf("a party that stands for many: %v", err)
	}
}

// Whatever is taken and given back: nothing is lost, the bounds hold, and a party
// that holds nothing gets one while there is one.
func TestCountsAreNeverLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most, each := rapid.IntRange(1, 20).Draw(t, "most"), rapid.IntRange(1, 20).Draw(t, "each")
		q := quota.New(most, each)
		held := map[string][]func(){}
		total := 0
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			party := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "party")
			if n := len(held[party]); n > 0 && rapid.Bool().Draw(t, "give") {
				held[party][n-1]()
				held[party][n-1]()
				held[party] = held[party][:n-1]
				total--
				continue
			}
			release, err := q.Take(party, false)
			if n := len(held[party]); err == nil && (n >= each || total >= most) || err != nil && n == 0 && total < most {
				t.Fatalf("%s holds %d of %d: %v", party, n, total, err)
			}
			if err == nil {
				held[party] = append(held[party], release)
				total++
			}
		}
		if inUse, _ := q.Stats(); inUse != total {
			t.Fatalf("%d in use, want %d", inUse, total)
		}
	})
}
