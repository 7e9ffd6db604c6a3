package proxy

import "sync"

// serve handles requests until the connection must be closed, then closes it. wg counts the goroutines of connections.
func (c *conn) serve(wg *sync.WaitGroup) {
	c.goOn(wg, c.introduce() && c.admit() && (c.secure == nil || c.handshake(c.secure)) && c.serveRequests())
}

// park is serve for a connection that has waited for its next request for some time. It has a goroutine of its own, because
// the stack of the former one has grown with a request: 2 KiB instead of 4 or more for each of thousands of idle connections.
func (c *conn) park(wg *sync.WaitGroup) {
	c.goOn(wg, c.await(c.now+int64(c.settings().idle)) == begun && c.serveRequests())
}

// goOn parks a connection, or ends it.
func (c *conn) goOn(wg *sync.WaitGroup, parks bool) {
	if parks {
		wg.Go(func() { c.park(wg) })
		return
	}
	c.link.close()
	c.unpin()
	c.racing.Wait()
	c.in.release()
	if c.secure != nil {
		c.secure.before.release()
	}
	c.p.leave(c)
}

// awaited says how a wait for a request ended.
type awaited uint8

const (
	begun  awaited = iota // its first bytes are there
	late                  // none has begun
	parked                // none has begun, and the connection parks
	ended                 // the connection must be closed
)

// parkAfter is the wait for a request, in ns, after which a connection parks. With a longer one, connections that come within it
// keep more memory; a shorter one would cost connections with few requests more CPU.
const parkAfter = 25e7

// awaitFirst waits for the first bytes of a request, and with a goroutine that served a request not for long.
func (c *conn) awaitFirst() awaited {
	if c.p.draining.Load() && !c.p.patient.Load() && !c.link.waiting() {
		return ended
	}
	if wait := int64(c.settings().idle); !c.used || wait <= parkAfter || c.secure != nil { // TLS needs a larger stack to wait
		return c.await(c.now + wait)
	}
	w := c.await(c.now + parkAfter)
	if w == late && c.link.resume(true) == nil {
		return parked
	}
	return w
}

// await waits for the first bytes of a request. It holds no buffer while it waits.
func (c *conn) await(until int64) awaited {
	c.watch.arm(until, wakeClient|idle)
	_, err := c.link.fill(&c.in)
	switch c.watch.disarm() {
	case 0:
		if err == nil {
			return begun
		}
	case firedDrain:
		// The client may have sent a request before it saw the drain: answer that request.
		if err != nil && !c.link.waiting() || c.link.resume(true) != nil {
			return ended
		}
		if err != nil {
			_, err = c.link.fill(&c.in)
		}
		if err == nil {
			return begun
		}
	case fired:
		if err == nil && c.link.resume(true) == nil { // the last moment
			return begun
		}
		return late
	}
	return ended
}
