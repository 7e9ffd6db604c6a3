package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// Why a watch fired.
const (
	fired      int64 = -1 - iota // its time came
	firedGone                    // the client left while an instance was at work
	firedDrain                   // the proxy drains and the connection was idle
	firedCut                     // the proxy stops
)

// Which sockets a firing watch wakes.
const (
	wakeClient uint32 = 1 << iota
	wakeUpstream
	idle // between requests: a drain may end it
)

// watch is the deadline of whatever a connection's goroutine waits for. Setting
// a deadline on a socket costs microseconds and is needed in one exchange of
// thousands, so the time is only stored; the sweeper compares it every tick and
// sets a deadline in the past on the sockets concerned.
//
// at is 0 when nothing is awaited, above 0 the time, below 0 why it fired. The
// sweeper fires by compare-and-swap under mu; disarm looks at the value that it
// replaces and, if that says fired, takes mu once: after that the sweeper has
// touched the sockets, and no late deadline can hit the next exchange.
type watch struct {
	at   atomic.Int64
	wake atomic.Uint32
	up   atomic.Pointer[upstreamConn] // what wakeUpstream means
	mu   sync.Mutex
}

// arm starts waiting until at. It is called by the owner while disarmed.
func (w *watch) arm(at int64, wake uint32) {
	if w.wake.Load() != wake {
		w.wake.Store(wake)
	}
	w.at.Store(at)
}

// push moves the deadline of an armed watch; a fired one stays fired.
func (w *watch) push(at int64) {
	if v := w.at.Load(); v > 0 {
		w.at.CompareAndSwap(v, at)
	}
}

// disarm stops waiting and says why the watch fired, 0 if it did not.
func (w *watch) disarm() int64 {
	v := w.at.Swap(0)
	if v >= 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return v
}

// fire wakes the goroutine that waits, if the watch still holds v.
func (c *conn) fire(w *watch, v, why int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v <= 0 || !w.at.CompareAndSwap(v, why) {
		return
	}
	wake := w.wake.Load()
	if wake&wakeUpstream != 0 {
		if u := w.up.Load(); u != nil {
			_ = u.wire.tcp.SetDeadline(past)
		}
	}
	if wake&wakeClient != 0 {
		_ = c.wire.tcp.SetDeadline(past)
	}
}

// past is a deadline that has expired. Read only.
var past = time.Unix(1, 0)

// peerState is what can be seen of the other end of a connection.
type peerState uint8

const (
	peerThere peerState = iota
	peerHalf            // it sends no more
	peerGone            // the connection is broken
)
