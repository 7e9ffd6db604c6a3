package access

import (
	"sync"
	"time"
)

// tries limits password guessing. It counts failed logins per key (a name from an address, or a device) within a
// window. At the limit it allows no login until the window has passed. It is safe for concurrent use and its size is
// limited.
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

// wait returns the time until the next login is allowed; 0 means now.
func (t *tries) wait(now time.Time, key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.table[key]; ok && v.failed >= triesAllowed {
		return max(0, v.since.Add(triesWindow).Sub(now))
	}
	return 0
}

// fail counts a failed login.
func (t *tries) fail(now time.Time, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.table) >= triesSlots {
		for k, v := range t.table {
			if now.Sub(v.since) > triesWindow {
				delete(t.table, k)
			}
		}
		if len(t.table) >= triesSlots { // too many keys within the window: clear the table instead of growing it
			clear(t.table)
		}
	}
	v := t.table[key]
	if now.Sub(v.since) > triesWindow {
		v = tried{since: now}
	}
	v.failed++
	t.table[key] = v
}
