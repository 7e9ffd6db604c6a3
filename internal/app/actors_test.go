package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary keeps what happened in its order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

// until runs until it is stopped and writes that down.
func (d *diary) until(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		d.write("end " + name)
		return ctx.Err()
	}
}

func TestActorsStopInReverseOrderOneAtATime(t *testing.T) {
	d, a := &diary{}, newActors(slog.New(slog.DiscardHandler))
	a.start("first", d.until("first"), nil)
	a.onStop("cleanup", func(context.Context) error { d.write("cleanup"); return nil })
	a.start("second", d.until("second"), func(context.Context) error { d.write("stop second"); return nil })
	a.start("third", d.until("third"), nil)
	if err := a.stopAll(context.Background()); err != nil {
		t.Error(err)
	}
	if want := []string{"end third", "stop second", "end second", "cleanup", "end first"}; !slices.Equal(d.lines, want) {
		t.Errorf("%v, want %v", d.lines, want)
	}
	if err := a.stopAll(context.Background()); err != nil || len(d.lines) != 5 {
		t.Errorf("a second stop: %v %v", err, d.lines)
	}
}

func TestActorsOfTheOwnerStopBeforeTheOthers(t *testing.T) {
	d, a := &diary{}, newActors(slog.New(slog.DiscardHandler))
	a.start("producer", d.until("producer"), nil)
	a.ofOwner(func() { a.start("audit", d.until("audit"), nil) })
	a.start("reporter", d.until("reporter"), nil)
	a.ofOwner(func() {
		a.together(func() { a.start("control", d.until("control"), nil) })
		a.start("web", d.until("web"), nil)
	})
	a.start("proxy", d.until("proxy"), nil)
	if err := a.stopOwner(context.Background()); err != nil {
		t.Error(err)
	}
	if want := []string{"end web", "end control", "end audit"}; !slices.Equal(d.lines, want) {
		t.Errorf("%v, want %v", d.lines, want)
	}
	if err := a.stopAll(context.Background()); err != nil {
		t.Error(err)
	}
	if want := []string{"end proxy", "end reporter", "end producer"}; !slices.Equal(d.lines[3:], want) {
		t.Errorf("then %v, want %v", d.lines[3:], want)
	}
}

// Actors that do not need each other wait in the same time for what all of them
// wait for; those before and behind them stop behind and before all of them.
func TestActorsThatWereStartedTogetherStopTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, a := &diary{}, newActors(slog.New(slog.DiscardHandler))
		slow := func(name string, takes time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(takes)
				d.write("end " + name)
				return nil
			}
		}
		a.start("first", d.until("first"), nil)
		a.together(func() {
			a.start("second", slow("second", 3*time.Second), nil)
			a.start("third", slow("third", 2*time.Second), nil)
			a.start("fourth", slow("fourth", time.Second), nil)
		})
		a.together(func() {})
		a.start("last", slow("last", time.Second), nil)
		began := time.Now()
		if err := a.stopAll(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("took %s", took)
		}
		if want := []string{"end last", "end fourth", "end third", "end second", "end first"}; !slices.Equal(d.lines, want) {
			t.Errorf("%v, want %v", d.lines, want)
		}
	})
}

func TestAnActorThatFailsEndsAllAndIsNamed(t *testing.T) {
	for name, run := range map[string]func(context.Context) error{
		"with an error": func(context.Context) error { return errors.New("no disk") },
		"by itself":     func(context.Context) error { return nil },
	} {
		d, a := &diary{}, newActors(slog.New(slog.DiscardHandler))
		a.start("steady", d.until("steady"), nil)
		a.start("weak", run, nil)
		a.start("weak too", run, nil) // must not block on the first one's report
		err := <-a.failed
		if !strings.Contains(err.Error(), "weak") {
			t.Errorf("%s: %v", name, err)
		}
		_ = a.stopAll(context.Background())
		if !slices.Equal(d.lines, []string{"end steady"}) {
			t.Errorf("%s: %v", name, d.lines)
		}
	}
}

func TestAnActorThatDoesNotStopIsNamedAndTheOthersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		d, a := &diary{}, newActors(slog.New(slog.NewTextHandler(&log, nil)))
		release := make(chan struct{})
		a.start("first", d.until("first"), nil)
		a.start("stuck too", func(context.Context) error { <-release; return nil }, nil)
		a.start("stuck", func(context.Context) error { <-release; return nil }, nil)
		a.start("broken", d.until("broken"), func(context.Context) error { return errors.New("cannot") })
		began := time.Now()
		err := a.stopAll(context.Background())
		if took := time.Since(began); took != stopTimeout+stopTimeoutAfterFirst {
			t.Errorf("took %s", took)
		}
		if n := strings.Count(log.String(), "goroutines="); n != 1 || !strings.Contains(log.String(), "TestAnActorThatDoesNotStop") {
			t.Errorf("%d times what the goroutines do: %s", n, log.String())
		}
		for _, want := range []string{"stuck did not stop", "stuck too did not stop", "stop broken: cannot"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
		if !slices.Equal(d.lines, []string{"end broken", "end first"}) {
			t.Errorf("%v", d.lines)
		}
		close(release)
	})
}

func TestAnErrorOfTheStopIsTold(t *testing.T) {
	a := newActors(slog.New(slog.DiscardHandler))
	a.start("late", func(ctx context.Context) error { <-ctx.Done(); return errors.New("could not save") }, nil)
	if err := a.stopAll(context.Background()); err == nil || !strings.Contains(err.Error(), "late: could not save") {
		t.Error(err)
	}
}
