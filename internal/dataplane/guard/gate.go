package guard

import (
	"sync"
	"sync/atomic"
)

// Priority of a request that waits.
type Priority uint8

// The priorities, the first one goes first.
const (
	Normal Priority = iota
	Low
	priorities
)

// Refusal says why a gate did not let a request in.
type Refusal uint8

// The refusals.
const (
	QueueFull    Refusal = iota // all places of the queue were taken
	QueueTimeout                // the request waited for too long
	QueueLeft                   // the client left while it waited, or the proxy stops
	Refusals
)

// String returns the word of the refusal in metrics.
func (r Refusal) String() string { return [Refusals]string{"full", "timeout", "left"}[r] }

// Limits of a gate.
type Limits struct {
	Running int // requests at the same time; 0: no limit
	Waiting int // places of the queue
}

// Gate limits the requests that run at the same time. Others wait in its queue: those of normal priority before those of
// low priority, otherwise in the order of their arrival. In a full queue, a request of normal priority takes the place of
// the request of low priority that came last. The zero value has no limit. The methods are safe for concurrent use, and
// none of them waits.
type Gate struct {
	limited atomic.Bool

	mu      sync.Mutex
	limits  Limits
	running int
	peak    int // most running since TakePeak
	waiting int
	queues  [priorities]queue
	counts  GateCounts
}

// GateCounts is what a gate has counted.
type GateCounts struct {
	Limit            int              // of Running; 0: none
	Running, Waiting int              // now
	Entered, Queued  uint64           // let in, and of those: after they had waited
	Refused          [Refusals]uint64 // not let in
}

// Waiter is the place of a request at a gate. Its owner uses it for one request after another, from one goroutine; only
// Wake is safe for concurrent use.
type Waiter struct {
	c          chan struct{}
	state      waiterState // guarded by the gate's lock
	priority   Priority
	running    int // requests that ran when it was let in, this one included
	prev, next *Waiter
}

type waiterState uint8

const (
	outside waiterState = iota
	queued
	inside
)

// NewWaiter returns a waiter.
func NewWaiter() *Waiter { return &Waiter{c: make(chan struct{}, 1)} }

// C gets a value when the gate has decided about a queued request, and after Wake. A value may be left of an earlier
// request: ask Settle after each one.
func (w *Waiter) C() <-chan struct{} { return w.c }

// Running returns how many requests ran when the last one of this waiter was let in, that one included.
func (w *Waiter) Running() int { return w.running }

// Wake ends a wait for C.
func (w *Waiter) Wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// Limited reports whether there is a limit. While there is none, requests need not enter.
func (g *Gate) Limited() bool { return g.limited.Load() }

// Set replaces the limits. It lets queued requests in for which there is room now. It removes none from the queue.
func (g *Gate) Set(l Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = l
	g.limited.Store(l.Running > 0)
	g.admit()
}

// Admission is the state of a request at a gate.
type Admission uint8

// The admissions.
const (
	Refused Admission = iota // it is not let in
	Queued                   // it waits
	Inside                   // it may run; Leave must follow
)

// Enter asks for a place. If the result is Queued, the caller waits for C and then calls Settle.
func (g *Gate) Enter(w *Waiter, p Priority) Admission {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.priority = p
	switch {
	case g.limits.Running == 0 || g.running < g.limits.Running && g.waiting == 0:
		g.enter(w)
		return Inside
	case g.waiting >= g.limits.Waiting && !g.displace(p):
		g.counts.Refused[QueueFull]++
		return Refused
	}
	w.state = queued
	g.waiting++
	g.queues[p].push(w)
	return Queued
}

// Settle returns what became of a queued request. If giveUp is true, a request that still waits leaves the queue for the
// reason why, and the result is Refused.
func (g *Gate) Settle(w *Waiter, giveUp bool, why Refusal) Admission {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case w.state == inside:
		return Inside
	case w.state == outside: // displaced
		return Refused
	case !giveUp:
		return Queued
	}
	g.remove(w)
	g.counts.Refused[why]++
	return Refused
}

// Leave gives the place of a request that was let in to the next one.
func (g *Gate) Leave(w *Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.state = outside
	g.running--
	g.admit()
}

// Counts returns what the gate has counted.
func (g *Gate) Counts() GateCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.counts
	c.Limit, c.Running, c.Waiting = g.limits.Running, g.running, g.waiting
	return c
}

// TakePeak returns the largest number of requests that ran at the same time since the last call.
func (g *Gate) TakePeak() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	peak := g.peak
	g.peak = g.running
	return peak
}

func (g *Gate) enter(w *Waiter) {
	w.state = inside
	g.running++
	g.peak, w.running = max(g.peak, g.running), g.running
	g.counts.Entered++
}

// admit lets queued requests in while there is room.
func (g *Gate) admit() {
	for g.waiting > 0 && (g.limits.Running == 0 || g.running < g.limits.Running) {
		w := g.queues[Normal].first
		if w == nil {
			w = g.queues[Low].first
		}
		g.remove(w)
		g.enter(w)
		g.counts.Queued++
		w.Wake()
	}
}

// displace makes room for a request in the queue, and reports whether it could.
func (g *Gate) displace(p Priority) bool {
	w := g.queues[Low].last
	if p == Low || w == nil {
		return false
	}
	g.remove(w)
	g.counts.Refused[QueueFull]++
	w.Wake()
	return true
}

func (g *Gate) remove(w *Waiter) {
	g.queues[w.priority].remove(w)
	g.waiting--
	w.state = outside
}

// queue is a list of waiters, the longest waiting first.
type queue struct{ first, last *Waiter }

func (q *queue) push(w *Waiter) {
	w.prev, w.next = q.last, nil
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
}

func (q *queue) remove(w *Waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
}
