package access

import (
	"context"
	"sync"
	"time"
)

// turns limits the concurrent comparisons of passwords, because each takes a core for a quarter of a second. It also
// limits the number of waiting logins, per address and in total, so a flood from one address does not block other
// addresses. Known devices have a reserved turn. It is safe for concurrent use.
type turns struct {
	open, reserved chan struct{}

	mu      sync.Mutex
	waiting map[string]int // by address; no entry: none
	total   int            // excluding known devices
}

const (
	turnsOpen       = 2
	waitingAddress  = 16
	waitingTotal    = 128
	busyWait        = time.Second // time until a rejected login may retry
	nameAndPassword = 256         // maximum bytes of each
)

func newTurns() *turns {
	return &turns{open: make(chan struct{}, turnsOpen), reserved: make(chan struct{}, 1), waiting: map[string]int{}}
}

// take waits for a turn; done ends it. The error is TooMany if too many logins wait, otherwise the error of ctx.
func (t *turns) take(ctx context.Context, address string, known bool) (done func(), err error) {
	if !t.queue(address, known) {
		return nil, TooMany{Wait: busyWait, Busy: true}
	}
	defer t.unqueue(address, known)
	reserved := t.reserved
	if !known {
		reserved = nil // never ready
	}
	select {
	case t.open <- struct{}{}:
		return func() { <-t.open }, nil
	case reserved <- struct{}{}:
		return func() { <-t.reserved }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (t *turns) queue(address string, known bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known {
		address = "known " + address
	} else if t.total >= waitingTotal {
		return false
	}
	if t.waiting[address] >= waitingAddress {
		return false
	}
	t.waiting[address]++
	if !known {
		t.total++
	}
	return true
}

func (t *turns) unqueue(address string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known {
		address = "known " + address
	} else {
		t.total--
	}
	if t.waiting[address]--; t.waiting[address] == 0 {
		delete(t.waiting, address)
	}
}
