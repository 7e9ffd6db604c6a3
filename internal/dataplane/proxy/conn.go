package proxy

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// conn is a client connection. One goroutine serves it.
type conn struct {
	p       *Proxy
	l       *listener
	wire    *wire                   // the socket
	link    link                    // what carries the bytes: wire, secure, or stream
	front   front                   // how the client's protocol frames requests and responses
	secure  *secure                 // nil: in the clear
	stream  *h2.Stream              // a request of HTTP/2; nil: a connection
	session atomic.Pointer[session] // a connection of HTTP/2; nil: of HTTP/1.1, or a stream
	cert    clientCert              // of the client, verified
	sni     string                  // server name that the client sent in its TLS handshake
	in      lease                   // received from the client and not yet processed
	peer    netip.Addr              // of the socket, or the client that a PROXY header names
	target  *netip.AddrPort         // to which the client connected, as a PROXY header says; nil: the address of the socket
	port    uint16                  // of peer
	preface bool                    // the client began with the preface of HTTP/2
	used    bool                    // a request was read
	trusted bool                    // the peer's X-Forwarded-* are trusted
	explain bool                    // the peer may request explanations
	counted bool                    // counts in Proxy.clients
	shard   int                     // of counters and idle pools
	now     int64

	watch      watch // the wait of serve
	pumpWatch  watch // the wait of the pump
	since      atomic.Int64
	cut        atomic.Bool   // the stop of the proxy closed the connection
	tunnelling atomic.Bool   // the connection is a tunnel
	pinned     *upstreamConn // see pin.go

	race   *racer                // c is no connection, but one of two tries at a time; nil: it is one
	tries  atomic.Pointer[tries] // at a time, see hedge.go; nil: there was none so far
	racing sync.WaitGroup        // of their goroutines

	index   int   // in the registry, protected by its lock
	nextAsk int64 // used by the sweeper: when to check next whether the client left
	askGap  int64
	halfAt  int64 // used by the sweeper: when it saw that the client closed its sending side; 0: the side is open
}

// settings returns the current configuration of the connection's listener.
func (c *conn) settings() *settings { return c.l.set.Load() }

func (p *Proxy) newConn(l *listener, sock netConn) (*conn, error) {
	w, err := newWire(sock)
	if err != nil {
		return nil, err
	}
	c := &conn{p: p, l: l, wire: w, link: w, front: h1Front{}, in: lease{pool: p.small}, now: p.cfg.Now()}
	if cfg := l.set.Load().TLS; cfg != nil {
		c.secure = newSecure(w, cfg)
		c.link = c.secure
	}
	if a, ok := sock.RemoteAddr().(*net.TCPAddr); ok {
		c.setPeer(a.AddrPort())
		c.shard = a.Port % countShards
	} else {
		c.setPeer(unixPeer)
		c.shard = int(p.count.accepted.Load() % countShards)
	}
	return c, nil
}

// serveRequests serves the requests of a connection until it must be closed, or until it parks. HTTP/2 is chosen by ALPN,
// or in the clear by its preface.
func (c *conn) serveRequests() (parks bool) {
	if c.secure != nil && c.secure.chose("h2") {
		c.serveSession()
		return false
	}
	for {
		if c.in.len() == 0 {
			if w := c.awaitFirst(); w != begun {
				return w == parked
			}
		}
		if !c.serveOne() {
			break
		}
	}
	if c.preface {
		c.serveSession()
	}
	return false
}

// serveOne reads a request of which the first bytes are there, and answers it. It returns false if the connection must be
// closed.
func (c *conn) serveOne() (keep bool) {
	c.in.compact() // offsets of the next head start at 0
	e := c.takeExchange()
	defer c.giveExchange(e)
	if !c.readHead(e) {
		return false
	}
	keep = c.handle(e)
	c.watch.up.Store(nil)
	if !keep {
		return false
	}
	if e.pumping {
		c.in.release()
		if e.pump.buf.len() > 0 { // bytes that the pump read after the end of the body
			c.in, e.pump.buf = e.pump.buf, c.in
		}
	} else {
		c.in.drop(e.used)
	}
	return true
}

