package upstream

import (
	"math"
	"sync/atomic"
)

// EWMA is an exponentially weighted moving average. The weight of a sample depends on the time since the previous
// sample, so a quiet instance forgets as fast as a busy instance. Value (float32) and time of the last sample
// (milliseconds, uint32) share one word: a reader never sees the value of one sample with the time of another.
//
// If two writers race, a sample can be lost, but the word stays consistent: Observe retries its compare-and-swap a
// limited number of times. The zero EWMA has no sample. The millisecond clock wraps after 49 days; differences stay
// correct if two samples are less than 24 days apart.
type EWMA struct{ word atomic.Uint64 }

// ewmaTries limits the compare-and-swap loop. A sample lost under heavy contention changes an average by less than one
// part in the floor.
const ewmaTries = 4

func millis(now int64) uint32 {
	ms := uint32(now / 1e6)
	if ms == 0 {
		ms = 1 // 0 marks "no sample yet"
	}
	return ms
}

func elapsed(from, to uint32) int64 {
	d := int32(to - from)
	if d < 0 {
		return 0
	}
	return int64(d) * 1e6
}

// Load returns the average, the nanoseconds since its last sample, and whether there was any sample.
func (e *EWMA) Load(now int64) (value float64, idle int64, ok bool) {
	w := e.word.Load()
	ms := uint32(w)
	if ms == 0 {
		return 0, 0, false
	}
	return float64(math.Float32frombits(uint32(w >> 32))), elapsed(ms, millis(now)), true
}

// Observe adds a sample with weight max(1-exp(-gap/tau), floor). The first sample counts fully, unless Start was called
// before.
func (e *EWMA) Observe(x float64, now int64, tau, floor float64) {
	ms := millis(now)
	for range ewmaTries {
		old := e.word.Load()
		v := x
		if last := uint32(old); last != 0 {
			prev := float64(math.Float32frombits(uint32(old >> 32)))
			alpha := max(1-Decay(float64(elapsed(last, ms))/tau), floor)
			v = prev + alpha*(x-prev)
		}
		if e.word.CompareAndSwap(old, uint64(math.Float32bits(float32(v)))<<32|uint64(ms)) {
			return
		}
	}
}

// Peak adds a sample like Observe without a floor, but a sample above the average replaces the average at once
// (Finagle's peak EWMA).
func (e *EWMA) Peak(x float64, now int64, tau float64) {
	if v, _, ok := e.Load(now); !ok || x > v {
		e.Start(x, now)
		return
	}
	e.Observe(x, now, tau, 0)
}

// Start sets the average to x at time now, as if a sample had been taken. The first real sample then has the same
// weight as later samples.
func (e *EWMA) Start(x float64, now int64) {
	e.word.Store(uint64(math.Float32bits(float32(x)))<<32 | uint64(millis(now)))
}

// Decay approximates exp(-x) for x >= 0 by the rational 1/(1 + x + x²/2 + x³/6). It is within .04 of exp(-x)
// everywhere, monotone, and takes a third of the time of math.Exp inside a pick.
func Decay(x float64) float64 {
	return 1 / (1 + x + x*x/2 + x*x*x/6)
}
