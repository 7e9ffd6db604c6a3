package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
)

// ErrAway means that Kafka did not answer in time.
var ErrAway = errors.New("Kafka does not answer")

const (
	idle        = time.Minute     // a reader without users ends after this time
	readTimeout = 5 * time.Second // limit for reading the existing log for the first user
)

// watch is a reader that runs while it has users.
type watch struct {
	kafka  kafka.Config
	log    *slog.Logger
	topic  string
	plan   func(ctx context.Context) (kafka.TailConfig, error) // returns where to begin
	begin  func()                                              // called when the reader starts again from the beginning
	handle func([]kafka.Record)
	arrive func() // called when everything that was in the log has been handled; may be nil

	mu     sync.Mutex
	users  int
	last   time.Time     // when the last user left
	wanted chan struct{} // wakes Run
	ready  chan struct{} // closed when the reader reached the end of the log for the first time
	caught bool
	tail   *kafka.Tail
}

func (w *watch) init() *watch {
	w.wanted, w.ready = make(chan struct{}, 1), make(chan struct{})
	return w
}

// Run reads while there are users, until ctx ends.
func (w *watch) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wanted:
		}
		w.serve(ctx)
	}
	return nil
}

// serve reads until there are no users.
func (w *watch) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { w.endWhenIdle(ctx, cancel) })
	defer watcher.Wait()
	defer cancel()
	for attempt := 0; ctx.Err() == nil; attempt++ {
		tc, err := w.plan(ctx)
		if err != nil {
			backoff.Default().Wait(ctx, attempt)
			continue
		}
		tc.OnCaughtUp = w.catchUp
		tc.OnReset = func(string, kafka.ResetReason) { w.begin() }
		tail, err := kafka.NewTail(w.kafka, tc, w.log)
		if err != nil {
			w.log.Error("journal", "topic", w.topic, "error", err)
			return
		}
		w.begin()
		if w.follow(ctx, tail) {
			_ = tail.Run(ctx, w.handle) // ends only with ctx
		}
	}
}

// follow makes tail the current reader, unless the reader was ended meanwhile: the next user would otherwise assume
// that it runs.
func (w *watch) follow(ctx context.Context, tail *kafka.Tail) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	w.tail = tail
	return true
}

func (w *watch) catchUp() {
	w.mu.Lock()
	first := !w.caught && w.tail != nil
	if first {
		w.caught = true
	}
	ready := w.ready
	w.mu.Unlock()
	if !first {
		return
	}
	if w.arrive != nil {
		w.arrive()
	}
	close(ready)
}

// arrived reports whether the reader has reached the end of the log.
func (w *watch) arrived() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.caught
}

// endWhenIdle ends the reader when it has had no users for the time idle.
func (w *watch) endWhenIdle(ctx context.Context, end context.CancelFunc) {
	ticker := time.NewTicker(idle / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		rest := w.users == 0 && time.Since(w.last) > idle
		if rest {
			w.tail = nil
			if w.caught {
				w.caught, w.ready = false, make(chan struct{})
			}
			select {
			case <-w.wanted:
			default:
			}
			end()
		}
		w.mu.Unlock()
		if rest {
			return
		}
	}
}

// use keeps the reader running until release is called.
func (w *watch) use() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users++
	if w.tail == nil {
		select {
		case w.wanted <- struct{}{}:
		default:
		}
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.users--
		w.last = time.Now()
	}
}

// await waits until all records that were in the log are read.
func (w *watch) await(ctx context.Context) error {
	w.mu.Lock()
	ready := w.ready
	w.mu.Unlock()
	timer := time.NewTimer(readTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %s could not be read in time (see smartlb kafka status): %w", ErrAway, w.topic, context.Cause(ctx))
	case <-timer.C:
		return fmt.Errorf("%w: %s could not be read within %s (see smartlb kafka status)", ErrAway, w.topic, readTimeout)
	}
}

// Connected reports whether the reader is connected to the broker.
func (w *watch) Connected() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tail != nil && w.tail.Connected()
}
