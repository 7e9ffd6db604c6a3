package proxy

import (
	"bytes"
	"io"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
)

// Bounds of the copies of requests that routes mirror.
const (
	maxMirrors        = 256      // copies of a process at the same time, those whose body has not arrived included
	maxMirrorBody     = 64 << 10 // of a request
	maxMirrorResponse = 1 << 20  // bytes that are read; then the connection is closed
)

// mirror is the copy of a request for another service. It has an exchange and a conn of its own, and a goroutine as soon as
// the body is complete, so that the request itself never waits for it.
type mirror struct {
	c      *conn
	e      *exchange
	counts *dispatch.MirrorCounts
	head   int    // bytes of e.own; the body follows
	host   []byte // that the proxy added, because the client named none
}

// mirrorRequest makes a copy of the request if its route mirrors it. If the body has not arrived, the pump adds it.
func (c *conn) mirrorRequest(e *exchange) {
	of := e.x.Mirror()
	if of == nil || len(e.req.Upgrade()) > 0 || e.req.BindsConnection() {
		return
	}
	m := &mirror{counts: of.Counts, head: e.head}
	if e.req.Body == h1.ByLength && e.req.Length > maxMirrorBody {
		m.count(dispatch.MirrorTooLarge)
		return
	}
	m.c = &conn{
		p: c.p, l: c.l, wire: c.wire, front: c.front, secure: c.secure, cert: c.cert, sni: c.sni, race: new(racer),
		peer: c.peer, port: c.port, target: c.target, trusted: c.trusted, shard: c.shard, now: c.now,
	}
	if !c.p.mirrors.add(m.c, maxMirrors) {
		m.count(dispatch.MirrorBusy)
		return
	}
	m.e = c.takeExchange()
	own := m.e
	own.own = append(own.own[:0], c.in.bytes()[:e.head]...)
	own.id = append(own.id[:0], e.id...)
	own.set, own.client, own.actions, own.grpc = e.set, e.client, e.actions, e.grpc
	own.trace.on, own.trace.context, own.trace.state = e.trace.on, e.trace.context, append(own.trace.state[:0], e.trace.state...)
	if own.noHost = e.noHost; e.noHost {
		m.host = bytes.Clone(e.req.Host())
	}
	own.x.ID = own.id
	own.x.Follow(e.x, of)
	e.mirror = m
	if e.mirrorBody(e.first); e.body.Done() {
		e.endMirror(true)
	}
}

// mirrorBody adds bytes of the body to the copy of the request, if there is one. A body that is too large ends the copy.
func (e *exchange) mirrorBody(data []byte) {
	switch m := e.mirror; {
	case m == nil:
	case len(m.e.own)-m.head+len(data) > maxMirrorBody:
		e.mirror = nil
		m.end(dispatch.MirrorTooLarge)
	default:
		m.e.own = append(m.e.own, data...)
	}
}

// endMirror sends the copy of the request, if its body is whole, and forgets it. Without a copy it does nothing.
func (e *exchange) endMirror(whole bool) {
	m := e.mirror
	e.mirror = nil
	switch {
	case m == nil:
	case !whole:
		m.end(dispatch.MirrorIncomplete)
	default:
		m.c.p.mirroring.Go(m.run)
	}
}

func (m *mirror) count(r dispatch.MirrorResult) { m.counts[r].Add(1) }

// end frees what the copy holds.
func (m *mirror) end(r dispatch.MirrorResult) {
	m.count(r)
	m.c.giveExchange(m.e)
	m.c.p.mirrors.remove(m.c)
}

// run sends the copy and reads the response.
func (m *mirror) run() {
	c, e := m.c, m.e
	m.parse()
	c.now = c.p.cfg.Now()
	v, result, ok := c.p.d.BeginMirror(e.x, &e.req, c.now)
	if ok {
		result = m.send(&v)
	}
	c.now = c.p.cfg.Now()
	c.p.d.End(e.x, c.now)
	m.end(result)
}

// parse parses the head again, which was valid before. The body follows with its length, in whatever way it came.
func (m *mirror) parse() {
	e := m.e
	_, _ = e.req.Parse(e.own[:m.head], &e.set.limits)
	if m.host != nil {
		e.req.SetHost(m.host)
	}
	e.first = e.own[m.head:]
	e.req.Body, e.req.Length = h1.NoBody, 0
	if n := len(e.first); n > 0 {
		e.req.Body, e.req.Length = h1.ByLength, int64(n)
	}
	e.body.Start(h1.NoBody, 0) // it was read
}

func (m *mirror) send(v *dispatch.Verdict) dispatch.MirrorResult {
	c, e := m.c, m.e
	var u *upstreamConn
	until, failure := c.prepare(e, v)
	o := dispatch.Outcome{Failure: failure}
	if failure == dispatch.None {
		u, o = c.perform(e, v, until)
	}
	c.now = c.p.cfg.Now()
	if c.p.d.Settle(e.x, o, c.now).Action != dispatch.Relay {
		c.discard(e, u)
		return dispatch.MirrorFailed
	}
	whole, failure := m.drain(u, v.Deadline)
	if failure != dispatch.None {
		e.x.Fail(failure)
	}
	if e.grpc {
		c.judgeGRPC(e)
	}
	switch {
	case !whole || u.stream != nil || e.res.Close || u.pool.proxyProtocol != proxyproto.None || e.res.BindsConnection():
		u.close()
	default:
		u.pool.put(c.shard, u, c.p.cfg.Now())
	}
	if failure != dispatch.None {
		return dispatch.MirrorFailed
	}
	return dispatch.MirrorAnswered
}

// drain reads the body of the response, up to maxMirrorResponse. whole reports whether it ended at its last byte.
func (m *mirror) drain(u *upstreamConn, deadline int64) (whole bool, _ dispatch.Failure) {
	c, e := m.c, m.e
	var body h1.Body
	body.Start(e.res.Body, e.res.Length)
	if u.stream != nil && e.res.Body == h1.ByLength {
		body.Start(h1.UntilClose, 0) // package h2 compares the lengths; trailers may follow
	}
	if e.tolerant {
		body.Tolerate()
	}
	e.readHeadOfTrailers(c)
	_, used, bad := body.Take(e.up.bytes())
	surplus, total := used < e.up.len(), used
	e.up.release()
	buf := lease{pool: c.p.large}
	defer buf.release()
	ended := false
	if u.stream != nil {
		e.trailers, ended = u.stream.End()
	}
	for bad == nil && !ended && !body.Done() && total < maxMirrorResponse {
		space := buf.room()
		c.watch.arm(deadline, wakeUpstream)
		n, err := u.link.read(space[:body.Want(len(space))])
		cause := c.watch.disarm()
		ended = err == io.EOF && (e.res.Body == h1.UntilClose || u.stream != nil)
		if u.stream != nil && (err == nil || ended) {
			e.trailers, ended = u.stream.End()
		}
		if cause != 0 || err != nil && !ended {
			failure := c.failure(e, err, cause)
			if failure == dispatch.Timeout {
				failure = dispatch.RouteTimeout
			}
			return false, failure
		}
		_, used, bad = body.Take(space[:n])
		surplus = surplus || used < n
		total += n
	}
	if bad != nil {
		return false, dispatch.BadResponse
	}
	return body.Done() && !surplus, dispatch.None
}

// cutMirrors ends all copies.
func (p *Proxy) cutMirrors() {
	p.mirrors.each(func(c *conn) {
		if at := c.watch.at.Load(); at > 0 {
			c.fire(&c.watch, at, firedCut)
		}
	})
}
