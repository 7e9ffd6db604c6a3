package cli

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	asideRoom = 1 << 20     // bytes of log that wait to be written: about 5,000 lines
	asideEnd  = time.Second // for the last of them
)

// LogAside makes the log of a verb that serves independent of whoever reads it:
// from here on lines are written by a goroutine of their own. Where nobody takes
// them (a terminal that is held, a pipe whose reader hangs) they wait in a
// bounded buffer and are then dropped, which is said as soon as somebody reads
// again; who logs never waits. end writes what waits, at most for a second, and
// makes the log direct again.
func (e *Env) LogAside() (end func()) {
	a, direct := &aside{out: e.Err, more: make(chan struct{}, 1)}, e.Log
	e.Log = e.logTo(a)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(ctx, direct)
	}()
	return func() {
		cancel()
		timer := time.NewTimer(asideEnd)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
		}
	}
}

// aside is a writer that never waits.
type aside struct {
	out  io.Writer
	more chan struct{} // holds an item while there is something to write

	mu      sync.Mutex
	direct  bool // run has ended, and nothing waits
	waiting []byte
	dropped int // lines, since it was said last
}

// Write takes a copy of a line.
func (a *aside) Write(line []byte) (int, error) {
	a.mu.Lock()
	if a.direct {
		defer a.mu.Unlock()
		return a.out.Write(line)
	}
	if len(a.waiting)+len(line) > asideRoom {
		a.dropped++
	} else {
		a.waiting = append(a.waiting, line...)
	}
	a.mu.Unlock()
	select {
	case a.more <- struct{}{}:
	default:
	}
	return len(line), nil
}

// run writes until ctx ends, then what is left. direct is a log on the same
// writer: what was lost must not be lost itself.
func (a *aside) run(ctx context.Context, direct *slog.Logger) {
	var spare []byte
	for {
		a.mu.Lock()
		text, dropped := a.waiting, a.dropped
		a.waiting, a.dropped = spare[:0], 0
		a.direct = len(text) == 0 && dropped == 0 && ctx.Err() != nil
		ended := a.direct
		a.mu.Unlock()
		if ended {
			return
		}
		if len(text) > 0 {
			_, _ = a.out.Write(text) // where it fails nobody could be told
		}
		spare = text
		if dropped > 0 {
			direct.Warn("log lines were dropped: the reader of the log is too slow", "lines", dropped)
		}
		select {
		case <-a.more:
		case <-ctx.Done():
		}
	}
}
