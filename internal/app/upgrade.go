package app

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/base/handover"
	"github.com/smartlb/smartlb/internal/event"
)

// Upgrade says how a new process takes the place of this process.
type Upgrade struct {
	C       <-chan os.Signal // each signal starts an upgrade; nil: no upgrades
	Refused string           // why this process cannot be upgraded; empty: it can
	Program string           // absolute path of the program
	Args    []string         // without the program
}

// ServiceManager hears about changes of a process.
type ServiceManager interface {
	Reloading()         // the process reads its configuration again, or starts an upgrade
	Ready()             // that has ended
	HandedOver(pid int) // another process has taken the place of this process; the other methods have no effect any more
	Stopping()
}

type noManager struct{}

func (noManager) Reloading()     {}
func (noManager) Ready()         {}
func (noManager) HandedOver(int) {}
func (noManager) Stopping()      {}

// followUpgrades starts a new process at each signal. A new process that is ready goes to Run, which hands over.
func (a *App) followUpgrades(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.o.Upgrade.C:
			if a.upgrade(ctx) {
				<-ctx.Done()
				return nil
			}
		}
	}
}

// upgrade starts a new process and waits until it is ready. It returns false, and has logged why, if the process did not
// become ready; that process has then ended.
func (a *App) upgrade(ctx context.Context) (ready bool) {
	refuse := a.o.Upgrade.Refused
	if why := a.notReady(); refuse == "" && why != "" {
		refuse = "this process is not ready (" + why + "): restart it"
	}
	if refuse != "" {
		a.o.Log.Error("upgrade refused", "reason", refuse)
		return false
	}
	a.delayed.begin()
	a.o.Manager.Reloading()
	next, err := handover.Start(handover.Program{Path: a.o.Upgrade.Program, Args: a.o.Upgrade.Args, Sockets: a.o.Sockets, Stderr: os.Stderr, Lock: a.lock, Node: a.node})
	if err != nil {
		a.upgradeFailed(err)
		return false
	}
	timeout := a.o.Document.Identity.UpgradeTimeout
	a.o.Log.Info("upgrade started", "program", a.o.Upgrade.Program, "pid", next.PID(), "timeout", timeout.String())
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- next.Await(wait) }()
	for {
		select {
		case err := <-done:
			switch {
			case err == nil:
				a.upgraded <- next // Run hands over
			case ctx.Err() != nil:
				a.o.Log.Info("upgrade ended, because this process stops", "reason", err.Error())
			default:
				a.upgradeFailed(err)
			}
			return err == nil
		case <-a.o.Upgrade.C:
			a.o.Log.Error("upgrade refused", "reason", "an upgrade is in progress")
		}
	}
}

// upgradeFailed reports why a new process did not become ready.
func (a *App) upgradeFailed(err error) {
	reason := err.Error()
	attrs := []any{"reason", reason, "program", a.o.Upgrade.Program}
	var failed *handover.FailedError
	if errors.As(err, &failed) && failed.Output != "" {
		attrs = append(attrs, "last_lines", failed.Output) // only in the log: the lines may quote the configuration
	}
	a.o.Log.Error("upgrade failed, this process continues", attrs...)
	a.record("upgrade.node", event.Target{Kind: "node", ID: a.node}, err)
	a.badUpgrade.Store(&reason)
	a.statusChanged()
	a.o.Manager.Ready()
	a.delayed.failed()
}

// delayed keeps a signal that arrives during an upgrade: what it asks for is done by the new process, or by this process
// when the upgrade has failed. A reload during an upgrade would give the two processes different listeners.
type delayed struct {
	again chan os.Signal // a signal that is to be handled now

	mu     sync.Mutex
	on     bool      // an upgrade is in progress
	signal os.Signal // nil: none; SIGHUP includes what SIGUSR1 does
}

func (d *delayed) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = true
}

// put keeps a signal and reports true if an upgrade is in progress.
func (d *delayed) put(s os.Signal) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on && d.signal != syscall.SIGHUP {
		d.signal = s
	}
	return d.on
}

func (d *delayed) active() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.on
}

// failed ends an upgrade that failed: this process handles the signal.
func (d *delayed) failed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.signal != nil {
		select {
		case d.again <- d.signal:
		default: // an earlier signal stands for this one
		}
	}
	d.on, d.signal = false, nil
}

// ownerTimeout limits the time until everything that only one process may do has stopped here.
const ownerTimeout = 20 * time.Second

// handOver gives the place of this process to a new process that is ready. Afterwards this process drains. The order is
// described in docs/design/upgrade.md.
func (a *App) handOver(acts *actors, next *handover.Successor) {
	log := a.o.Log.With("pid", next.PID())
	log.Info("the new process accepts connections: handing over, then draining", "drain", a.o.Drain.String())
	a.handedOver = true
	a.record("upgrade.node", event.Target{Kind: "node", ID: a.node}, nil)
	a.o.Sockets.Leave()
	ctx, cancel := context.WithTimeout(context.Background(), ownerTimeout)
	defer cancel()
	if err := acts.stopOwner(ctx); err != nil {
		log.Error("handing over", "error", err)
	}
	a.o.Manager.HandedOver(next.PID())
	a.forward(next)
	if err := next.Own(); err != nil {
		log.Error("the new process was not told to take over", "error", err)
	}
	a.unlockData()
}

// forward sends the new process a signal that arrived here during the upgrade.
func (a *App) forward(next *handover.Successor) {
	select {
	case s := <-a.o.Signals.C:
		a.delayed.put(s)
	default:
	}
	if s := a.delayed.signal; s != nil { // nothing else uses it any more
		_ = next.Signal(s) // an error means that the process has ended
	}
}

// endUnused stops a new process that became ready while this process was already stopping. It may have accepted
// connections, and drains them.
func (a *App) endUnused() {
	select {
	case next := <-a.upgraded:
		_ = next.End(a.o.LameDuck + a.o.Drain + ownerTimeout)
	default:
	}
}
