package cli

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	asideRoom = 1 << 20     // size of the buffer in bytes: about 5,000 lines
	asideEnd  = time.Second // time to write the rest of the buffer
)

// LogAside makes the log of a server process independent of the log's reader. From then on, a separate goroutine writes
// the lines, and callers of the log never block. If the terminal is suspended or the reader of the pipe hangs, lines
// wait in a bounded buffer. When the buffer is full, lines are dropped; a warning with their number follows when the
// reader reads again. end writes the rest of the buffer within one second and makes the log direct again.
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

// aside is a writer that never blocks.
type aside struct {
	out  io.Writer
	more chan struct{} // holds an item if there is something to write

	mu      sync.Mutex
	direct  bool // run has ended and the buffer is empty
	waiting []byte
	dropped int // lines, since the latest warning
}

// Write copies a line to the buffer.
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

// run writes until ctx ends, then writes the rest of the buffer. direct is a log on the same writer; it logs the number
// of dropped lines, so that this warning is never dropped.
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
			_, _ = a.out.Write(text) // an error cannot be reported: this is the log
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
