package dispatch

import (
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// enter lets a request in at the gate of its service.
func (d *Dispatcher) enter(x *Exchange, now int64) *Verdict {
	gate := &x.service.Gate
	if !gate.Limited() {
		return d.start(x, now)
	}
	if x.waiter == nil {
		x.waiter = guard.NewWaiter()
	}
	switch gate.Enter(x.waiter, x.priority) {
	case guard.Inside:
		x.inside = true
		return d.start(x, now)
	case guard.Queued:
		return x.queued()
	default:
		return x.turnAway(CodeQueueFull)
	}
}

// start picks the instance of a request that is let in.
func (d *Dispatcher) start(x *Exchange, now int64) *Verdict {
	x.service.Active.Add(1)
	x.active = true
	return d.pick(x, now)
}

// queued returns the verdict that waits for a place. The time of the route begins later; the client's does not.
//
//go:noinline
func (x *Exchange) queued() *Verdict {
	until := max(x.began, x.delayed) + int64(x.leg.QueueTimeout)
	if x.Timeout > 0 {
		until = min(until, x.began+int64(x.Timeout))
	}
	return x.then(Verdict{Action: Wait, Waiter: x.waiter, Deadline: until})
}

// Admit reports why a wait ended, and returns the next action. f is None after a value of the waiter, Timeout after the
// deadline, ClientGone if the client left, and Stopped if the proxy stops.
func (d *Dispatcher) Admit(x *Exchange, f Failure, now int64) Verdict {
	why := guard.QueueLeft
	if f == Timeout {
		why = guard.QueueTimeout
	}
	switch x.service.Gate.Settle(x.waiter, f != None, why) {
	case guard.Inside:
		x.inside, x.admitted = true, now
		if f != ClientGone && f != Stopped {
			return *d.start(x, now)
		}
	case guard.Queued:
		return *x.queued()
	}
	x.admitted = now
	switch f {
	case None: // another request took its place
		return *x.turnAway(CodeQueueFull)
	case Timeout:
		return *x.turnAway(CodeQueueTimeout)
	}
	x.failure = f
	end := Blame(f, false)
	return *x.reply(end.Status, end.Code, end.sentence)
}

// waitedTooLong reports whether the client's own timeout has passed, a part of it while the request waited at the gate or
// because of a fault: the instance did not have the time that the client gave.
func (x *Exchange) waitedTooLong() bool {
	return max(x.admitted, x.delayed) > 0 && x.Timeout > 0 && x.headAt >= max(x.began, x.sentAt)+int64(x.Timeout)
}

// measureAdmitted tells the service how long a try took that was let in at its gate. Failures other than timeouts are no
// latency.
func (x *Exchange) measureAdmitted(o upstream.Outcome, now int64) {
	if x.inside && (o == upstream.Success || o == upstream.TimedOut) {
		x.service.Latencies.Observe(now-max(x.attempts[x.n-1].At, x.sentAt), x.waiter.Running())
	}
}

// turnAway answers a request that was not let in.
//
//go:noinline
func (x *Exchange) turnAway(code string) *Verdict {
	text := "service " + x.service.ID + " has as many requests in flight and waiting as its limits allow"
	if code == CodeQueueTimeout {
		text = "the request waited too long for its turn at service " + x.service.ID
	}
	return x.reply(503, code, text)
}

// leave gives the places of the request back.
func (x *Exchange) leave() {
	if x.active {
		x.active = false
		x.service.Active.Add(-1)
	}
	if x.inside {
		x.inside = false
		x.service.Gate.Leave(x.waiter)
	}
}

// noInstance answers a request for which the pool has no instance.
//
//go:noinline
func (x *Exchange) noInstance(pool *upstream.Pool) *Verdict {
	if len(pool.Live) > 0 && pool.InstanceLimit > 0 {
		return x.reply(503, CodeInstanceFull, "every instance of service "+x.service.ID+" has as many requests in flight as its limit allows")
	}
	return x.reply(503, CodeNoInstance, noInstance(x.service.ID, pool))
}

// of returns the priority of a request.
func (p Priority) of(h Head) guard.Priority {
	if p.Low {
		return guard.Low
	}
	if p.Header != "" {
		if v, ok := h.Header(p.Header); ok && string(v) == "low" {
			return guard.Low
		}
	}
	return guard.Normal
}
