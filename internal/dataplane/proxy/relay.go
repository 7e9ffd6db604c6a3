package proxy

import (
	"bytes"
	"io"
	"math"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
)

// bodyRoom bytes are kept free before and after body bytes for the frame of a chunk.
const bodyRoom = 32

// relay passes on the response whose head is in e.res. relay owns u from here on.
func (c *conn) relay(e *exchange, u *upstreamConn, v *dispatch.Verdict) (keep bool) {
	if page := e.pageFor(); page != nil {
		return c.intercept(e, u, page)
	}
	deadline := v.Deadline
	res := &e.res
	if edits := e.edits(); edits != nil {
		res.Remove(edits.Dropped(), false)
	}
	if u.switches(res.Status) {
		c.tunnel(e, u)
		return false
	}
	if c.stream != nil && c.stream.Connect() && res.Status/100 == 2 {
		return c.refuseTunnel(e, u)
	}
	keep = c.compressHead(e)
	defer c.endCompression(e)
	var body h1.Body
	body.Start(res.Body, res.Length)
	if u.stream != nil && res.Body == h1.ByLength {
		body.Start(h1.UntilClose, 0) // package h2 compares the lengths; trailers may follow
	}
	if e.tolerant {
		body.Tolerate()
	}
	defer func() { c.tolerated(body.Tolerated()) }()
	idle := c.streamTimeout(e, v)
	if e.readHeadOfTrailers(c); len(e.announced) > 0 {
		body.KeepTrailers()
	}
	data, n, bad := body.Take(e.up.bytes())
	surplus := n < e.up.len() // bytes that no request asked for
	if u.stream != nil {
		var ended bool
		if e.trailers, ended = u.stream.End(); ended {
			body.End()
		}
	}
	e.takeTrailers(&body)
	c.takeLoadOfTrailers(e, u.live)
	data = e.press.encode(data, body.Done() && bad == nil)
	c.front.first(e, data, body.Done())
	e.sent = int64(len(data))
	e.up.release()
	e.began = true

	clean := body.Done() && !surplus && bad == nil
	if clean && !e.pumping {
		c.keepUpstream(e, u)
		u = nil // another exchange may own it now
	}
	c.startTaking(e)
	c.watch.arm(c.takeBy(e, len(e.out), deadline), wakeClient)
	err := c.front.flush(c, e, body.Done())
	cause := c.watch.disarm()
	c.taken(e, len(e.out))
	switch {
	case err == nil && cause == firedCut && bad == nil && body.Done():
		keep = false // the stop came after the response
	case err != nil || cause != 0:
		e.x.Fail(c.brokenClient(cause, deadline))
		keep = false
	case bad != nil:
		e.x.Fail(dispatch.BadResponse)
		keep = false
	case !body.Done():
		clean = c.streamBody(e, u, &body, deadline, idle)
		keep = keep && clean
	}
	if e.grpc {
		c.judgeGRPC(e)
	}
	if u == nil {
		return keep
	}
	if e.pumping {
		whole := c.joinPump(e, u)
		clean = clean && whole // keep was announced only if the whole body had been read
	}
	if clean && !surplus {
		c.keepUpstream(e, u)
	} else {
		u.close()
	}
	return keep
}

// refuseTunnel answers an extended CONNECT whose instance answered without changing the protocol. A success would tell
// the client that it has a tunnel.
func (c *conn) refuseTunnel(e *exchange, u *upstreamConn) bool {
	u.close()
	e.up.release()
	e.status, e.why = 502, "upgrade-refused"
	return c.reply(e, 502, e.why, "the instance did not change to the protocol that the client asked for", false)
}

// until returns the time by which the next step must make progress.
func (c *conn) until(step time.Duration, deadline int64) int64 {
	t := c.now + int64(step)
	if deadline > 0 && deadline < t {
		return deadline
	}
	return t
}

// brokenClient returns the reason why the response could not be written to the client.
func (c *conn) brokenClient(cause, deadline int64) dispatch.Failure {
	switch {
	case cause == firedCut:
		return dispatch.Stopped
	case cause == fired && deadline > 0 && c.p.cfg.Now() >= deadline:
		return dispatch.RouteTimeout
	case cause == fired:
		return dispatch.ClientSlow
	}
	return c.gone()
}

// gone returns the failure of an exchange whose client connection is closed: the stop of the proxy may have closed it.
func (c *conn) gone() dispatch.Failure {
	if c.cut.Load() {
		return dispatch.Stopped
	}
	return dispatch.ClientGone
}

