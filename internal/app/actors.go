package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// actors runs named goroutines, each under a context of its own, and stops them
// in the reverse order of their start, one at a time: what was started later
// may need what was started before until its very end. Those that were started
// together do not need each other and stop at once.
type actors struct {
	log    *slog.Logger
	list   []*actor
	failed chan error
}

type actor struct {
	name         string
	stop         func(ctx context.Context) error // before the context of run is cancelled; may be nil
	cancel       context.CancelFunc
	done         chan error
	withPrevious bool // it stops together with the one before it in the list
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
			err = errors.New("ended unexpectedly")
		}
		select {
		case a.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	}()
}

// together makes what start starts stop at once: each of them may wait for a
// broker that hangs, and so they wait for it in the same time.
func (a *actors) together(start func()) {
	first := len(a.list)
	start()
	for i := first + 1; i < len(a.list); i++ {
		a.list[i].withPrevious = true
	}
}

// onStop registers a cleanup at this place of the order.
func (a *actors) onStop(name string, f func(ctx context.Context) error) {
	a.list = append(a.list, &actor{name: name, stop: f})
}

// Bounds on the stop of one actor beyond what its own stop function took: once
// one did not keep the first, the others have the second.
const (
	stopTimeout           = 10 * time.Second
	stopTimeoutAfterFirst = time.Second
)

// stopAll stops everything, last started first, and joins the errors. Where an
// actor does not stop, the log gets what every goroutine does.
func (a *actors) stopAll(ctx context.Context) error {
	var errs []error
	wait := stopTimeout
	for end := len(a.list); end > 0; {
		begin := end - 1
		for a.list[begin].withPrevious {
			begin--
		}
		for _, one := range slices.Backward(a.list[begin:end]) {
			errs = append(errs, one.tell(ctx))
		}
		for _, one := range slices.Backward(a.list[begin:end]) {
			errs = append(errs, a.await(one, &wait))
		}
		end = begin
	}
	a.list = nil
	return errors.Join(errs...)
}

// tell tells an actor to stop.
func (a *actor) tell(ctx context.Context) (err error) {
	if a.stop != nil {
		if err = a.stop(ctx); err != nil {
			err = fmt.Errorf("stop %s: %w", a.name, err)
		}
	}
	if a.cancel != nil {
		a.cancel()
	}
	return err
}

// await waits until an actor that was told to stop has.
func (a *actors) await(one *actor, wait *time.Duration) (err error) {
	if one.cancel == nil {
		return nil
	}
	timer := time.NewTimer(*wait)
	defer timer.Stop()
	select {
	case err = <-one.done:
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", one.name, err)
		}
	case <-timer.C:
		err = fmt.Errorf("%s did not stop within %s", one.name, *wait)
		if *wait == stopTimeout {
			a.log.Error("an actor does not stop", "actor", one.name, "goroutines", goroutines())
		}
		*wait = stopTimeoutAfterFirst
	}
	a.log.Debug("stopped", "actor", one.name)
	return err
}

func goroutines() string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // 1: as text, equal ones once
	return b.String()
}
