package score

import (
	"math"
	"slices"
	"time"
)

// Verdict is the result of one tick for one instance.
type Verdict struct {
	Score      float64 // 0..1
	Raw        float64
	Factors    Factors
	Confidence float64 // 0..1
	State      State
	Panic      bool // most of the service is bad: comparison is suspended
}

// Tick rates all instances of one service. healths[i] is the state for pool[i]; Tick updates it. If most of the pool is
// below 0.5, comparison is suspended and only each instance's own utilization counts. When all instances are bad,
// sending all requests to the least bad makes it worse.
func Tick(pool []Sample, healths []*Health, now time.Time) []Verdict {
	factors := Rate(pool)
	out := make([]Verdict, len(pool))
	smooth := make([]float64, len(pool))
	var trusted []float64
	bad := 0
	for i, f := range factors {
		s := cleaned(pool[i])
		out[i] = Verdict{Factors: f, Raw: f.Raw(), Confidence: healths[i].confidence(s.Requests, s.Errors)}
		smooth[i] = healths[i].smoothTo(out[i].Raw, now)
		if s.Requests/(s.Requests+halfTrust) >= confident {
			trusted = append(trusted, smooth[i])
		}
		if smooth[i] < panicBelow {
			bad++
		}
	}
	neutral := 1.0
	if len(trusted) > 0 {
		neutral = median(slices.Clone(trusted))
	}
	panicking := 2*bad > len(pool)
	for i := range out {
		gate := cleaned(pool[i]).Gate
		out[i].Panic = panicking
		own := Shrink(1, neutral, out[i].Confidence, 1, smooth[i])
		if panicking {
			own = math.Sqrt(out[i].Factors.Utilization) // its own utilization is no comparison
		}
		out[i].Score = gate * own
		healths[i].step(own) // without gate: after a drain, for example, an instance needs no evidence to recover
		out[i].State = healths[i].state
	}
	return out
}
