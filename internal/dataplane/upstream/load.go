package upstream

import (
	"sync"
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/dataplane/orca"
)

// Load keeps the latest load report that an instance sent with a response. The zero value has none.
type Load struct {
	mu     sync.Mutex
	report orca.Report
	at     int64

	Taken   atomic.Uint64 // reports that were read
	Refused atomic.Uint64 // reports that were invalid
}

// Take notes a report. It never waits: of reports that arrive at the same time, it keeps one.
func (l *Load) Take(r orca.Report, now int64) {
	l.Taken.Add(1)
	if r.Has == 0 || !l.mu.TryLock() {
		return
	}
	l.report, l.at = r, now
	l.mu.Unlock()
}

// Latest returns the latest report and its time on the process clock, 0 if there was none.
func (l *Load) Latest() (orca.Report, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.report, l.at
}
