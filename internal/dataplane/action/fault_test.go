package action

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFaultsAreDrawnByTheirShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &Fault{
			Delay: time.Second, DelayShare: rapid.SampledFrom([]float64{0, .1, .5, 1}).Draw(t, "delayed"),
			Status: 503, AbortShare: rapid.SampledFrom([]float64{0, .01, .5, 1}).Draw(t, "aborted"),
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Uint64
		const n = 20_000
		delayed, aborted, both := 0.0, 0.0, 0.0
		for range n {
			delay, status := f.Draw(random)
			if delay != 0 && delay != time.Second || status != 0 && status != 503 {
				t.Fatalf("got %s and %d", delay, status)
			}
			if delay > 0 {
				delayed++
			}
			if status > 0 {
				aborted++
			}
			if delay > 0 && status > 0 {
				both++
			}
		}
		for _, share := range []struct{ want, got float64 }{{f.DelayShare, delayed / n}, {f.AbortShare, aborted / n}, {f.DelayShare * f.AbortShare, both / n}} {
			if share.got < share.want-.03 || share.got > share.want+.03 || share.want == 1 && share.got != 1 || share.want == 0 && share.got != 0 {
				t.Errorf("%+v: got %v, want %v", f, share.got, share.want)
			}
		}
	})
	if delay, status := (*Fault)(nil).Draw(nil); delay != 0 || status != 0 {
		t.Error("a route without faults has some")
	}
	lowest, highest := func() uint64 { return 0 }, func() uint64 { return 1<<64 - 1 }
	if delay, _ := (&Fault{Delay: 1, DelayShare: 0}).Draw(lowest); delay != 0 {
		t.Error("a share of 0 delays")
	}
	if delay, _ := (&Fault{Delay: 1, DelayShare: 1}).Draw(highest); delay != 1 {
		t.Error("a share of 1 does not delay each request")
	}
}
