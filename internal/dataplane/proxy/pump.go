package proxy

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// pump sends the rest of a request body while the connection's own goroutine reads the response. This is necessary
// because an instance may answer (413) during the upload, or stream its answer while it receives. A pump runs for one
// exchange and is joined before any part of it is reused.
type pump struct {
	buf     lease // bytes from the client; after the end of the body those of the next request
	done    chan struct{}
	last    atomic.Bool  // the last bytes are being sent
	stopped atomic.Bool  // the pump was stopped: its errors mean nothing
	whole   bool         // all was sent; read after done
	stalled bool         // the instance took no more bytes; read after done
	blame   *h1.Error    // the client's fault; read after done
	sentAt  atomic.Int64 // when bytes were last sent

	mu      sync.Mutex
	waiting bool  // the response head has not arrived
	after   int64 // time for the response head after the end of the body, 0 none
}

// finishing reports whether the whole body was read from the client; its last bytes are sent or are being sent.
func (p *pump) finishing() bool { return p.last.Load() }

// headCame records that the response head arrived: from now on the end of the body does not start the head timeout. It
// returns when bytes were last sent.
func (p *pump) headCame() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = false
	return p.sent()
}

// sent returns when bytes were last sent, 0 if no pump ran.
func (p *pump) sent() int64 { return p.sentAt.Load() }

// startPump starts to send the body after the bytes that were in the buffer. The pump ends at the end of the body or at
// an error. At the end of the body, the head timeout of the verdict and the timeout of the route begin.
func (c *conn) startPump(e *exchange, u *upstreamConn, v *dispatch.Verdict) {
	p := &e.pump
	p.buf = lease{pool: c.p.large}
	if e.req.Body == h1.ByChunks {
		p.buf.pool = c.p.small // excess bytes that it reads must fit into the connection's own buffer
	}
	p.done = make(chan struct{})
	p.last.Store(false)
	p.stopped.Store(false)
	p.whole, p.stalled, p.blame = false, false, nil
	p.sentAt.Store(c.now)
	p.waiting, p.after = true, int64(v.HeadTimeout)
	if t := int64(v.Timeout); t > 0 && (p.after == 0 || t < p.after) {
		p.after = t
	}
	u.live.Uploading()
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
	if p.whole {
		e.endMirror(true)
	}
	cause := c.pumpWatch.disarm()
	if cause == fired && p.blame == clientLeft {
		p.blame = bodyLate
	}
	if p.stopped.Load() {
		if p.blame == clientLeft {
			p.blame = nil // the stop interrupted its read
		}
		return
	}
	if p.blame != nil {
		u.close() // prevents the instance from treating a partial body as whole; also wakes the reader
		return
	}
	if !p.whole {
		return
	}
	u.live.Sent(p.sent())
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.waiting:
	case p.after > 0:
		c.watch.push(p.sent() + p.after)
	default:
		c.watch.push(never)
	}
}

// pumpBody reports whether the whole body was sent. If the instance accepts no more bytes, the pump stops: the
// instance's answer gives the reason.
func (c *conn) pumpBody(e *exchange, u *upstreamConn) bool {
	p := &e.pump
	var frame []byte
	if e.req.Body == h1.ByChunks || u.chunks(e) {
		frame = make([]byte, 0, p.buf.pool.size+2*bodyRoom)
	}
	for !e.body.Done() {
		began := c.p.cfg.Now()
		c.pumpWatch.arm(e.bodyBy(began, c.settings().body), wakeClient|wakeUpstream)
		var data []byte
		var err error
		if e.req.Body != h1.ByChunks {
			space := p.buf.room()
			var n int
			n, err = c.link.read(space[:e.body.Want(len(space))])
			data, _, _ = e.body.Take(space[:n])
			if err == io.EOF && e.body.EndsWithStream() {
				e.body.End()
				err = nil
			}
			if frame != nil {
				frame = u.appendBody(frame[:0], e, data)
			}
		} else {
			var n int
			if n, err = c.link.read(p.buf.room()); err == nil {
				p.buf.end += n
				if data, n, p.blame = e.body.Take(p.buf.bytes()); p.blame != nil {
					return false
				}
				frame = u.appendBody(frame[:0], e, data)
				p.buf.drop(n)
			}
		}
		if err != nil {
			p.blame = clientLeft
			return false
		}
		e.mirrorBody(data)
		taken := len(data)
		e.taken += int64(taken)
		if limit := c.settings().maxBody; limit > 0 && e.taken > limit {
			p.blame = bodyBig
			return false
		}
		if frame != nil {
			data = frame
		}
		if e.body.Done() {
			p.last.Store(true)
			c.takeTrailersUp(e)
			if u.chunks(e) {
				data = e.appendBodyEnd(data)
			}
		}
		now := c.p.cfg.Now()
		e.allowance.took(taken, now-began)
		if !c.pumpWatch.push(now + int64(c.settings().body)) { // from here on the wait is for the instance
			p.blame = clientLeft // the last bytes of the client came when its time had passed
			return false
		}
		if err := u.sendBody(e, data, e.body.Done()); err != nil || c.pumpWatch.disarm() != 0 {
			p.stalled = true
			return false
		}
		p.sentAt.Store(c.p.cfg.Now())
	}
	if e.req.Body != h1.ByChunks {
		p.buf.release()
	}
	return true
}

// joinPump waits for the pump after the response has ended, and reports whether the whole body was sent. It stops a
// pump that has not reached its end, because the instance has answered without the rest.
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

// stopPump stops the pump if it runs and waits for its end.
func (c *conn) stopPump(e *exchange, u *upstreamConn) {
	if !e.pumping {
		return
	}
	select {
	case <-e.pump.done:
	default:
		e.pump.stopped.Store(true)
		c.link.interrupt(false)
		u.link.interrupt(true)
		<-e.pump.done
		_ = u.link.resume(true) // the pump may have ended before it saw the deadline; the connection is then kept
	}
	_ = c.link.resume(true) // set above or by the pump's watch: the reply is still to be written
}
