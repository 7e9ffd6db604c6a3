package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

// Why a watch fired.
const (
	fired      int64 = -1 - iota // its deadline passed
	firedGone                    // the client left while the instance worked
	firedDrain                   // the proxy drains and the connection was idle
	firedCut                     // the proxy stops
)

// Which sockets a firing watch wakes.
const (
	wakeClient uint32 = 1 << iota
	wakeUpstream
	wakePlace
	idle     // between requests: a drain may end the connection
	readOnly // wakeClient wakes only what reads
)

// watch is the deadline for the current wait of a connection's goroutine. Setting a deadline on a socket costs
// microseconds and is needed in one of thousands of exchanges. So arm only stores the time. The sweeper compares it
// every tick and, when it has passed, sets a deadline in the past on the sockets concerned.
//
// at is 0 while no wait is armed, above 0 the deadline, below 0 the reason why the watch fired. The sweeper fires by
// compare-and-swap under mu. disarm checks the value that it replaces. If the watch has fired, disarm takes mu once.
// After that the sweeper has finished with the sockets, and no late deadline can affect the next exchange.
type watch struct {
	at    atomic.Int64
	wake  atomic.Uint32
	up    atomic.Pointer[upstreamConn] // the connection that wakeUpstream wakes
	place atomic.Pointer[guard.Waiter] // the place that wakePlace wakes

	timer  atomic.Pointer[time.Timer]         // that wakeUpstream ends; nil: none
	cancel atomic.Pointer[context.CancelFunc] // that wakeUpstream calls; nil: none
	mu     sync.Mutex
}

// arm starts a wait with the deadline at. Only the owner calls it, while the watch is disarmed.
func (w *watch) arm(at int64, wake uint32) {
	if w.wake.Load() != wake {
		w.wake.Store(wake)
	}
	w.at.Store(at)
}

// push moves the deadline of an armed watch. It returns false if the watch has fired, and then stays so: the party that was waited
// for until now is late, not the next one.
func (w *watch) push(at int64) bool {
	v := w.at.Load()
	return v > 0 && w.at.CompareAndSwap(v, at)
}

// disarm ends the wait and returns why the watch fired, 0 if it did not fire.
func (w *watch) disarm() int64 {
	v := w.at.Swap(0)
	if v >= 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return v
}

// fire wakes the waiting goroutine if the watch still holds v.
func (c *conn) fire(w *watch, v, why int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v <= 0 || !w.at.CompareAndSwap(v, why) {
		return
	}
	wake := w.wake.Load()
	if wake&wakeUpstream != 0 {
		if u := w.up.Load(); u != nil {
			u.link.interrupt(true)
		}
		if t := w.timer.Load(); t != nil {
			t.Reset(0)
		}
		if cancel := w.cancel.Load(); cancel != nil {
			(*cancel)()
		}
	}
	if wake&wakePlace != 0 {
		if place := w.place.Load(); place != nil {
			place.Wake()
		}
	}
	if wake&wakeClient != 0 {
		c.link.interrupt(wake&readOnly == 0)
	}
}

// past is a deadline that has passed. Read only.
var past = time.Unix(1, 0)

// peerState is the visible state of the other end of a connection.
type peerState uint8

const (
	peerThere peerState = iota
	peerHalf            // the peer sends no more
	peerGone            // the connection is broken
)
