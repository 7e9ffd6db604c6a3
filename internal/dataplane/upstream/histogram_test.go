package upstream

import (
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// observed returns the distribution of some latencies in nanoseconds.
func observed(latencies ...int64) Distribution {
	h := NewHistogram()
	for i, ns := range latencies {
		h.Observe(i, ns)
	}
	return h.Load()
}

func TestALatencyIsInItsClassicAndItsNativeBucket(t *testing.T) {
	edges := []int64{-1, 0, 1, 61_035, 61_036, 4096e9, 4097e9, math.MaxInt64}
	for _, b := range ClassicBounds {
		ns := int64(math.Round(b * 1e9))
		edges = append(edges, ns-1, ns, ns+1)
	}
	for _, ns := range edges {
		checkBuckets(t, ns)
	}
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.IntRange(0, 43).Draw(t, "digits")
		checkBuckets(t, rapid.Int64Range(0, 1<<digits).Draw(t, "ns"))
	})
}

// checkBuckets compares the buckets of one latency with the bounds that define them.
func checkBuckets(t rapid.TB, ns int64) {
	t.Helper()
	d := observed(ns)
	if n := d.Count(); n != 1 {
		t.Errorf("%d ns: %d latencies", ns, n)
	}
	for i, n := range d.Classic() {
		if want := float64(ns) <= math.Round(ClassicBounds[i]*1e9); (n == 1) != want {
			t.Errorf("%d ns: %d up to %v s", ns, n, ClassicBounds[i])
		}
	}
	zero, first, counts := d.Native()
	seconds := float64(ns) / 1e9
	if want := seconds <= NativeZero; (zero == 1) != want {
		t.Errorf("%d ns: %d in the zero bucket", ns, zero)
	}
	for i, n := range counts {
		high := math.Exp2(float64(first+i) / quarters)
		low := math.Exp2(float64(first+i-1) / quarters)
		if i == len(counts)-1 {
			high = math.Inf(1)
		}
		if want := seconds > low && seconds <= high; (n == 1) != want && math.Abs(seconds/low-1) > 1e-15 && math.Abs(seconds/high-1) > 1e-15 {
			t.Errorf("%d ns: %d from %v to %v s", ns, n, low, high)
		}
	}
}

func TestEachCellBelongsToOneNativeBucket(t *testing.T) {
	last := nativeCell[nativeCells-1]
	if last.split != 0 || last.first != HistogramCells-1 {
		t.Errorf("the last bucket has cell %d of %d", last.first, HistogramCells)
	}
}

func TestSumAndCountOfManyWriters(t *testing.T) {
	h := NewHistogram()
	var wg sync.WaitGroup
	for shard := range 7 {
		wg.Go(func() {
			for range 1000 {
				h.Observe(shard, int64(3*time.Millisecond))
			}
		})
	}
	wg.Wait()
	d := h.Load()
	if d.Count() != 7000 || d.Sum != 21*time.Second {
		t.Errorf("%d latencies, in all %v", d.Count(), d.Sum)
	}
}

func TestHistogramStaysSmall(t *testing.T) {
	if n := HistogramCells * 8; n > 1<<10 {
		t.Errorf("a shard of a histogram has %d bytes", n)
	}
}
