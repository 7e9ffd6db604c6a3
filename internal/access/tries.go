package access

import (
	"sync"
	"time"
)

// tries slows guessing down: so many failed logins per name and per address
// within a window, then none until the window has passed. It is safe for
// concurrent use and bounded.
type tries struct {
	mu    sync.Mutex
	table map[string]tried
}

type tried struct {
	failed int
	since  time.Time
}

const (
	triesAllowed = 10
	triesWindow  = time.Minute
	triesSlots   = 10_000
)

func newTries() *tries { return &tries{table: map[string]tried{}} }

// wait says how long it is until the next try is allowed; 0 is now.
func (t *tries) wait(now time.Time, keys ...string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	longest := time.Duration(0)
	for _, k := range keys {
		if v, ok := t.table[k]; ok && v.failed >= triesAllowed {
			longest = max(longest, v.since.Add(triesWindow).Sub(now))
		}
	}
	return longest
}

// fail counts a failed login.
func (t *tries) fail(now time.Time, keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.table)+len(keys) > triesSlots {
		for k, v := range t.table {
			if now.Sub(v.since) > triesWindow {
				delete(t.table, k)
			}
		}
		if len(t.table)+len(keys) > triesSlots { // a flood from everywhere: begin anew rather than grow
			clear(t.table)
		}
	}
	for _, k := range keys {
		v := t.table[k]
		if now.Sub(v.since) > triesWindow {
			v = tried{since: now}
		}
		v.failed++
		t.table[k] = v
	}
}
