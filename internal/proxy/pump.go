package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/h1"
)

// pump sends the rest of a request body while the connection's own goroutine
// reads the reply: an instance may answer (413) while the upload is on its way,
// or stream its answer against it. It runs for one exchange and is joined before
// anything of it is reused.
type pump struct {
	buf     lease // bytes from the client; after the end those of the next request
	done    chan struct{}
	last    atomic.Bool // the last bytes are being sent
	stopped atomic.Bool // told to stop: errors mean nothing
	whole   bool        // all was sent; read after done
	blame   *h1.Error   // what the client did; read after done

	mu      sync.Mutex
	waiting bool // the response head has not come
	after   int64
}

// finishing reports whether the whole body was read and is sent, or about to be.
func (p *pump) finishing() bool { return p.last.Load() }

// headCame ends the time in which the end of the body starts the head timeout.
func (p *pump) headCame() {
	p.mu.Lock()
	p.waiting = false
	p.mu.Unlock()
}

// startPump begins to send the body from where the buffer ended. The pump ends
// by itself at the end of the body or at an error; headTimeout then counts for
// the response head.
func (c *conn) startPump(e *exchange, u *upstreamConn, headTimeout int64) {
	p := &e.pump
	p.buf = lease{pool: c.p.large}
	if e.req.Body == h1.ByChunks {
		p.buf.pool = c.p.small // what it reads too much must fit the connection's own buffer
	}
	p.done = make(chan struct{})
	p.last.Store(false)
	p.stopped.Store(false)
	p.whole, p.blame = false, nil
	p.waiting, p.after = true, headTimeout
	e.pumping = true
	c.pumpWatch.up.Store(u)
	go func() {
		defer close(p.done)
		c.runPump(e, u)
	}()
}

func (c *conn) runPump(e *exchange, u *upstreamConn) {
	p := &e.pump
	p.whole = c.pumpBody(e, u)
	cause := c.pumpWatch.disarm()
	if cause == fired && p.blame == clientLeft {
		p.blame = bodyLate
	}
	if p.stopped.Load() {
		if p.blame == clientLeft {
			p.blame = nil // the stop broke its read
		}
		return
	}
	if p.blame != nil {
		u.close() // the instance must not take what it has for the whole; wakes the reader
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole && p.waiting && p.after > 0 {
		c.watch.lower(c.p.cfg.Now() + p.after)
	}
}

// pumpBody reports whether the whole body was sent. Where the instance refuses
// more bytes it just stops: the instance's answer says why.
func (c *conn) pumpBody(e *exchange, u *upstreamConn) bool {
	p := &e.pump
	var frame []byte
	if e.req.Body == h1.ByChunks {
		frame = make([]byte, 0, p.buf.pool.size+2*bodyRoom)
	}
	for !e.body.Done() {
		c.pumpWatch.arm(c.p.cfg.Now()+int64(c.p.cfg.BodyTimeout), wakeClient|wakeUpstream)
		var data []byte
		var err error
		if frame == nil {
			space := p.buf.room()
			var n int
			n, err = c.wire.read(space[:e.body.Want(len(space))])
			data, _, _ = e.body.Take(space[:n])
		} else {
			var n int
			if n, err = c.wire.read(p.buf.room()); err == nil {
				p.buf.end += n
				if data, n, p.blame = e.body.Take(p.buf.bytes()); p.blame != nil {
					return false
				}
				frame = h1.AppendChunk(frame[:0], data)
				p.buf.drop(n)
			}
		}
		if err != nil {
			p.blame = clientLeft
			return false
		}
		e.taken += int64(len(data))
		if limit := c.p.cfg.MaxBody; limit > 0 && e.taken > limit {
			p.blame = bodyBig
			return false
		}
		if frame != nil {
			data = frame
		}
		if e.body.Done() {
			p.last.Store(true)
			if frame != nil {
				data = append(data, h1.LastChunk...)
			}
		}
		if _, err := u.wire.write(data); err != nil {
			return false
		}
		if c.pumpWatch.disarm() != 0 {
			p.blame = bodyLate
			return false
		}
	}
	if frame == nil {
		p.buf.release()
	}
	return true
}

// joinPump waits for the pump after the response has ended, and reports whether
// the whole body was sent. A pump that is not at its end is stopped: the
// instance has answered without the rest.
func (c *conn) joinPump(e *exchange, u *upstreamConn) bool {
	if e.pump.finishing() {
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-e.pump.done:
		case <-t.C:
		}
	}
	c.stopPump(e, u)
	return e.pump.whole
}

// stopPump ends the pump if it runs and waits for it.
func (c *conn) stopPump(e *exchange, u *upstreamConn) {
	if !e.pumping {
		return
	}
	select {
	case <-e.pump.done:
	default:
		e.pump.stopped.Store(true)
		_ = c.wire.tcp.SetReadDeadline(past)
		_ = u.wire.tcp.SetWriteDeadline(past)
		<-e.pump.done
		_ = u.wire.tcp.SetWriteDeadline(time.Time{}) // it may have ended well before it saw ours, and is kept then
	}
	_ = c.wire.tcp.SetDeadline(time.Time{}) // ours or the pump's watch's: the reply is still to be written
}

// lower brings the deadline of an armed watch forward.
func (w *watch) lower(at int64) {
	for {
		v := w.at.Load()
		if v <= at || w.at.CompareAndSwap(v, at) {
			return
		}
	}
}
