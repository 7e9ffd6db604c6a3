package analyzer

import (
	"encoding/json"
	"time"
)

// mark is the metadata of a commit.
type mark struct {
	Version    int    `json:"v"`
	Rewind     int64  `json:"rewind"`     // offset at which the replay begins
	Seq        uint64 `json:"seq"`        // highest sequence number or revision used
	Punctuated int64  `json:"punctuated"` // last time passed to the task, ms: all output due then was delivered
}

func (m mark) encode() string {
	m.Version = 1
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // cannot fail for four numbers
	}
	return string(b)
}

// parseMark parses a commit's metadata; invalid metadata gives the zero mark.
func parseMark(s string) mark {
	var m mark
	if json.Unmarshal([]byte(s), &m) != nil || m.Version != 1 || m.Rewind < 0 {
		return mark{Rewind: -1}
	}
	return m
}

// trail records the offsets of one partition over time, by the records' own timestamps, to find the offset at which a
// replay begins.
type trail struct {
	steps []step
}

type step struct {
	at     time.Time
	offset int64
}

// pass records that the record at offset was appended at that time. Timestamps that go back count as no progress.
func (t *trail) pass(at time.Time, offset int64) {
	const apart = time.Second
	if n := len(t.steps); n > 0 && at.Sub(t.steps[n-1].at) < apart {
		return
	}
	t.steps = append(t.steps, step{at, offset})
	if len(t.steps) > 4*int(rewind/apart) { // drop many steps at once
		keep := t.index()
		t.steps = append(t.steps[:0], t.steps[keep:]...)
	}
}

// rewindTo returns the offset that lies the rewind span before the latest step, next if there is none.
func (t *trail) rewindTo(next int64) int64 {
	if len(t.steps) == 0 {
		return next
	}
	return t.steps[t.index()].offset
}

// index returns the last step that is at least the rewind span older than the latest, or the first step.
func (t *trail) index() int {
	newest := t.steps[len(t.steps)-1].at
	for i := len(t.steps) - 1; i >= 0; i-- {
		if newest.Sub(t.steps[i].at) >= rewind {
			return i
		}
	}
	return 0
}
