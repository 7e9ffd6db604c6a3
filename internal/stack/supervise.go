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

// restartable is a service that can be restarted after a crash.
type restartable interface {
	Service
	Crashed() bool
	Restart(ctx context.Context) error
}

const (
	look   = 200 * time.Millisecond // interval of the check of the processes: four small reads each
	stable = 30 * time.Second       // a service that ran this long did not fail to start

	turnOver = time.Minute // interval of the check of log sizes

	recorded = time.Minute // until a start command has written the pid file of the supervisor, on a busy machine
)

// turnOver rotates large output files of processes. Processes rotate their own log files.
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

// Supervise restarts crashed services, with back-off, and rotates their output files when these grow large. It ends
// when ctx ends or the stack's pid file of the supervisor names another process. It runs in the process that
// Runtime.Supervisor starts, and begins when the pid file names this process: the start command writes it after the start.
//
// The services are not children of the supervisor: a start command started them, and they continue when the supervisor
// is killed. So Supervise checks whether their processes exist.
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
	began, named := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-turn.C:
			r.turnOver(log)
			continue
		case <-tick.C:
		}
		switch {
		case r.Supervisor == nil:
		case r.Supervisor.is(os.Getpid()):
			named = true
		case named || time.Since(began) > recorded:
			log.Warn("another supervisor took over, or the state folder is gone")
			return nil
		default:
			continue
		}
		for _, w := range watched {
			r.revive(ctx, w, time.Now(), log)
		}
	}
}

// watch is the supervisor's state of one service.
type watch struct {
	service  restartable
	attempt  int
	due      time.Time // time of the next start; zero: it was healthy
	restarts time.Time // time of the last start
}

// revive restarts a service when it crashed and the back-off is over.
func (r Runtime) revive(ctx context.Context, w *watch, now time.Time, log *slog.Logger) {
	if !w.service.Crashed() {
		w.due = time.Time{}
		return
	}
	if w.due.IsZero() {
		if now.Sub(w.restarts) > stable {
			w.attempt = 0
		}
		pause := time.Duration(0) // the first crash is followed by an immediate restart
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

// is reports whether the pid file names the process pid.
func (p *Process) is(pid int) bool {
	r, alive := p.read()
	return alive && r.PID == pid
}
