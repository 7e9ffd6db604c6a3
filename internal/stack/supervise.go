package stack

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// restartable is a service that can be started again after a crash.
type restartable interface {
	Service
	Crashed() bool
	Restart(ctx context.Context) error
}

const (
	look   = 200 * time.Millisecond // between two looks at the processes: four small reads each
	stable = 30 * time.Second       // a service that ran so long did not fail to start

	turnOver = time.Minute // between two looks at the sizes of logs
)

// turnOver puts aside what processes have printed, where it is large. Their own
// log files they turn over themselves.
func (r Runtime) turnOver(log *slog.Logger) {
	for _, s := range append(slices.Clone(r.Services), Service(r.Supervisor)) {
		p, ok := s.(*Process)
		if !ok || p == nil {
			continue
		}
		if err := p.turnOver(); err != nil {
			log.Error("log is not turned over", "service", p.Name(), "error", err)
		}
	}
}

// Supervise starts services again that crash, with back-off, and turns over
// what they print when that grows large, until ctx ends or the stack's pid file
// of the supervisor names another process. It is the work of the process that
// Runtime.Supervisor starts.
//
// The services are no children of the supervisor: they were started by whoever
// typed start, and go on when the supervisor is killed. So it looks whether
// their processes are there.
func (r Runtime) Supervise(ctx context.Context, log *slog.Logger) error {
	watched := []*watch{}
	for _, s := range r.Services {
		if s, ok := s.(restartable); ok {
			watched = append(watched, &watch{service: s})
		}
	}
	tick, turn := time.NewTicker(look), time.NewTicker(turnOver)
	defer tick.Stop()
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-turn.C:
			r.turnOver(log)
			continue
		case <-tick.C:
		}
		if r.Supervisor != nil && !r.Supervisor.is(os.Getpid()) {
			log.Warn("another supervisor took over, or the state folder is gone")
			return nil
		}
		for _, w := range watched {
			r.revive(ctx, w, time.Now(), log)
		}
	}
}

// watch is what the supervisor knows of one service.
type watch struct {
	service  restartable
	attempt  int
	due      time.Time // of the next start; zero: it was well
	restarts time.Time // when it was started last
}

// revive starts a service again when it crashed and the pause is over.
func (r Runtime) revive(ctx context.Context, w *watch, now time.Time, log *slog.Logger) {
	if !w.service.Crashed() {
		w.due = time.Time{}
		return
	}
	if w.due.IsZero() {
		if now.Sub(w.restarts) > stable {
			w.attempt = 0
		}
		pause := time.Duration(0) // one crash is fixed at once
		if w.attempt > 0 {
			pause = backoff.Policy{Base: 250 * time.Millisecond, Max: 30 * time.Second, Factor: 2}.Delay(w.attempt-1, rand.Float64())
		}
		w.due = now.Add(pause)
		reason := ""
		if e, ok := w.service.(explainer); ok {
			reason = e.Why()
		}
		log.Warn("service ended", "service", w.service.Name(), "reason", reason, "restart_in", pause)
	}
	if now.Before(w.due) {
		return
	}
	release, err := r.lock(ctx)
	if err != nil {
		return // ctx ended
	}
	defer release()
	if _, err := os.Stat(r.stopPath()); err == nil || !w.service.Crashed() {
		return
	}
	w.attempt++
	w.restarts, w.due = now, time.Time{}
	if err := w.service.Restart(ctx); err != nil {
		log.Error("service does not start", "service", w.service.Name(), "error", err)
		return
	}
	log.Info("service started again", "service", w.service.Name(), "attempt", w.attempt)
}

// is reports whether the pid file names this very process.
func (p *Process) is(pid int) bool {
	r, alive := p.read()
	return alive && r.PID == pid
}
