package app

import (
	"context"
	"os"
	"syscall"
	"testing"
)

// A signal during an upgrade is handled once: by the process that serves afterwards.
func TestSignalsAreDelayedDuringAnUpgrade(t *testing.T) {
	d := delayed{again: make(chan os.Signal, 1)}
	if d.put(syscall.SIGHUP) {
		t.Error("a signal is delayed without an upgrade")
	}
	d.begin()
	for _, s := range []os.Signal{syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGUSR1} {
		if !d.put(s) {
			t.Errorf("%v is not delayed", s)
		}
	}
	d.failed()
	select {
	case s := <-d.again:
		if s != syscall.SIGHUP { // which includes what SIGUSR1 does
			t.Errorf("got %v", s)
		}
	default:
		t.Error("the signal is lost after an upgrade that failed")
	}
	if d.active() || d.put(syscall.SIGHUP) {
		t.Error("signals are delayed after the upgrade")
	}
	d.begin()
	d.failed()
	if len(d.again) > 0 {
		t.Error("a signal of an earlier upgrade is handled again")
	}
}

// What only one process may do does not begin in a process that stops before it owns the place.
func TestAnActorOfTheOwnerBeginsWithTheOwner(t *testing.T) {
	a := &App{owner: make(chan struct{})}
	began := false
	run := a.asOwner(func(context.Context) error { began = true; return nil })
	ended, end := context.WithCancel(t.Context())
	end()
	if err := run(ended); err != nil || began {
		t.Errorf("a process that stops: began %v, %v", began, err)
	}
	close(a.owner)
	for range 100 { // an owner that has to stop at once still delivers its last records
		began = false
		if err := run(ended); err != nil || !began {
			t.Fatalf("the owner: began %v, %v", began, err)
		}
	}
}
