package configlog

import (
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// replays tells signed records that were in the log before. Anybody who may
// write to the topic can append an old record again, signature and all: an
// undrain of last week, or a revision that adopts the log. A signed record
// counts once, by its change id, and not where it was signed long before the
// newest; so only the ids of that time are kept. What counts is in the log
// alone: every node comes to the same result.
type replays struct {
	newest time.Time
	seen   map[string]time.Time // change id to when it was signed
}

const (
	replayWindow = 10 * time.Minute // clocks of signers differ by less, and a record is appended sooner after it was signed
	maxSeen      = 10_000           // changes within the window; beyond it the window shrinks
)

func (p *replays) again(u Update) bool {
	if u.Writer.State != sign.Signed {
		return false
	}
	at := u.Writer.At
	if _, known := p.seen[u.ChangeID]; known || p.newest.Sub(at) > replayWindow {
		return true
	}
	if p.seen == nil {
		p.seen = map[string]time.Time{}
	}
	p.seen[u.ChangeID] = at
	if at.After(p.newest) {
		p.newest = at
	}
	p.forget()
	return false
}

// forget drops the ids that the window refuses anyway. Where there are too many
// within it, the oldest half goes, and the window ends where it stood.
func (p *replays) forget() {
	if len(p.seen) <= maxSeen {
		return
	}
	times := make([]time.Time, 0, len(p.seen))
	for _, at := range p.seen {
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	from := times[len(times)/2]
	if edge := p.newest.Add(-replayWindow); edge.After(from) {
		from = edge
	}
	for id, at := range p.seen {
		if at.Before(from) {
			delete(p.seen, id)
		}
	}
	p.newest = maxTime(p.newest, from.Add(replayWindow)) // what is older is refused by its age
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
