package upstream

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"
)

// A Histogram counts latencies so that one counter serves both kinds of Prometheus histograms. Its cells are the
// intervals between the bounds of both: the exponential bounds of a native histogram with schema 2 (powers of
// 2^(1/4) seconds, so a bucket is 19 % wide), and the decimal bounds of the classic histogram, ClassicBounds. Each
// classic and each native bucket is therefore an exact sum of cells.
//
// It has a shard for each processor, up to maxShards, so that processors do not write to the same cache line. Observe
// makes two atomic additions and nothing else. Create it with NewHistogram. All methods are safe for concurrent use.
type Histogram struct{ shards []histogramShard }

type histogramShard struct {
	sum   atomic.Uint64 // ns
	cells [HistogramCells]atomic.Uint64
	_     [64]byte // the next shard begins on another cache line
}

const (
	maxShards = 8

	// NativeSchema is the schema of the native histogram: 2^NativeSchema buckets for each power of two.
	NativeSchema = 2
	// NativeZero is the width of the zero bucket of the native histogram in seconds, 2^-14 s = 61 µs. The lowest cell
	// holds all latencies up to it.
	NativeZero = 1.0 / (1 << -lowestPower)

	lowestPower  = -14                                     // of two, in seconds
	highestPower = 12                                      // 2^12 s: longer requests count in the bucket above it
	nativeCells  = (highestPower-lowestPower)*quarters + 2 // the zero bucket and the bucket above the highest power
	quarters     = 1 << NativeSchema

	// HistogramCells is the number of cells of a Histogram.
	HistogramCells = nativeCells + splits
	splits         = 12 // classic bounds that are no native bounds
)

// ClassicBounds are the upper bounds of the classic buckets in seconds, without +Inf.
var ClassicBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// cellOf says which cells a native bucket has.
type cellOf struct {
	first int
	split int64 // ns; latencies above it belong to the cell after first; 0: the bucket has one cell
}

// nativeCell has the cells of each native bucket, from the zero bucket on.
var nativeCell = func() (out [nativeCells]cellOf) {
	next := 0
	for i := range out {
		out[i].first = next
		next++
		low, high := nativeBound(i-1), nativeBound(i)
		for _, b := range ClassicBounds {
			if b > low && b < high {
				out[i].split = int64(math.Round(b * 1e9))
				next++
			}
		}
	}
	return out
}()

// nativeBound returns the upper bound of a native bucket in seconds. Bucket 0 is the zero bucket.
func nativeBound(i int) float64 {
	switch {
	case i < 0:
		return 0
	case i == nativeCells-1:
		return math.Inf(1)
	}
	return math.Exp2(lowestPower + float64(i)/quarters)
}

// The fractions of floating point numbers that are 2^(1/4), 2^(2/4) and 2^(3/4).
var quarterFractions = [quarters - 1]uint64{fraction(math.Exp2(.25)), fraction(math.Sqrt2), fraction(math.Exp2(.75))}

func fraction(x float64) uint64 { return math.Float64bits(x) & (1<<52 - 1) }

// quarterOf returns n so that 2^(n/4) s < ns <= 2^((n+1)/4) s. It reads exponent and fraction of the floating point
// number instead of a logarithm. ns must be above 0.
func quarterOf(ns int64) int {
	b := math.Float64bits(float64(ns)/1e9) - 1 // one step down: upper bounds are inclusive
	exponent, f := int(b>>52)-1023, b&(1<<52-1)
	n := exponent * quarters
	for _, q := range quarterFractions {
		if f >= q {
			n++
		}
	}
	return n
}

// cell returns the cell of a latency in nanoseconds.
func cell(ns int64) int {
	native := 0
	if ns > 0 {
		native = min(max(quarterOf(ns)-lowestPower*quarters+1, 0), nativeCells-1)
	}
	c := nativeCell[native]
	if c.split != 0 && ns > c.split {
		return c.first + 1
	}
	return c.first
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram { return &Histogram{shards: make([]histogramShard, shardCount())} }

// shardCount returns the number of shards of a counter that every request touches: a power of two.
func shardCount() int {
	n := 1
	for n < maxShards && n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	return n
}

// Observe counts a latency in nanoseconds. shard is any number that differs between connections.
func (h *Histogram) Observe(shard int, ns int64) {
	s := &h.shards[shard&(len(h.shards)-1)]
	ns = max(ns, 0)
	s.cells[cell(ns)].Add(1)
	s.sum.Add(uint64(ns))
}

// Load returns what was counted. The count of the result is the sum of its cells; Sum may include a latency whose cell
// is not counted yet, or the other way round.
func (h *Histogram) Load() Distribution {
	var d Distribution
	for i := range h.shards {
		d.Sum += time.Duration(h.shards[i].sum.Load())
		for c := range h.shards[i].cells {
			d.cells[c] += h.shards[i].cells[c].Load()
		}
	}
	return d
}

// Distribution is a copy of a Histogram.
type Distribution struct {
	Sum   time.Duration
	cells [HistogramCells]uint64
}

// Count returns the number of latencies.
func (d *Distribution) Count() (n uint64) {
	for _, c := range d.cells {
		n += c
	}
	return n
}

// Classic returns, for each of ClassicBounds, the number of latencies up to that bound.
func (d *Distribution) Classic() (counts [len(ClassicBounds)]uint64) {
	sum, next := uint64(0), 0
	for i, c := range nativeCell {
		sum += d.cells[c.first]
		bound := nativeBound(i)
		if c.split != 0 {
			counts[next] = sum
			next++
			sum += d.cells[c.first+1]
		}
		if next < len(ClassicBounds) && ClassicBounds[next] == bound {
			counts[next] = sum
			next++
		}
	}
	return counts
}

// Native returns the buckets of a native histogram with NativeSchema: the count of the zero bucket, and the counts of the
// buckets from index first on. The bucket with index i ends at 2^(i/4) s.
func (d *Distribution) Native() (zero uint64, first int, counts []uint64) {
	counts = make([]uint64, nativeCells-1)
	for i, c := range nativeCell {
		n := d.cells[c.first]
		if c.split != 0 {
			n += d.cells[c.first+1]
		}
		if i == 0 {
			zero = n
		} else {
			counts[i-1] = n
		}
	}
	return zero, lowestPower*quarters + 1, counts
}
