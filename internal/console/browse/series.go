package browse

import (
	"slices"
	"strconv"
	"time"
)

// Step is the time between two samples, and Points how many are remembered:
// fifteen minutes.
const (
	Step   = 5 * time.Second
	Points = 180
)

// Series is what was measured at each step, oldest first.
type Series struct {
	From   time.Time  `json:"from"` // of the first point
	StepMs int64      `json:"stepMs"`
	Points []*float64 `json:"points"` // null: nobody could measure
}

// ring remembers the last Points values. Steps in which nothing was measured
// are gaps. It is for one goroutine at a time.
type ring struct {
	first  int64 // number of the oldest step that is held
	values []float32
}

const gap = float32(-1) // no measure here is negative

// step numbers the steps of wall-clock time.
func step(at time.Time) int64 { return at.UnixNano() / int64(Step) }

// put sets the value of a step; older steps than the newest are ignored, and a
// second value of one step replaces the first.
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

// bridged is how many missing steps in a row bridge closes.
const bridged = 6

// bridge is put for what is measured less often where it takes long: a few
// missing steps take the value before them.
func (r *ring) bridge(at int64, v float32) {
	n := len(r.values)
	if next := r.first + int64(n); n > 0 && at > next && at-next <= bridged {
		for before := r.values[n-1]; next < at; next++ {
			r.put(next, before)
		}
	}
	r.put(at, v)
}

// last gives the newest value, if it is not older than what is bridged.
func (r *ring) last(now int64) (float64, bool) {
	n := len(r.values)
	if n == 0 || r.first+int64(n)-1 < now-bridged || r.values[n-1] == gap {
		return 0, false
	}
	return short(r.values[n-1]), true
}

// floor gives how much the lowest value changed per second from the first half
// of the last n steps to the second, and whether that is known. A consumer's
// lag is a saw whose teeth are its commits: only the floor says where it goes.
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

// short is a value with as many digits as it has: 0.148 and not
// 0.14800000190734863.
func short(v float32) float64 {
	x, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // it was just written
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