// readHead reads a whole head. If that fails, it answers with the reason and returns false.
func (c *conn) readHead(e *exchange) bool {
	e.set = c.settings()
	lim := &e.set.limits
	armed := false
	for {
		n, bad := e.req.Parse(c.in.bytes(), lim)
		if bad == nil && n == 0 && c.in.full() {
			bad = headFull
		}
		if bad != nil || n > 0 {
			if armed && c.watch.disarm() != 0 {
				return false // the head arrived, but too late
			}
			c.now = c.p.cfg.Now()
			e.head = n
			if bad == h1.ErrPreface && c.secure == nil && !c.used && !c.settings().HTTP1Only {
				c.preface = true
				return false
			}
			c.used = true
			if bad != nil {
				c.refuseHead(e, bad)
			}
			return bad == nil
		}
		if !armed {
			c.watch.arm(c.p.cfg.Now()+int64(c.settings().head), wakeClient)
			armed = true
		}
		if _, err := c.link.fill(&c.in); err != nil {
			if c.watch.disarm() == fired {
				c.now = c.p.cfg.Now()
				_ = c.link.resume(true)
				c.refuseHead(e, headLate)
			}
			return false
		}
	}
}

// Reasons for which the front end refuses a request, in addition to the codec's reasons.
var (
	headFull = &h1.Error{Status: 431, Class: h1.ClassLimit, Reason: "head too large"}
	headLate = &h1.Error{Status: 408, Class: h1.ClassLimit, Reason: "head timeout"}
	bodyLate = &h1.Error{Status: 408, Class: h1.ClassLimit, Reason: "body timeout"}
	bodyBig  = &h1.Error{Status: 413, Class: h1.ClassLimit, Reason: "body too large"}
)

// refuseHead answers a request that is not passed to the dispatcher, and then lingers before the connection closes.
func (c *conn) refuseHead(e *exchange, bad *h1.Error) {
	c.countOwn(bad.Status)
	c.identify(e)
	e.status, e.why = bad.Status, bad.Reason
	if bad == clientLeft {
		c.logLine(e, nil, bad.Status, dispatch.CodeClientGone)
		return
	}
	c.p.count.parse[bad.Class].Add(1)
	c.reply(e, bad.Status, "bad-request", bad.Reason, false)
	c.logLine(e, nil, bad.Status, bad.Reason)
	c.linger()
}

