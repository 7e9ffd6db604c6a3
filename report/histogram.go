package report

import (
	"math"
	"sync/atomic"
	"time"
)

// The histogram has the buckets of a DDSketch with 1 % accuracy (Masson, Rim, Lee, VLDB 2019): bucket i holds
// latencies in (gamma^(i-1), gamma^i] milliseconds, so that a publisher can convert them to a sketch without loss.
const (
	accuracy   = 0.01
	gamma      = (1 + accuracy) / (1 - accuracy)
	firstIndex = -346 // gamma^-346 ms is 1 us; shorter latencies count there
	lastIndex  = 641  // gamma^641 ms is 6 minutes; longer latencies count there
	buckets    = lastIndex - firstIndex + 1
)

// histogram counts latencies without a lock. The zero value is empty.
type histogram struct {
	counts [buckets]atomic.Uint64
}

var invLogGamma = 1 / math.Log(gamma)

func (h *histogram) add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	i := firstIndex
	if ms > 0 {
		i = min(max(int(math.Ceil(math.Log(ms)*invLogGamma)), firstIndex), lastIndex)
	}
	h.counts[i-firstIndex].Add(1)
}

// since returns the requests counted since last was filled, and updates last.
func (h *histogram) since(last *[buckets]uint64) []Bucket {
	var out []Bucket
	for i := range h.counts {
		n := h.counts[i].Load()
		if n != last[i] {
			out = append(out, Bucket{Ms: middle(i + firstIndex), Count: n - last[i]})
			last[i] = n
		}
	}
	return out
}

// middle returns a value within 1 % of every latency in a bucket.
func middle(index int) float64 {
	return math.Pow(gamma, float64(index)) * (1 - accuracy)
}
