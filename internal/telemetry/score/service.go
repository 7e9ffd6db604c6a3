package score

import (
	"math"
	"slices"
	"time"
)

// Verdict is one tick's judgement of one instance.
type Verdict struct {
	Score      float64 // 0..1
	Raw        float64
	Factors    Factors
	Confidence float64 // 0..1
	State      State
	Panic      bool // most of the service is bad: relative judgement is suspended
}

// Tick judges all instances of one service; healths[i] is the memory behind pool[i] and moves on. Most of the pool
// below 0.5 suspends all comparison (what is left is each instance's own utilization): when everybody is bad, sending everything to the least bad makes it worse.
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
			own = math.Sqrt(out[i].Factors.Utilization) // its own load is no comparison
		}
		out[i].Score = gate * own
		healths[i].step(own) // checks speak for themselves: an instance that drained need not prove anything after
		out[i].State = healths[i].state
	}
	return out
}
