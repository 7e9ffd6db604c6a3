package configlog

import (
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// replays recognizes signed records that were in the log before. Any client that may write to the topic can append an
// old record again with its valid signature: an undrain of last week, or a revision that adopts the log. Each change id
// of a signed record counts once. A record signed more than replayWindow before the newest record does not count, so
// only the ids within the window are kept. The result depends only on the log, so it is the same on every node.
type replays struct {
	newest time.Time
	seen   map[string]time.Time // change id to signing time
}

const (
	replayWindow = 10 * time.Minute // clocks of signers differ by less; a record is appended sooner after signing
	maxSeen      = 10_000           // changes within the window; above this the window shrinks
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

// forget drops the ids that are older than the window. If there are too many ids within the window, it drops the older
// half, and the window then begins at the oldest remaining id.
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
	p.newest = maxTime(p.newest, from.Add(replayWindow)) // older records are refused because of their age
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
