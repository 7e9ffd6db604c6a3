package proxy

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// muxPool holds the connections of HTTP/2 to one instance. Each carries many requests at the same time; another one is
// made when all are full. The pool is the instance's upstream.Transport.
type muxPool struct {
	kind
	p    *Proxy
	live *upstream.Live

	mu      sync.Mutex
	conns   []*muxConn
	dialing *dialing // a connection is being made; requests that find no room wait for it
}

var _ pool = (*muxPool)(nil)

// dialing is a connection that is being made.
type dialing struct {
	done chan struct{}
	err  error
}

// muxConn is a connection of HTTP/2 to an instance.
type muxConn struct {
	link    link
	h2      *h2.Conn
	in      lease
	p       *Proxy
	used    atomic.Bool  // a request was made
	since   atomic.Int64 // idle since; 0: a request is under way
	writing atomic.Int64 // since when a write waits; 0: none
}

// open returns a stream for one request. It makes a connection within timeout if there is none with room. limit is the
// maximum of connections; 0: none.
func (m *muxPool) open(e *exchange, limit int, timeout time.Duration) (*upstreamConn, error) {
	for {
		m.mu.Lock()
		for _, k := range m.conns {
			if s := k.h2.Open(e.req.IsHead()); s != nil {
				m.mu.Unlock()
				k.since.Store(0)
				return &upstreamConn{live: m.live, link: streamLink{s}, stream: s, scheme: m.tls.Scheme(), fresh: !k.used.Swap(true)}, nil
			}
		}
		if d := m.dialing; d != nil {
			m.mu.Unlock()
			<-d.done // a dial ends within its timeout
			if d.err != nil {
				return nil, d.err
			}
			continue
		}
		if limit > 0 && m.usable() >= limit {
			m.mu.Unlock()
			return nil, errInstanceFull
		}
		d := &dialing{done: make(chan struct{})}
		m.dialing = d
		m.mu.Unlock()
		k, err := m.dial(timeout)
		m.mu.Lock()
		if err == nil {
			m.conns = append(m.conns, k)
		}
		d.err, m.dialing = err, nil
		m.mu.Unlock()
		close(d.done)
		if err != nil {
			return nil, err
		}
	}
}

// usable returns the number of connections that take requests, now or when one of theirs ends.
func (m *muxPool) usable() (n int) {
	for _, k := range m.conns {
		if !k.h2.Ended() {
			n++
		}
	}
	return n
}

// dial makes a connection. A goroutine reads it until it ends.
func (m *muxPool) dial(timeout time.Duration) (*muxConn, error) {
	w, _, err := m.p.dialLink(m.live, m.tls, nil, timeout)
	if err != nil {
		return nil, err
	}
	k := &muxConn{link: w, p: m.p, in: lease{pool: m.p.small}}
	k.h2 = h2.NewClient(k, h2.Config{HeadBytes: m.p.cfg.Limits.Head, Now: m.p.cfg.Now, Malformed: func(string) {}, Idle: func() {
		k.since.Store(m.p.cfg.Now())
	}})
	if err := k.h2.Start(); err != nil {
		w.close()
		return nil, err
	}
	m.p.pools.wg.Go(func() {
		_ = k.h2.Serve() // each stream reports the error
		w.close()
		k.in.release()
		m.remove(k)
	})
	return k, nil
}

// Retire closes the idle connections. pools.expire calls it again for a pool that is over: the others end then.
func (m *muxPool) Retire() {
	m.close(func(k *muxConn) bool { return k.h2.Streams() == 0 })
}

// close closes connections, which then take no further request.
func (m *muxPool) close(which func(*muxConn) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = slices.DeleteFunc(m.conns, func(k *muxConn) bool {
		if !which(k) {
			return false
		}
		k.link.close()
		return true
	})
}

func (m *muxPool) instance() *upstream.Live { return m.live }

// expire closes connections that were idle for too long, or whose instance takes no bytes.
func (m *muxPool) expire(now int64) {
	m.close(func(k *muxConn) bool {
		since, writing := k.since.Load(), k.writing.Load()
		if writing > 0 && now-writing > int64(m.p.cfg.BodyTimeout) {
			return true
		}
		return k.h2.Streams() == 0 && (since > 0 && now-since > int64(m.keep) || k.h2.Ended()) // ended: the instance takes no more requests on it
	})
}

// cut closes all connections.
func (m *muxPool) cut() { m.close(func(*muxConn) bool { return true }) }

func (m *muxPool) ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.conns) == 0 && m.dialing == nil
}

func (m *muxPool) remove(k *muxConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = slices.DeleteFunc(m.conns, func(other *muxConn) bool { return other == k })
}

func (m *muxPool) len() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.conns {
		if k.since.Load() > 0 {
			n++
		}
	}
	return n
}

// Read reads from the instance, without a time limit: each request has its own.
func (k *muxConn) Read(p []byte) (int, error) {
	if k.in.len() == 0 {
		if _, err := k.link.fill(&k.in); err != nil {
			if errors.Is(err, net.ErrClosed) {
				err = h2.ErrLeft
			}
			return 0, err
		}
	}
	n := copy(p, k.in.bytes())
	k.in.drop(n)
	return n, nil
}

// Write sends frames. expire ends a write that waits for too long.
func (k *muxConn) Write(p []byte) (int, error) {
	k.writing.Store(k.p.cfg.Now())
	n, err := k.link.write(p)
	k.writing.Store(0)
	return n, err
}

// Buffered returns the number of bytes that Read returns without waiting.
func (k *muxConn) Buffered() int { return k.in.len() }

// chunks reports whether the instance gets the request body in chunks.
func (u *upstreamConn) chunks(e *exchange) bool { return u.stream == nil && e.chunkedUp() }

// appendBody appends body bytes of a request as the instance gets them.
func (u *upstreamConn) appendBody(dst []byte, e *exchange, data []byte) []byte {
	if u.chunks(e) {
		return h1.AppendChunk(dst, data)
	}
	return append(dst, data...)
}

// sendBody sends body bytes of a request that appendBody framed. last says that they are the last ones.
func (u *upstreamConn) sendBody(e *exchange, data []byte, last bool) error {
	if u.stream != nil {
		return u.sendFrames(e, nil, data, last)
	}
	if len(data) == 0 {
		return nil
	}
	_, err := u.link.write(data)
	return err
}

// block returns the header block of the request whose head is in e.out. It is valid until e changes.
func (u *upstreamConn) block(e *exchange) []byte {
	if u.connect {
		e.line = h2.AppendConnect(e.line[:0], e.out[:e.headEnd], e.req.Upgrade(), u.scheme)
		return e.line
	}
	e.line = h2.AppendRequest(e.line[:0], e.out[:e.headEnd], u.scheme)
	if e.wantsTrailers() {
		e.line = h2.AppendField(e.line, "te", "trailers")
	}
	return e.line
}

// wantsTrailers reports whether the client accepts trailers.
func (e *exchange) wantsTrailers() bool {
	v, ok := e.req.Header("te")
	return ok && h1.EqualFold(v, "trailers")
}
