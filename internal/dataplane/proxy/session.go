package proxy

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// session is a client connection of HTTP/2. The goroutine of its conn reads it; each request has a conn of its own and a
// goroutine.
type session struct {
	c       *conn
	h2      *h2.Conn
	streams registry
	wg      sync.WaitGroup
	left    atomic.Bool // the client was told to make further requests elsewhere
}

// mostStreams limits the requests at a time of a connection: the least that RFC 9113 §6.5.2 recommends.
const mostStreams = 100

// serveSession serves a connection of HTTP/2 until it ends.
func (c *conn) serveSession() {
	s := &session{c: c}
	s.h2 = h2.New(s, h2.Config{
		MaxStreams: mostStreams, HeadBytes: c.p.cfg.Limits.Head, Now: c.p.cfg.Now,
		Open: s.open, Malformed: s.malformed, Idle: s.idle,
	})
	c.session.Store(s)
	c.p.count.sessions.Add(1)
	err := s.h2.Serve()
	var bad *h2.Error
	if errors.As(err, &bad) {
		s.malformed(bad.Reason)
	}
	s.wg.Wait()
	if err != h2.ErrLeft {
		c.linger()
	}
	c.session.Store(nil)
}

// Read reads from the client, with the time limits of a connection: HeadTimeout for a head, IdleTimeout while there is no
// request.
func (s *session) Read(p []byte) (int, error) {
	c := s.c
	for c.in.len() == 0 {
		c.now = c.p.cfg.Now()
		at := int64(never)
		if s.h2.Reading() {
			at = c.now + int64(c.settings().head)
		}
		c.watch.arm(at, wakeClient|idle|readOnly) // what is being sent goes on
		if s.h2.Streams() == 0 {                  // asked after arm: the last stream may end at any time
			c.watch.push(min(at, c.now+int64(c.settings().idle)))
		}
		_, err := c.link.fill(&c.in)
		switch cause := c.watch.disarm(); {
		case cause == firedDrain:
			if c.link.resume(false) != nil {
				return 0, h2.ErrLeft
			}
			s.left.Store(true)
			s.h2.GoAway()
			if s.h2.Streams() == 0 && c.in.len() == 0 {
				return 0, errDrained
			}
		case cause == fired:
			if c.link.resume(false) == nil {
				s.h2.GoAway()
			}
			return 0, errDrained
		case cause != 0 || err != nil:
			return 0, h2.ErrLeft
		}
	}
	n := copy(p, c.in.bytes())
	c.in.drop(n)
	return n, nil
}

var errDrained = errors.New("the proxy ended the connection")

// Write sends frames. A client that takes none for BodyTimeout loses its connection.
func (s *session) Write(p []byte) (int, error) {
	c := s.c
	c.pumpWatch.arm(c.p.cfg.Now()+int64(c.settings().body), wakeClient)
	n, err := c.link.write(p)
	if c.pumpWatch.disarm() != 0 && err == nil {
		err = errDrained
	}
	return n, err
}

// Buffered returns the number of bytes that Read returns without waiting.
func (s *session) Buffered() int { return s.c.in.len() }

// idle starts the time limit of a connection without requests.
func (s *session) idle() {
	s.c.watch.push(s.c.p.cfg.Now() + int64(s.c.settings().idle))
}

// mayDrain reports whether a drain has something to tell the goroutine that reads.
func (s *session) mayDrain() bool { return !s.left.Load() || s.h2.Streams() == 0 }

// malformed counts and logs a violation of HTTP/2.
func (s *session) malformed(reason string) {
	c := s.c
	c.p.count.parse[h1.ClassSyntax].Add(1)
	if c.p.mayNote(c.p.cfg.Now()) {
		c.p.cfg.Log.Info("a client violated HTTP/2", "client", c.peer.String(), "listener", c.l.name(), "reason", reason)
	}
}

// open starts the goroutine of a request.
func (s *session) open(stream *h2.Stream, head []byte, tooLarge bool) {
	up := s.c
	c := &conn{
		p: up.p, l: up.l, wire: up.wire, link: streamLink{stream}, front: h2Front{}, stream: stream, secure: up.secure,
		in: lease{pool: up.p.small}, peer: up.peer, port: up.port, target: up.target, cert: up.cert, sni: up.sni, trusted: up.trusted, explain: up.explain, shard: up.shard, now: up.p.cfg.Now(),
	}
	room := c.in.room()
	if len(head) > len(room) {
		tooLarge, head = true, head[:0]
	}
	c.in.end = copy(room, head)
	s.streams.add(c, math.MaxInt) // package h2 limits them
	s.wg.Go(func() {
		c.serveStream(tooLarge)
		c.link.close()
		c.unpin()
		c.racing.Wait()
		c.in.release()
		s.streams.remove(c)
	})
}

// serveStream answers the request of a stream, whose head is in c.in.
func (c *conn) serveStream(tooLarge bool) {
	e := c.takeExchange()
	defer c.giveExchange(e)
	e.set = c.settings()
	n, bad := e.req.Parse(c.in.bytes(), &e.set.limits)
	if bad == nil && (tooLarge || n == 0) {
		bad = headFull
	}
	if bad != nil {
		c.refuseHead(e, bad)
		return
	}
	e.head = n
	if c.stream.Connect() {
		c.connect(e)
		return
	}
	e.readTrailerField()
	switch body, whole := c.stream.Buffered(); {
	case !whole || n+body > c.in.pool.size || len(e.trailerUp) > 0 && c.stream.Trailers() != nil:
		e.req.SetBody(-1)
	default:
		e.req.SetBody(int64(body))
	}
	c.handle(e)
	c.watch.up.Store(nil)
}

// connect answers an extended CONNECT (RFC 8441), whose head stands in the buffer as an Upgrade of HTTP/1.1.
func (c *conn) connect(e *exchange) {
	if len(e.req.Upgrade()) == 0 {
		c.refuseHead(e, noProtocol)
		return
	}
	c.handle(e)
	c.watch.up.Store(nil)
}

var noProtocol = &h1.Error{Status: 501, Class: h1.ClassSyntax, Reason: "the protocol of this CONNECT is not supported"}
