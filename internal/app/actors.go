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

// actors runs named goroutines, each with its own context. It stops them one at a time, in the reverse order of their
// start: a later actor may need an earlier one until it has stopped. Actors that were started with together do not need
// each other and stop at the same time.
type actors struct {
	log    *slog.Logger
	list   []*actor
	failed chan error
}

type actor struct {
	name         string
	stop         func(ctx context.Context) error // called before the context of run is cancelled; may be nil
	cancel       context.CancelFunc
	done         chan error
	withPrevious bool // stops at the same time as the previous actor in the list
	ownsPlace    bool // does what only one process of a node may do
}

func newActors(log *slog.Logger) *actors {
	return &actors{log: log, failed: make(chan error, 1)}
}

// start runs an actor. If an actor returns before it was stopped, all actors stop, so that no process runs partly.
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

// together marks the actors that start starts to stop at the same time. Each may wait for a broker that hangs; they
// wait for it concurrently.
func (a *actors) together(start func()) {
	first := len(a.list)
	start()
	for i := first + 1; i < len(a.list); i++ {
		a.list[i].withPrevious = true
	}
}

// ofOwner marks the actors that start starts as those that do what only one process of a node may do: they stop before
// another process takes the place of this one.
func (a *actors) ofOwner(start func()) {
	first := len(a.list)
	start()
	for _, one := range a.list[first:] {
		one.ownsPlace = true
	}
}

// onStop registers a cleanup at this position in the order.
func (a *actors) onStop(name string, f func(ctx context.Context) error) {
	a.list = append(a.list, &actor{name: name, stop: f})
}

// Timeouts for the stop of one actor, without the time of its own stop function. After the first actor that exceeds
// stopTimeout, the others have stopTimeoutAfterFirst.
const (
	stopTimeout           = 10 * time.Second
	stopTimeoutAfterFirst = time.Second
)

// stopAll stops all actors, the last started first, and joins their errors. If an actor does not stop, the log gets the
// stacks of all goroutines.
func (a *actors) stopAll(ctx context.Context) error {
	list := a.list
	a.list = nil
	return a.stop(ctx, list)
}

// stopOwner stops the actors that were started with ofOwner, in the same order as stopAll. The others run on.
func (a *actors) stopOwner(ctx context.Context) error {
	var owner, others []*actor
	for _, one := range a.list {
		if one.ownsPlace {
			owner = append(owner, one)
		} else {
			others = append(others, one)
		}
	}
	a.list = others
	return a.stop(ctx, owner)
}

func (a *actors) stop(ctx context.Context, list []*actor) error {
	var errs []error
	wait := stopTimeout
	for end := len(list); end > 0; {
		begin := end - 1
		for list[begin].withPrevious {
			begin--
		}
		for _, one := range slices.Backward(list[begin:end]) {
			errs = append(errs, one.tell(ctx))
		}
		for _, one := range slices.Backward(list[begin:end]) {
			errs = append(errs, a.await(one, &wait))
		}
		end = begin
	}
	return errors.Join(errs...)
}

// tell requests the stop of an actor.
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

// await waits until an actor has stopped.
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
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // 1: as text, each distinct stack once
	return b.String()
}
