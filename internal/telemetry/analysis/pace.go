package analysis

import (
	"math"
	"time"

	"github.com/smartlb/smartlb/internal/base/pace"
	"github.com/smartlb/smartlb/internal/event"
)

// Of a small fleet each change of a score is written; of a larger one all scores are written together in rounds
// (package pace), and in between only those that say something else. Early revisions of windows are for small fleets: a
// large one gets final windows only.

// rounds knows when the next round is.
type rounds struct {
	every time.Duration // between rounds
	slot  int64         // of the last round
	round bool          // this tick is one
}

// tick looks at the clock. Rounds are at whole multiples of their distance, so that all partitions' are together.
func (p *rounds) tick(fleet int, now time.Time) {
	p.every = pace.Rounds(fleet, time.Second)
	slot := now.UnixNano() / int64(p.every)
	p.round = p.every <= time.Second || slot != p.slot
	p.slot = slot
}

// small reports whether all that changes is written at once.
func (p *rounds) small() bool { return p.every <= time.Second }

// size is the number of instances that are configured, or that this partition has if those are more.
func (t *Task) size() int {
	own, configured := 0, 0
	for _, s := range t.services {
		own += len(s.instances)
	}
	for _, names := range t.configured {
		configured += len(names)
	}
	return max(own, configured)
}

// What is worth a score between rounds.
const (
	scoreStep = 0.1
	ratioStep = 0.15 // of error rate and utilization
)

// notable reports whether a score says something else than the one that was written last.
func notable(h, last event.HealthScore) bool {
	return last.Seq == 0 || h.State != last.State || len(h.Reasons) != len(last.Reasons) ||
		math.Abs(h.Score-last.Score) >= scoreStep ||
		differ(h.ErrorRate, last.ErrorRate) || differ(h.Utilization, last.Utilization) ||
		h.Capacity.Set != last.Capacity.Set || len(h.Ignored) != len(last.Ignored)
}

func differ(a, b event.Optional) bool {
	return a.Set != b.Set || math.Abs(a.Value-b.Value) >= ratioStep
}
