package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"strings"
	"time"
)

// actors runs named goroutines, each under a context of its own, and stops them
// in the reverse order of their start, one at a time: what was started later
// may need what was started before until its very end.
type actors struct {
	log    *slog.Logger
	list   []*actor
	failed chan error
}

type actor struct {
	name   string
	stop   func(ctx context.Context) error // before the context of run is cancelled; may be nil
	cancel context.CancelFunc
	done   chan error
}

func newActors(log *slog.Logger) *actors {
	return &actors{log: log, failed: make(chan error, 1)}
}

// start runs an actor. An actor that returns before it was stopped ends the
// whole: nothing half works.
func (a *actors) start(name string, run func(ctx context.Context) error, stop func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	one := &actor{name: name, stop: stop, cancel: cancel, done: make(chan error, 1)}
	a.list = append(a.list, one)
	go func() {
		err := run(ctx)
		one.done <- err
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case a.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	}()
}

// onStop registers a cleanup at this place of the order.
func (a *actors) onStop(name string, f func(ctx context.Context) error) {
	a.list = append(a.list, &actor{name: name, stop: f})
}

// Bounds on the stop of one actor beyond what its own stop function took: once
// one did not keep the first, the others have the second.
const (
	patience     = 10 * time.Second
	lessPatience = time.Second
)

// stopAll stops everything, last started first, and joins the errors. Where an
// actor does not stop, the log gets what every goroutine does.
func (a *actors) stopAll(ctx context.Context) error {
	var errs []error
	wait := patience
	for i := len(a.list) - 1; i >= 0; i-- {
		one := a.list[i]
		if one.stop != nil {
			if err := one.stop(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", one.name, err))
			}
		}
		if one.cancel == nil {
			continue
		}
		one.cancel()
		timer := time.NewTimer(wait)
		select {
		case err := <-one.done:
			if err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", one.name, err))
			}
		case <-timer.C:
			errs = append(errs, fmt.Errorf("%s did not stop within %s", one.name, wait))
			if wait == patience {
				a.log.Error("an actor does not stop", "actor", one.name, "goroutines", goroutines())
			}
			wait = lessPatience
		}
		timer.Stop()
		a.log.Debug("stopped", "actor", one.name)
	}
	a.list = nil
	return errors.Join(errs...)
}

func goroutines() string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // 1: as text, equal ones once
	return b.String()
}
