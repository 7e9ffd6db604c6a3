package window

import (
	"errors"
	"fmt"
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

const (
	alpha = 0.01 // relative accuracy; equals event.SketchAlpha, a test checks this

	// MaxSketchBytes limits an encoded sketch. Ordinary sketches take 200 to 700 bytes.
	MaxSketchBytes = 64 << 10

	minLatencyMs = 1e-6 // a lower latency is noise; together the two bounds limit
	maxLatencyMs = 1e9  // a merged sketch to 1,750 bins; a higher latency is invalid
	maxCount     = 1e15
)

// Sketch is a DDSketch of latencies in milliseconds (Masson, Rim, Lee: DDSketch, VLDB 2019). Quantiles are within 1 %
// of the true values. Merging sketches is exact and commutative, unlike averaging quantiles.
//
// Its encoding is that of DataDog/sketches-go with the logarithmic index mapping, which other languages support too. It
// is not safe for concurrent use.
type Sketch struct{ s *ddsketch.DDSketch }

// NewSketch returns an empty sketch.
func NewSketch() *Sketch {
	m, err := mapping.NewLogarithmicMapping(alpha)
	if err != nil {
		panic(err) // alpha is a constant within (0, 1)
	}
	return &Sketch{ddsketch.NewDDSketch(m, store.NewDenseStore(), store.NewDenseStore())}
}

// Add counts one latency. Values outside 1 ns and 11 days count as the nearer bound; NaN is ignored.
func (k *Sketch) Add(ms float64) { k.AddCount(ms, 1) }

// AddCount counts one latency several times.
func (k *Sketch) AddCount(ms, count float64) {
	if math.IsNaN(ms) || !(count > 0) || count > maxCount {
		return
	}
	_ = k.s.AddWithCount(min(max(ms, minLatencyMs), maxLatencyMs), count) // fails only outside those bounds
}

// Encode appends the sketch to dst.
func (k *Sketch) Encode(dst []byte) []byte {
	k.s.Encode(&dst, false)
	return dst
}

// CheckSketch returns an error unless the encoded bytes are a sketch that Merge accepts. It must be within the size
// limit and of the same accuracy, have no negative latencies, counts that are numbers, and latencies within bounds.
func CheckSketch(b []byte) error {
	if len(b) > MaxSketchBytes {
		return fmt.Errorf("latency sketch of %d bytes, more than %d", len(b), MaxSketchBytes)
	}
	s, err := ddsketch.DecodeDDSketch(b, store.SparseStoreConstructor, nil)
	if err != nil {
		return fmt.Errorf("latency sketch: %w", err)
	}
	if !s.IndexMapping.Equals(NewSketch().s.IndexMapping) {
		return fmt.Errorf("latency sketch: accuracy is not %v with the logarithmic mapping", alpha)
	}
	if !s.GetNegativeValueStore().IsEmpty() {
		return errors.New("latency sketch: negative latencies")
	}
	if z := s.GetZeroCount(); !(z >= 0 && z <= maxCount) {
		return errors.New("latency sketch: count out of range")
	}
	s.GetPositiveValueStore().ForEach(func(index int, count float64) bool {
		v := s.Value(index)
		switch {
		case !(count >= 0 && count <= maxCount):
			err = errors.New("latency sketch: count out of range")
		case !(v >= minLatencyMs*(1-2*alpha) && v <= maxLatencyMs*(1+2*alpha)):
			err = errors.New("latency sketch: latency out of range")
		}
		return err != nil
	})
	return err
}

// Merge adds an encoded sketch that CheckSketch accepted.
func (k *Sketch) Merge(encoded []byte) error {
	if err := k.s.DecodeAndMergeWith(encoded); err != nil {
		return fmt.Errorf("merge latency sketch: %w", err)
	}
	return nil
}

// MergeWith adds another sketch, which stays unchanged.
func (k *Sketch) MergeWith(o *Sketch) {
	_ = k.s.MergeWith(o.s) // fails only if the mappings differ
}

// Count returns the number of latencies.
func (k *Sketch) Count() float64 { return k.s.GetCount() }

// Sum returns the sum of the latencies, within 1 %.
func (k *Sketch) Sum() float64 { return k.s.GetSum() }

// Quantile returns the q-quantile, false when the sketch is empty.
func (k *Sketch) Quantile(q float64) (float64, bool) {
	v, err := k.s.GetValueAtQuantile(q)
	return v, err == nil
}

// Reset empties the sketch and keeps its memory.
func (k *Sketch) Reset() { k.s.Clear() }
