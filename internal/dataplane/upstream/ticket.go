package upstream

import "cmp"

// Ticket is the right to send one request to one instance, and the duty to account for it: one Observe, one Release. It
// is a value inside the reused exchange, so a pick allocates nothing. It is not safe for concurrent use.
type Ticket struct {
	live    *Live
	started int64
	index   int32
	floor   float32 // SampleFloor of the member
	state   ticketState
	failed  bool   // Observe already counted an error
	trial   bool   // the request is the trial of a failing instance
	before  uint32 // consecutive failures when the response head arrived
}

type ticketState uint8

const (
	ticketNone ticketState = iota
	ticketOpen
	ticketObserved
	ticketReleased
)

// Live returns the instance that was picked, nil for a ticket that was never filled.
func (t *Ticket) Live() *Live { return t.live }

// Index returns the index of the picked member in the pool that Pick returned.
func (t *Ticket) Index() int { return int(t.index) }

// Sent sets when the last byte of a slow request body was sent: the instance's time begins there.
func (t *Ticket) Sent(at int64) { t.started = max(t.started, at) }

// Observe records the result of the request, at the response head or at the failure. A second call does nothing (and
// panics in race builds). It returns the instance's consecutive failures.
func (t *Ticket) Observe(o Outcome, now int64) uint32 {
	if t.state != ticketOpen {
		misuse("Observe")
		return 0
	}
	t.state, t.failed, t.before = ticketObserved, o != Success && o != Abandoned && o != Overtaken, t.live.Fails.Load()
	defer t.endTrial()
	return t.live.observe(o, t.started, now, cmp.Or(float64(t.floor), LatencyFloor))
}

func (t *Ticket) endTrial() {
	if t.trial {
		t.trial = false
		t.live.endTrial()
	}
}

// Broken records that the response body failed because of the instance, after its head was observed. A request counts
// as one error at most. The failures before it stay consecutive: a good head alone is no success. Broken returns the
// instance's consecutive failures if it counted an error, otherwise 0.
func (t *Ticket) Broken(now int64) uint32 {
	if t.state != ticketObserved || t.failed {
		return 0
	}
	t.failed = true
	return t.live.fail(now, true, t.before)
}

// Release ends the request on the instance: last byte, failure, or end of the tunnel. A ticket that was not observed
// counts as abandoned. A second call does nothing (and panics in race builds).
func (t *Ticket) Release() {
	switch t.state {
	case ticketOpen, ticketObserved:
		t.state = ticketReleased
		t.endTrial()
		t.live.InFlight.Add(-1)
	default:
		misuse("Release")
	}
}

// Held reports whether the ticket was filled and not yet released.
func (t *Ticket) Held() bool { return t.state == ticketOpen || t.state == ticketObserved }
