package proxy

import (
	"crypto/sha1"
	"encoding/base64"
	"io"
)

// acceptsUpgrade checks a 101 response. It must name the protocol that the client requested. For a WebSocket, the
// instance must also prove that it understood the request (RFC 6455 §4.2.2). Without this check, a 101 would pass bytes
// that the proxy has not parsed as requests.
func (e *exchange) acceptsUpgrade() bool {
	if !e.res.Accepts(e.req.Upgrade()) {
		return false
	}
	if !e.req.WebSocket {
		return true
	}
	accept, _ := e.res.Header("sec-websocket-accept")
	return string(accept) == e.webSocketAccept()
}

// webSocketAccept returns the proof that an instance understood the request for a WebSocket (RFC 6455 §4.2.2).
func (e *exchange) webSocketAccept() string {
	key, _ := e.req.Header("sec-websocket-key")
	h := sha1.New()
	h.Write(key)
	h.Write([]byte("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// switches reports whether the response makes the connection a tunnel: a 101, or the success of an extended CONNECT.
func (u *upstreamConn) switches(status int) bool {
	return status == 101 || u.connect && status/100 == 2
}

// tunnel copies bytes in both directions until both sides have ended, one side has failed, or no byte moved for
// TunnelTimeout.
func (c *conn) tunnel(e *exchange, u *upstreamConn) {
	e.switched = c.front.switched(c, e)
	e.out = append(e.out, e.up.bytes()...)
	e.sent = int64(e.up.len())
	e.up.release()
	e.began = true
	c.tunnelling.Store(true)
	c.watch.arm(c.until(c.settings().body, 0), wakeClient)
	err := c.front.flush(c, e, false)
	if cause := c.watch.disarm(); cause != 0 || err != nil {
		e.x.Fail(c.brokenClient(cause, 0))
		u.close()
		return
	}
	early := c.in.bytes()[e.used:] // the client may send before it has received the 101
	c.watch.up.Store(u)
	c.pumpWatch.up.Store(u)
	idle := int64(c.settings().tunnel)
	done := make(chan struct{})
	go func() { // client to instance
		defer close(done)
		ok := true
		if len(early) > 0 {
			_, err := u.link.write(early)
			ok = err == nil
			e.taken = int64(len(early))
		}
		if ok && c.copyTunnel(&c.pumpWatch, c.link, u.link, &e.taken, idle) {
			_ = u.link.closeWrite()
			return
		}
		u.link.interrupt(true)
		c.link.interrupt(true)
	}()
	if c.copyTunnel(&c.watch, u.link, c.link, &e.sent, idle) {
		_ = c.link.closeWrite()
	} else {
		u.link.interrupt(true)
		c.link.interrupt(true)
	}
	<-done
	e.used = c.in.len()
	u.close()
}

// copyTunnel copies until the source ends (true) or an error occurs (false). While it waits it holds no buffer. Bytes
// in the other direction extend its deadline: a tunnel times out only if it is silent in both directions.
func (c *conn) copyTunnel(w *watch, from, to link, count *int64, idle int64) bool {
	buf := lease{pool: c.p.large}
	defer buf.release()
	other := &c.watch
	if w == other {
		other = &c.pumpWatch
	}
	for {
		w.arm(c.p.cfg.Now()+idle, wakeClient|wakeUpstream)
		if _, err := from.fill(&buf); err != nil {
			cause := w.disarm()
			return cause == 0 && err == io.EOF
		}
		other.push(c.p.cfg.Now() + idle)
		_, err := to.write(buf.bytes())
		if w.disarm() != 0 || err != nil {
			return false
		}
		*count += int64(buf.len())
		buf.release()
	}
}
