package sign

import (
	"maps"
	"sync"
	"time"
)

// Once accepts each signature one time, shortly after signing. Without it, any client that may write to a topic could
// append an old signed record again. The zero value is ready; it is safe for concurrent use.
type Once struct {
	mu   sync.Mutex
	seen map[string]time.Time // signature to its signing time
}

const (
	onceWithin = time.Minute // from signing to reading, and between the clocks of writer and reader
	maxOnce    = 50_000      // signatures within that time
)

// Accept reports whether a record with this signature counts as signed: it was signed within one minute of now, and it
// is not a copy. If there are too many signatures within the minute, Accept rejects the rest.
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
