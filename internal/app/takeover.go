package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/base/state"
)

const (
	firstChecks = 10 * time.Second      // a new process waits at most this long for the first health check of each instance
	checkPace   = 20 * time.Millisecond // between looks whether they have ended
	ownWait     = time.Minute           // and for the old process to stop what only one process may do
)

// asOwner returns run for an actor that does what only one process of a node may do: it begins when this process owns
// the place of the node. If it has to stop before, it never begins.
func (a *App) asOwner(run func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if !a.awaitOwner(ctx) {
			return nil
		}
		return run(ctx)
	}
}

// awaitOwner blocks until this process owns the place of the node, and returns false if ctx ended before. An actor of an
// owner also runs if it has to stop at once: it may have last records to deliver.
func (a *App) awaitOwner(ctx context.Context) bool {
	select {
	case <-a.owner:
		return true
	case <-ctx.Done():
	}
	select {
	case <-a.owner:
		return true
	default:
		return false
	}
}

// runProxy accepts connections once this process may do so. Without that, it only closes the listeners.
func (a *App) runProxy(ctx context.Context) error {
	a.awaitDiscovery(ctx)
	select {
	case <-a.accepting:
	case <-ctx.Done():
	}
	return a.data.proxy.Run(ctx)
}

// runWeb is runProxy for a web listener.
func (a *App) runWeb(w *webServer) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if !a.awaitOwner(ctx) {
			return w.listener.Close()
		}
		return w.run(ctx)
	}
}

// takeOver takes the place of the old process, in the steps of docs/design/upgrade.md. An error ends this process;
// the old process then continues.
func (a *App) takeOver(ctx context.Context) error {
	if a.data != nil && a.data.dispatcher.Table() == nil {
		return errors.New("upgrade: neither the configuration file nor the last good configuration has routes")
	}
	a.awaitChecks(ctx)
	if err := a.o.Before.Ready(ctx); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	close(a.accepting)
	wait, cancel := context.WithTimeout(ctx, ownWait)
	defer cancel()
	switch err := a.o.Before.Own(wait); {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		a.o.Log.Error("the old process did not hand over: taking over without it", "error", err)
	}
	a.resume()
	a.warnUnused()
	a.o.Log.Info("upgrade finished", "pid", os.Getpid(), "version", a.o.Version)
	a.once.Do(func() { close(a.ready) })
	close(a.owner)
	<-ctx.Done()
	return nil
}

// awaitChecks waits until each instance was checked once, so that the first requests avoid the instances that are down, and
// until the keys of tokens were fetched, so that the first requests with good tokens are not refused, and until the sources
// of instances have answered.
func (a *App) awaitChecks(ctx context.Context) {
	if a.data == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(firstChecks, a.o.Document.Identity.UpgradeTimeout/2))
	defer cancel()
	tick := time.NewTicker(checkPace)
	defer tick.Stop()
	defer a.data.keeper.Rebuild()
	for !a.data.prober.Checked() || !a.data.hasKeys() || !a.data.discovery.Ready() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// resume makes this process the owner of the data directory and the sockets. From here on there is no way back: an error
// is logged, and the process serves.
func (a *App) resume() {
	failed := func(what string, err error) {
		if err != nil {
			a.o.Log.Error("upgrade: "+what, "error", err)
		}
	}
	if a.lock != nil {
		failed("lock of the data directory", state.Retake(a.lock))
		_, err := state.Open(a.o.DataDir, dataFormat)
		failed("format of the data directory", err)
	}
	if a.audit != nil {
		failed("audit log", a.audit.Resume())
	}
	if a.browser != nil {
		failed("lag thresholds", a.browser.Resume())
	}
	if a.control != nil {
		failed("last good configuration", a.control.Resume())
	}
	if unused := a.o.Sockets.Own(); len(unused) > 0 {
		a.o.Log.Info("listeners of the old process closed: the configuration does not have them", "addresses", unused)
	}
}

// warnUnused reports sockets of systemd without a listener. Clients connect to them and get no answer.
func (a *App) warnUnused() {
	if names := a.o.Sockets.Unused(); len(names) > 0 {
		a.o.Log.Warn("systemd passed sockets that no listener uses: clients wait there without an answer", "names", names, "fix", "FileDescriptorName= of the socket unit must be the name of a listener")
	}
}
