package browse

import (
	"slices"
	"strconv"
	"time"
)

// Step is the time between two samples. Points is the number of stored samples: fifteen minutes.
const (
	Step   = 5 * time.Second
	Points = 180
)

// Series holds the measurements of consecutive steps, oldest first.
type Series struct {
	From   time.Time  `json:"from"` // time of the first point
	StepMs int64      `json:"stepMs"`
	Points []*float64 `json:"points"` // null: no measurement
}

// ring stores the last Points values. Steps without a measurement are gaps. It is not safe for concurrent use.
type ring struct {
	first  int64 // number of the oldest stored step
	values []float32
}

const gap = float32(-1) // measurements are never negative

// step returns the number of the step at a wall-clock time.
func step(at time.Time) int64 { return at.UnixNano() / int64(Step) }

// put sets the value of a step. It ignores steps older than the latest step; a second value of a step replaces the
// first.
func (r *ring) put(at int64, v float32) {
	if len(r.values) == 0 {
		r.first = at
	}
	next := r.first + int64(len(r.values))
	if at < next-1 {
		return
	}
	if at-next >= Points {
		r.first, r.values, next = at, r.values[:0], at
	}
	for ; next <= at; next++ {
		r.values = append(r.values, gap)
	}
	r.values[at-r.first] = v
	if extra := len(r.values) - Points; extra > 0 {
		r.values = append(r.values[:0], r.values[extra:]...)
		r.first += int64(extra)
	}
}

// bridged is the highest number of consecutive missing steps that bridge fills.
const bridged = 6

// bridge is put for measurements that may take longer than a step. It fills a few missing steps with the previous
// value.
func (r *ring) bridge(at int64, v float32) {
	n := len(r.values)
	if next := r.first + int64(n); n > 0 && at > next && at-next <= bridged {
		for before := r.values[n-1]; next < at; next++ {
			r.put(next, before)
		}
	}
	r.put(at, v)
}

// last returns the latest value, if it is at most bridged steps old.
func (r *ring) last(now int64) (float64, bool) {
	n := len(r.values)
	if n == 0 || r.first+int64(n)-1 < now-bridged || r.values[n-1] == gap {
		return 0, false
	}
	return short(r.values[n-1]), true
}

// floor returns the change per second of the lowest value, from the first half of the last n steps to the second half.
// It returns false if that is unknown. Each commit reduces a consumer's lag abruptly, so only the lowest values show
// the trend.
func (r *ring) floor(n int) (float64, bool) {
	if len(r.values) < n {
		return 0, false
	}
	last := r.values[len(r.values)-n:]
	if slices.Contains(last, gap) {
		return 0, false
	}
	before, now := slices.Min(last[:n/2]), slices.Min(last[n/2:])
	return float64(now-before) / (float64(n/2) * Step.Seconds()), true
}

// short returns v with the digits of a float32: 0.148, not 0.14800000190734863.
func short(v float32) float64 {
	x, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // cannot fail: FormatFloat wrote the text
	return x
}

func (r *ring) series() Series {
	s := Series{From: time.Unix(0, r.first*int64(Step)).UTC(), StepMs: Step.Milliseconds(), Points: make([]*float64, len(r.values))}
	for i, v := range r.values {
		if v != gap {
			x := short(v)
			s.Points[i] = &x
		}
	}
	return s
}