// handle answers a request whose head was read.
func (c *conn) handle(e *exchange) (keep bool) {
	if answer := c.challenge(e); answer != "" {
		return c.answerChallenge(e, answer)
	}
	if port := c.settings().HTTPSPort; port > 0 {
		return c.redirect(e, port)
	}
	if bad := c.startBody(e); bad != nil {
		c.refuseHead(e, bad)
		return false
	}
	if len(e.req.Host()) == 0 { // HTTP/1.0 without Host: use the local address to which the client connected
		e.req.SetHost([]byte(c.localHost()))
		e.noHost = true
	}
	if e.req.Dropped > 0 {
		c.p.count.underscores.Add(uint64(e.req.Dropped))
	}
	c.identify(e)
	if e.req.PassedThrough(c.p.cfg.Via) {
		c.p.count.loops.Add(1)
		return c.answerHere(e, 508, "loop", "this proxy has forwarded the request before: a route leads back to it")
	}
	if e.req.MustAnswer() {
		return c.answerLast(e)
	}
	c.p.count.shard[c.shard].requests.Add(1)
	e.readGRPC()
	c.noteHeaders(e)
	e.x.ID, e.x.Client, e.x.ServerName, e.x.Listener, e.x.Explain = e.id, e.client, c.sni, e.set.Name, c.explain && e.wantsExplain()
	if c.pinned != nil && c.pinned.bound {
		e.x.Pin = c.pinned.live
	}
	c.joinTrace(e)
	v := c.p.d.Begin(e.x, &e.req, c.now)
	e.actions = e.x.Actions()
	e.negotiate()
	var u *upstreamConn
	for v.Action != dispatch.Relay && v.Action != dispatch.Reply {
		switch v.Action {
		case dispatch.Wait:
			f := c.awaitPlace(e, &v)
			v = c.p.d.Admit(e.x, f, c.now)
			continue
		case dispatch.Authorize:
			v = c.authorize(e, &v)
			continue
		case dispatch.Pause:
			ended := c.pause(&v)
			v = c.p.d.Resume(e.x, ended, c.now)
			continue
		}
		var o dispatch.Outcome
		c.discard(e, u)
		c.mirrorRequest(e)
		if v.Hedge > 0 && c.mayHedge(e, &v) {
			u, o = c.tryTwice(e, v)
		} else {
			u, o = c.try(e, &v)
		}
		c.now = c.p.cfg.Now()
		v = c.p.d.Settle(e.x, o, c.now)
	}
	switch {
	case v.Action == dispatch.Relay:
		keep = c.relay(e, u, &v)
	default:
		c.discard(e, u)
		keep = c.answer(e, &v)
	}
	e.endMirror(false)
	c.now = c.p.cfg.Now()
	e.x.Shard, e.x.Sent, e.x.BytesIn, e.x.BytesOut, e.x.Tunnel = c.shard, cmp.Or(e.status, e.switched), e.taken, e.sent, e.switched != 0
	rec := c.p.d.End(e.x, c.now)
	status, why := cmp.Or(e.x.Sent, rec.Status), rec.Why
	if e.status != 0 {
		why = e.why
	}
	c.logLine(e, rec, status, why)
	c.recordSpan(e, rec, status, why)
	if !keep && c.mayHaveUnread(e) {
		c.linger()
	}
	return keep
}

// localHost returns the address to which the client connected, localhost for a Unix socket.
func (c *conn) localHost() string {
	if a, ok := c.wire.sock.LocalAddr().(*net.TCPAddr); ok {
		return a.String()
	}
	return "localhost"
}

// mayHaveUnread reports whether the client may have sent bytes that were not read: the rest of a body, or further
// requests. During a drain the proxy closes the connection, so the client may have sent a request that arrives too
// late.
func (c *conn) mayHaveUnread(e *exchange) bool {
	return !e.body.Done() || c.in.len() > e.used || e.pumping && e.pump.buf.len() > 0 ||
		c.p.draining.Load() && !e.req.Close && c.link.waiting()
}

// clientLeft marks that the client left and gets no answer.
var clientLeft = &h1.Error{Status: 499, Reason: "the client left"}

// startBody takes the part of the body that is in the buffer. If the whole body fits into the buffer, it reads the
// rest. Then no second goroutine is needed, the request can be sent again, and no instance waits for a slow client.
func (c *conn) startBody(e *exchange) *h1.Error {
	req := &e.req
	e.used = e.head
	kind := req.Body
	switch {
	case c.stream == nil && kind == h1.ByChunks:
		e.readTrailerField()
	case c.stream != nil && kind == h1.ByLength && len(e.trailerUp) > 0:
		kind = h1.UntilClose // trailers may follow; package h2 compares the lengths
	}
	e.body.Start(kind, req.Length)
	if e.body.Done() {
		return nil
	}
	if len(e.trailerUp) > 0 {
		e.body.KeepTrailers()
	}
	if limit := c.settings().maxBody; limit > 0 && req.Body == h1.ByLength && req.Length > limit {
		return bodyBig
	}
	if t := c.settings().upload; t > 0 {
		e.uploadBy = c.now + int64(t)
	}
	if rate := c.p.cfg.BodyRate; rate > 0 && !e.grpc {
		e.allowance = allowance{rate: rate, most: c.settings().body, left: c.settings().body}
	}
	if req.Body == h1.ByLength && int64(e.head)+req.Length <= int64(c.in.pool.size) {
		if bad := c.readBody(e, e.head+int(req.Length)); bad != nil {
			return bad
		}
	}
	whole, bad := c.streamWhole(e)
	if bad != nil {
		return bad
	}
	data, n, bad := e.body.Take(c.in.bytes()[e.head:])
	if bad != nil {
		return bad
	}
	if whole {
		e.body.End()
	}
	if e.body.Done() {
		c.takeTrailersUp(e)
	}
	e.first, e.used, e.taken = data, e.head+n, int64(len(data))
	if limit := c.settings().maxBody; limit > 0 && e.taken > limit {
		return bodyBig
	}
	return nil
}

