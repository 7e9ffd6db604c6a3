package analysis

import (
	"math"
	"time"

	"github.com/smartlb/smartlb/internal/base/pace"
	"github.com/smartlb/smartlb/internal/event"
)

// For a small fleet, each change of a score is written. For a larger fleet, all scores are written together in rounds
// (package pace); between rounds only notable changes are written. Early revisions of windows are written only for
// small fleets; a large fleet gets only final windows.

// rounds computes when the next round is due.
type rounds struct {
	every time.Duration // between rounds
	slot  int64         // of the last round
	round bool          // this tick is one
}

// tick updates the rounds for a fleet of that size. Rounds are at whole multiples of their interval, so those of all
// partitions coincide.
func (p *rounds) tick(fleet int, now time.Time) {
	p.every = pace.Rounds(fleet, time.Second)
	slot := now.UnixNano() / int64(p.every)
	p.round = p.every <= time.Second || slot != p.slot
	p.slot = slot
}

// small reports whether every change is written at once.
func (p *rounds) small() bool { return p.every <= time.Second }

// size returns the number of configured instances, or of this partition's instances if that is larger.
func (t *Task) size() int {
	own, configured := 0, 0
	for _, s := range t.services {
		own += len(s.instances)
	}
	for _, names := range t.configured.Names {
		configured += len(names)
	}
	return max(own, configured)
}

// Changes that justify a score between rounds.
const (
	scoreStep = 0.1
	ratioStep = 0.15 // for error rate and utilization
)

// notable reports whether a score differs notably from the last written score.
func notable(h, last event.HealthScore) bool {
	return last.Seq == 0 || h.State != last.State || len(h.Reasons) != len(last.Reasons) ||
		math.Abs(h.Score-last.Score) >= scoreStep ||
		differ(h.ErrorRate, last.ErrorRate) || differ(h.Utilization, last.Utilization) ||
		h.Capacity.Set != last.Capacity.Set || len(h.Ignored) != len(last.Ignored)
}

func differ(a, b event.Optional) bool {
	return a.Set != b.Set || math.Abs(a.Value-b.Value) >= ratioStep
}