// streamBody passes on the rest of a body in bounded memory: it stops reading while the client is slow. It reports whether
// the body ended correctly.
func (c *conn) streamBody(e *exchange, u *upstreamConn, body *h1.Body, deadline int64, idle time.Duration) bool {
	buf := lease{pool: c.p.large}
	defer buf.release()
	defer c.since.Store(0)
	c.watch.up.Store(u)
	for !body.Done() {
		space := buf.room()
		c.since.Store(c.now)
		c.watch.arm(c.until(idle, deadline), wakeClient|wakeUpstream)
		n, err := u.link.read(space[bodyRoom : bodyRoom+body.Want(len(space)-2*bodyRoom)])
		ended := err == io.EOF && (e.res.Body == h1.UntilClose || u.stream != nil)
		if u.stream != nil && (err == nil || ended) {
			e.trailers, ended = u.stream.End()
		}
		if err != nil && !ended {
			return c.brokenBody(e, u, err, deadline)
		}
		data, used, bad := body.Take(space[bodyRoom : bodyRoom+n])
		if bad != nil || used < n {
			if bad != nil {
				c.watch.disarm()
				e.x.Fail(dispatch.BadResponse)
				return false
			}
			e.res.Close = true // surplus bytes: do not keep the connection
		}
		c.now = c.p.cfg.Now()
		if !c.watch.push(c.takeBy(e, len(data), deadline)) { // from here on the wait is for the client
			return c.brokenBody(e, u, os.ErrDeadlineExceeded, deadline) // the bytes came when the time of the instance had passed
		}
		e.takeTrailers(body)
		c.takeLoadOfTrailers(e, u.live)
		sent, err := c.pass(e, space, len(data), body.Done() || ended)
		whole := err == nil && (body.Done() || ended)
		if cause := c.watch.disarm(); err != nil || cause != 0 && !(whole && cause == firedCut) {
			e.x.Fail(c.brokenClient(cause, deadline))
			return false
		}
		c.taken(e, sent)
		e.sent += int64(sent)
		if ended {
			return true
		}
	}
	return true
}

// readHeadOfTrailers notes what the head of the response says about its end. The head is gone when the end comes.
func (e *exchange) readHeadOfTrailers(c *conn) {
	if e.grpc {
		e.grpcStatus = grpcStatusOf(e.res.Header("grpc-status")) // a response that is only trailers
	}
	if e.res.Body == h1.ByChunks && (c.stream != nil || e.chunked && e.wantsTrailers()) {
		for i := range e.res.Len() {
			if name, value, _ := e.res.Field(i); h1.EqualFold(name, "trailer") {
				e.announced = append(append(e.announced, value...), ',')
			}
		}
	}
}

// takeTrailers takes the trailers of a chunked body that has ended.
func (e *exchange) takeTrailers(body *h1.Body) {
	if len(e.announced) > 0 && body.Done() {
		e.trailers = h1.AppendTrailers(nil, body.Trailers(), e.announced)
	}
}

// streamTimeout returns how long the instance may send nothing of a response body. Streams that announce themselves are
// silent as long as nothing happens: only a route can limit them.
func (c *conn) streamTimeout(e *exchange, v *dispatch.Verdict) time.Duration {
	switch {
	case v.StreamTimeout > 0:
		return v.StreamTimeout
	case v.StreamTimeout < 0, e.grpc, isEventStream(&e.res):
		return math.MaxInt64 / 2
	}
	return c.p.cfg.StreamTimeout
}

func isEventStream(res *h1.Response) bool {
	v, ok := res.Header("content-type")
	kind, _, _ := bytes.Cut(v, []byte(";"))
	return ok && h1.EqualFold(bytes.TrimSpace(kind), "text/event-stream")
}

// frameChunk adds the frame of a chunk around the n bytes at space[bodyRoom:].
func frameChunk(space []byte, n int, last bool) []byte {
	start, end := bodyRoom, bodyRoom+n
	if n > 0 {
		var size [h1.ChunkRoom]byte
		head := h1.AppendChunkSize(size[:0], n)
		start -= len(head)
		copy(space[start:], head)
		end += copy(space[end:], "\r\n")
	}
	if last {
		end += copy(space[end:], h1.LastChunk)
	}
	return space[start:end]
}

// brokenBody records why a response body did not end correctly. If the instance sends nothing after a good head, no
// side is charged.
func (c *conn) brokenBody(e *exchange, u *upstreamConn, err error, deadline int64) bool {
	cause := c.endWait()
	c.stopPump(e, u) // the pump knows whether the client's side failed first
	f := c.failure(e, err, cause)
	switch {
	case f == dispatch.Timeout && deadline > 0 && c.p.cfg.Now() >= deadline:
		f = dispatch.RouteTimeout
	case f == dispatch.Timeout && cause == fired:
		f = dispatch.StreamIdle
	}
	e.x.Fail(f)
	return false
}

// keepUpstream keeps a connection whose exchange ended exactly at its last byte. It closes the connection instead if
// the instance closes it or the proxy drains.
func (c *conn) keepUpstream(e *exchange, u *upstreamConn) {
	switch {
	case u.stream != nil, e.res.Close, c.p.draining.Load():
		u.close() // a stream; its connection stays
	case u.bound || e.req.BindsConnection() || e.res.BindsConnection():
		u.bound = true
		c.pin(u)
	case u.pool.proxyProtocol != proxyproto.None:
		c.pin(u) // it names this client
	default:
		u.pool.put(c.shard, u, c.now)
	}
}
