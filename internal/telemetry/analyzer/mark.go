package analyzer

import (
	"encoding/json"
	"time"
)

// mark is the metadata of a commit.
type mark struct {
	Version    int    `json:"v"`
	Rewind     int64  `json:"rewind"`     // offset from which on to replay
	Seq        uint64 `json:"seq"`        // highest sequence number or revision used
	Punctuated int64  `json:"punctuated"` // last time that was told to the task, ms: everything due then was delivered
}

func (m mark) encode() string {
	m.Version = 1
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // four numbers
	}
	return string(b)
}

// parseMark reads a commit's metadata; what somebody else wrote there counts as nothing.
func parseMark(s string) mark {
	var m mark
	if json.Unmarshal([]byte(s), &m) != nil || m.Version != 1 || m.Rewind < 0 {
		return mark{Rewind: -1}
	}
	return m
}

// trail remembers at which offset the log of one partition was at which time, by the records' own timestamps, to
// answer where to rewind to.
type trail struct {
	steps []step
}

type step struct {
	at     time.Time
	offset int64
}

// pass notes that the record at offset was appended at that time. Timestamps that go back count as no progress.
func (t *trail) pass(at time.Time, offset int64) {
	const apart = time.Second
	if n := len(t.steps); n > 0 && at.Sub(t.steps[n-1].at) < apart {
		return
	}
	t.steps = append(t.steps, step{at, offset})
	if len(t.steps) > 4*int(rewind/apart) { // forget in large portions
		keep := t.index()
		t.steps = append(t.steps[:0], t.steps[keep:]...)
	}
}

// rewindTo returns the offset that lies the rewind span before the newest step, next when there is none.
func (t *trail) rewindTo(next int64) int64 {
	if len(t.steps) == 0 {
		return next
	}
	return t.steps[t.index()].offset
}

// index returns the last step that is the rewind span older than the newest, or the first of all.
func (t *trail) index() int {
	newest := t.steps[len(t.steps)-1].at
	for i := len(t.steps) - 1; i >= 0; i-- {
		if newest.Sub(t.steps[i].at) >= rewind {
			return i
		}
	}
	return 0
}