// readBody reads until the buffer holds total bytes.
func (c *conn) readBody(e *exchange, total int) *h1.Error {
	if c.in.len() >= total {
		return nil
	}
	c.watch.arm(e.bodyBy(c.now, c.settings().body), wakeClient)
	if e.req.Continue && c.in.len() == e.head {
		if err := c.front.proceed(c); err != nil {
			c.watch.disarm()
			return clientLeft
		}
	}
	for c.in.len() < total {
		before := c.in.len()
		if _, err := c.link.fill(&c.in); err != nil {
			if c.watch.disarm() == fired {
				_ = c.link.resume(true)
				return bodyLate
			}
			return clientLeft
		}
		now := c.p.cfg.Now()
		e.allowance.took(c.in.len()-before, now-c.now)
		c.now = now
		c.watch.push(e.bodyBy(now, c.settings().body))
	}
	if c.watch.disarm() != 0 {
		_ = c.link.resume(true)
		return bodyLate
	}
	c.now = c.p.cfg.Now()
	return nil
}

// linger closes the sending side and reads what the client still sends, up to 512 KiB and 1 s. If the proxy closed
// immediately, the kernel would answer unread bytes with a reset, which would overtake the reply (RFC 9112 §9.6).
// A stream of HTTP/2 is not closed that way.
func (c *conn) linger() {
	if c.stream != nil {
		return
	}
	const most = 512 << 10
	_ = c.link.resume(true)
	if c.link.closeWrite() != nil {
		return
	}
	c.watch.arm(c.p.cfg.Now()+int64(time.Second), wakeClient)
	c.in.release()
	for total := 0; total < most; {
		n, err := c.link.fill(&c.in)
		c.in.release()
		if err != nil {
			break
		}
		total += n
	}
	c.watch.disarm()
}

// busyWith returns the service of the current request, "" if the request has no instance yet. busy is false between
// requests.
func (c *conn) busyWith() (service string, busy bool) {
	if c.session.Load() != nil || c.watch.at.Load() > 0 && c.watch.wake.Load()&idle != 0 {
		return "", false // the requests of a session are those of its streams
	}
	if u := c.watch.up.Load(); u != nil {
		return u.live.Service, true
	}
	return "", true
}

// drain ends the connection if it is idle and the proxy is not patient. A session tells its client to make further requests elsewhere.
func (c *conn) drain() {
	s := c.session.Load()
	if s != nil && !s.mayDrain() || s == nil && c.p.patient.Load() {
		return
	}
	if at := c.watch.at.Load(); at > 0 && c.watch.wake.Load()&idle != 0 {
		c.fire(&c.watch, at, firedDrain)
	}
}

// cutNow ends the connection immediately, even during a request.
func (c *conn) cutNow() {
	c.cut.Store(true) // before the close: what follows from it looks as if the client had left
	if s := c.session.Load(); s != nil {
		s.streams.each(func(c *conn) { c.cutNow() })
	}
	if c.stream == nil {
		_ = c.wire.sock.Close()
	}
	for _, w := range []*watch{&c.watch, &c.pumpWatch} {
		if at := w.at.Load(); at > 0 {
			c.fire(w, at, firedCut)
		}
	}
}
