package notifier

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
	"github.com/smartlb/smartlb/internal/telemetry/receiver"
)

const (
	look       = 250 * time.Millisecond // how often a worker asks its machine what is due
	flightWait = 2 * time.Second        // how long a member that leaves waits for a message in flight
	refused    = time.Minute            // shortest wait after a message that would fail again
)

// retry is the wait after a failure that may pass. It is shorter than grouping.FeedValid.
var retry = backoff.Policy{Base: time.Second, Max: time.Minute, Factor: 2}

// sender is what a worker needs of a receiver.
type sender interface {
	Name() string
	Target() string
	Send(ctx context.Context, m grouping.Message) error
	Close()
}

// worker sends to one receiver, one message at a time.
type worker struct {
	c        config.Receiver
	alerting config.Alerting
	to       sender
	now      func() time.Time
	log      *slog.Logger
	kick     chan struct{}

	mu      sync.Mutex
	machine grouping.Machine   // nil while this node is not the sender; its message in flight is settled in any case
	live    bool               // the machine knows all alerts
	flight  context.CancelFunc // ends the message in flight; nil: none
	landed  chan struct{}      // closed when the message in flight has ended
	retryAt time.Time
	tries   int // failures in a row
	stats   ReceiverStatus
	past    grouping.Stats // counts of former machines
}

func newWorker(c config.Receiver, a config.Alerting, to sender, now func() time.Time, log *slog.Logger) *worker {
	return &worker{c: c, alerting: a, to: to, now: now, log: log, kick: make(chan struct{}, 1)}
}

func (w *worker) newMachine() grouping.Machine {
	if w.c.Type == config.ReceiverAlertmanager {
		return grouping.NewFeed(w.c.MinSeverity)
	}
	return grouping.New(grouping.Config{
		By: w.alerting.GroupBy, Wait: w.alerting.GroupWait, Interval: w.alerting.GroupInterval, Repeat: w.alerting.RepeatInterval,
		MinSeverity: w.c.MinSeverity, Resolved: w.c.SendResolved,
	})
}

// begin makes a new machine, before the first alert is read.
func (w *worker) begin(silences []configlog.Silence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop()
	w.machine, w.live = w.newMachine(), false
	w.machine.Silence(silences, w.now())
	w.retryAt, w.tries, w.stats.FailingSince = time.Time{}, 0, time.Time{}
}

// drop forgets the machine. w.mu is locked.
func (w *worker) drop() {
	if w.machine == nil {
		return
	}
	s := w.machine.Stats()
	w.past.Dropped, w.past.Missed = w.past.Dropped+s.Dropped, w.past.Missed+s.Missed
	w.machine, w.live = nil, false
}

// take passes an alert to the machine; known: it is from before the mark.
func (w *worker) take(a event.Alert, known bool, mark grouping.Mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.machine == nil:
		return
	case known:
		w.machine.Recall(a, mark, w.now())
	default:
		w.machine.Apply(a, w.now())
	}
	w.wake()
}

func (w *worker) silence(silences []configlog.Silence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.machine != nil {
		w.machine.Silence(silences, w.now())
		w.wake()
	}
}

// start lets the worker send.
func (w *worker) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = w.machine != nil
	w.wake()
}

func (w *worker) wake() {
	select {
	case w.kick <- struct{}{}:
	default: // it is awake
	}
}

// pause ends sending. It gives the message in flight a moment, then cuts it.
func (w *worker) pause(wait time.Duration) {
	w.mu.Lock()
	w.live = false
	flight, landed := w.flight, w.landed
	w.mu.Unlock()
	if flight == nil {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-landed:
		return
	case <-timer.C:
	}
	flight()
	<-landed
}

// end forgets the machine.
func (w *worker) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop()
}

// mark returns what the next sender must know.
func (w *worker) mark() grouping.Mark {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.machine == nil {
		return grouping.Mark{}
	}
	return w.machine.Mark(w.now())
}

// run sends until ctx ends.
func (w *worker) run(ctx context.Context) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.kick:
		case <-ticker.C:
		}
		for more := true; more && ctx.Err() == nil; {
			more = w.step(ctx)
		}
	}
}

// step sends the message that is due. It returns false if none is.
func (w *worker) step(ctx context.Context) bool {
	w.mu.Lock()
	if !w.live || w.now().Before(w.retryAt) {
		w.mu.Unlock()
		return false
	}
	m, ok := w.machine.Take(w.now())
	if !ok {
		w.mu.Unlock()
		return false
	}
	machine := w.machine
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.flight, w.landed = cancel, make(chan struct{})
	w.mu.Unlock()

	err := w.to.Send(ctx, m)

	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && ctx.Err() != nil { // this node cut it; the next sender sends it again
		machine.Settle(m, w.now(), false, w.now())
	} else {
		w.settle(machine, m, err)
	}
	close(w.landed)
	w.flight, w.landed = nil, nil
	return true
}

// settle stores the result of a message. w.mu is locked.
func (w *worker) settle(machine grouping.Machine, m grouping.Message, err error) {
	now := w.now()
	if err == nil {
		if !w.stats.FailingSince.IsZero() {
			w.log.Info("alert receiver takes messages again", "receiver", w.c.Name)
		}
		w.stats.FailingSince, w.retryAt, w.tries = time.Time{}, time.Time{}, 0
		w.stats.Delivered++
		w.stats.LastDelivered = now
		machine.Settle(m, now, true, time.Time{})
		return
	}
	var failure *receiver.Error
	if !errors.As(err, &failure) {
		failure = &receiver.Error{Text: err.Error()}
	}
	w.failed(failure, now)
	if failure.Delivered {
		w.stats.Delivered++
		w.stats.LastDelivered = now
		machine.Settle(m, now, true, time.Time{})
		return
	}
	again := now.Add(max(refused, w.alerting.GroupInterval))
	if !failure.Permanent {
		again = now.Add(max(failure.RetryAfter, retry.Delay(w.tries, rand.Float64())))
		w.retryAt = again
		w.tries++
	}
	machine.Settle(m, now, false, again)
}

func (w *worker) failed(failure *receiver.Error, now time.Time) {
	if w.stats.FailingSince.IsZero() {
		w.log.Warn("alert receiver does not take a message", "receiver", w.c.Name, "error", failure.Text)
		w.stats.FailingSince = now
	}
	w.stats.Failed++
	w.stats.LastError = failure.Text
}

func (w *worker) status() ReceiverStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Name, s.Type, s.Target, s.MinSeverity, s.SendResolved = w.c.Name, w.c.Type, w.to.Target(), w.c.MinSeverity, w.c.SendResolved
	s.Dropped, s.Missed = w.past.Dropped, w.past.Missed
	if w.machine != nil {
		m := w.machine.Stats()
		s.Alerts, s.Dropped, s.Missed = m.Alerts, s.Dropped+m.Dropped, s.Missed+m.Missed
	}
	if !w.stats.FailingSince.IsZero() {
		s.NextAttempt = w.retryAt
	}
	return s
}
