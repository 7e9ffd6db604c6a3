package sign

import (
	"maps"
	"sync"
	"time"
)

// Once accepts a signature once and soon after it was made: any client that may
// write to a topic can append an old signed record again. The zero value is
// ready; it is safe for concurrent use.
type Once struct {
	mu   sync.Mutex
	seen map[string]time.Time // signature to when it was made
}

const (
	onceWithin = time.Minute // from signing to reading, and between the clocks of writer and reader
	maxOnce    = 50_000      // signatures within that time
)

// Accept tells whether a record with this signature counts as signed: it was
// made at most a minute from now, and it is not a copy. Where too many were made
// within the minute, the others do not count.
func (o *Once) Accept(signature []byte, made, now time.Time) (fresh, copied bool) {
	if made.Sub(now).Abs() > onceWithin {
		return false, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, copied := o.seen[string(signature)]; copied {
		return false, true
	}
	if len(o.seen) >= maxOnce {
		maps.DeleteFunc(o.seen, func(_ string, at time.Time) bool { return now.Sub(at) > onceWithin })
		if len(o.seen) >= maxOnce {
			return false, false
		}
	}
	if o.seen == nil {
		o.seen = map[string]time.Time{}
	}
	o.seen[string(signature)] = made
	return true, false
}
