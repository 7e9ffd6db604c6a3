package proxy

import (
	"cmp"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// upstreamConn is one connection to an instance. It belongs either to one exchange or to the idle pool of its instance.
type upstreamConn struct {
	live    *upstream.Live
	link    link       // wire, TLS on it, or the stream
	wire    *wire      // the socket; nil: HTTP/2
	scheme  string     // of requests of HTTP/2
	pool    *idlePool  // nil: HTTP/2
	stream  *h2.Stream // of one exchange; nil: HTTP/1.1
	connect bool       // the request is made as an extended CONNECT (RFC 8441)
	fresh   bool       // made for this exchange, never used
	bound   bool       // the connection itself is authenticated (NTLM, Negotiate): it belongs to one client connection
	since   int64      // idle since
	closed  atomic.Bool
}

func (u *upstreamConn) close() {
	u.link.close()
	if u.pool != nil && !u.closed.Swap(true) {
		u.pool.open.Add(-1)
	}
}

// idlePool keeps the idle connections to one instance. It has two stacks to reduce lock contention between processors.
// A stack returns the most recently used connection first. The pool is the instance's upstream.Transport.
type idlePool struct {
	kind
	live   *upstream.Live
	open   *atomic.Int64 // connections to the instance, idle or not, also those of a pool that this pool replaced
	shards [2]struct {
		mu   sync.Mutex
		list []*upstreamConn
		_    [24]byte
	}
}

var _ upstream.Transport = (*idlePool)(nil)

// reserve counts a connection that is about to be made. It returns false if there are limit of them; 0: no limit.
func (p *idlePool) reserve(limit int) bool {
	if n := p.open.Add(1); limit > 0 && n > int64(limit) {
		p.open.Add(-1)
		return false
	}
	return true
}

// get takes a connection. It returns nil if the pool is empty.
func (p *idlePool) get(shard int) *upstreamConn {
	for i := range p.shards {
		s := &p.shards[(shard+i)&1]
		s.mu.Lock()
		if n := len(s.list); n > 0 {
			u := s.list[n-1]
			s.list[n-1] = nil
			s.list = s.list[:n-1]
			s.mu.Unlock()
			return u
		}
		s.mu.Unlock()
	}
	return nil
}

// put keeps u. It closes u instead if the pool is full or replaced, or the instance has left.
func (p *idlePool) put(shard int, u *upstreamConn, now int64) {
	u.since, u.fresh = now, false
	s := &p.shards[shard&1]
	s.mu.Lock()
	if len(s.list) >= max(1, p.idle/2) || isOver(p) {
		s.mu.Unlock()
		u.close()
		return
	}
	s.list = append(s.list, u)
	s.mu.Unlock()
}

// Retire closes all idle connections. Live.Retire marks the instance before it calls this method, pools.of replaces the
// pool before, and put checks both under the lock. So no connection is kept afterwards.
func (p *idlePool) Retire() { p.closeBefore(1<<63 - 1) }

// closeBefore closes connections that are idle since before t. They are at the front of the stacks.
func (p *idlePool) closeBefore(t int64) {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		n := 0
		for n < len(s.list) && s.list[n].since < t {
			s.list[n].close()
			n++
		}
		if n > 0 {
			rest := copy(s.list, s.list[n:])
			clear(s.list[rest:])
			s.list = s.list[:rest]
		}
		s.mu.Unlock()
	}
}

func (p *idlePool) len() (n int) {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		n += len(s.list)
		s.mu.Unlock()
	}
	return n
}

// pool holds the connections to one instance: *idlePool of HTTP/1.1, *muxPool of HTTP/2.
type pool interface {
	upstream.Transport
	instance() *upstream.Live
	is(kind) bool
	expire(now int64) // closes connections that were idle for too long
	len() int         // idle connections
	ended() bool      // no connection is left that needs expire
}

// isOver reports whether p keeps no connections any more: the instance has left, or has another pool.
func isOver(p pool) bool {
	live := p.instance()
	return live.Retired() || *live.Transport.Load() != upstream.Transport(p)
}

// kind says what the connections of a pool speak, and how many of them are kept.
type kind struct {
	http2         bool
	proxyProtocol proxyproto.Version // of the header at the beginning of each connection
	tls           *upstream.TLS      // nil: none
	idle          int                // of HTTP/1.1: connections that are kept
	keep          time.Duration      // that a connection may be idle
}

// kindOf returns the kind of connections that a try needs.
func (p *Proxy) kindOf(v *dispatch.Verdict) kind {
	return kind{
		http2: v.Leg.HTTP2, proxyProtocol: v.Leg.ProxyProtocol, tls: v.TLS,
		idle: cmp.Or(v.Leg.MaxIdle, p.cfg.MaxIdle), keep: cmp.Or(v.Leg.KeepTimeout, p.cfg.KeepTimeout),
	}
}

func (k kind) is(other kind) bool { return k == other }

func (p *idlePool) instance() *upstream.Live { return p.live }

func (p *idlePool) ended() bool { return p.len() == 0 }

func (p *idlePool) expire(now int64) { p.closeBefore(now - int64(p.keep)) }

// pools lists the pools of all instances, to close connections that are idle for too long.
type pools struct {
	p    *Proxy
	mu   sync.Mutex
	list []pool
	wg   sync.WaitGroup // of goroutines that read connections of HTTP/2
}

// of returns the pool of an instance. It creates the pool on first use, and when the instance speaks another protocol
// than before.
func (ps *pools) of(live *upstream.Live, k kind) pool {
	for {
		old := live.Transport.Load()
		if old != nil {
			if p, ok := (*old).(pool); ok && p.is(k) {
				return p
			}
		}
		var p pool
		if k.http2 {
			p = &muxPool{kind: k, p: ps.p, live: live}
		} else {
			p = &idlePool{kind: k, live: live, open: openOf(old)}
		}
		var t upstream.Transport = p
		if live.Transport.CompareAndSwap(old, &t) {
			if old != nil {
				(*old).Retire()
			}
			ps.mu.Lock()
			ps.list = append(ps.list, p)
			ps.mu.Unlock()
			return p
		}
	}
}

// openOf returns the counter of connections of the pool that is replaced, so that its connections count until they end.
func openOf(replaced *upstream.Transport) *atomic.Int64 {
	if replaced != nil {
		if p, ok := (*replaced).(*idlePool); ok {
			return p.open
		}
	}
	return new(atomic.Int64)
}

// expire closes connections that were idle for too long and removes pools that are over and have no connections.
func (ps *pools) expire(now int64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	kept := ps.list[:0]
	for _, pool := range ps.list {
		pool.expire(now)
		if isOver(pool) {
			pool.Retire()
			if pool.ended() {
				continue
			}
		}
		kept = append(kept, pool)
	}
	clear(ps.list[len(kept):])
	ps.list = kept
}

// shed closes every kept connection to free their descriptors. It reports whether there were any.
func (ps *pools) shed() bool {
	if ps.idle() == 0 {
		return false
	}
	ps.closeAll()
	return true
}

func (ps *pools) closeAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, pool := range ps.list {
		pool.Retire()
	}
}

// cut closes the connections of HTTP/2 to instances, with the requests on them.
func (ps *pools) cut() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, pool := range ps.list {
		if m, ok := pool.(*muxPool); ok {
			m.cut()
		}
	}
}

func (ps *pools) idle() (n int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, pool := range ps.list {
		n += pool.len()
	}
	return n
}

// dial connects to an instance within timeout. The connection begins with header, before TLS. A stop of the proxy waits
// for it.
func (ps *pools) dial(pool *idlePool, header []byte, timeout time.Duration) (*upstreamConn, error) {
	l, w, err := ps.p.dialLink(pool.live, pool.tls, header, timeout)
	if err != nil {
		return nil, err
	}
	return &upstreamConn{live: pool.live, link: l, wire: w, pool: pool, fresh: true}, nil
}

// isStale reports whether the instance has closed a kept connection, or has sent bytes that no request asked for.
func (u *upstreamConn) isStale() bool {
	if u.link == link(u.wire) {
		return !u.wire.quiet()
	}
	return u.link.state() != peerThere || canReadNow && u.link.waiting()
}

// dialLink connects to an instance, sends header, and runs the TLS handshake if there is one, each within timeout.
func (p *Proxy) dialLink(live *upstream.Live, t *upstream.TLS, header []byte, timeout time.Duration) (link, *wire, error) {
	w, err := p.dialWire(live, timeout)
	if err == nil && len(header) > 0 {
		if _, err = w.write(header); err != nil { // fits into the empty buffer of the socket
			w.close()
		}
	}
	if err != nil || t == nil {
		return w, w, err
	}
	cfg := t.Config(upstream.Host(live.Addr))
	s := newSecureClient(w, cfg)
	_ = w.sock.SetDeadline(time.Now().Add(timeout))
	err = s.conn.Handshake()
	if got := s.conn.ConnectionState().NegotiatedProtocol; err == nil && got != cfg.NextProtos[0] && (got != "" || cfg.NextProtos[0] == "h2") {
		err = fmt.Errorf("the instance does not speak %s inside TLS", cfg.NextProtos[0])
	}
	if err == nil {
		err = w.sock.SetDeadline(time.Time{})
	}
	if err != nil {
		w.close()
		if p.mayNote(p.cfg.Now()) {
			p.cfg.Log.Warn("TLS with an instance failed", "service", live.Service, "instance", live.Instance, "address", live.Addr, "error", err)
		}
		return nil, nil, err
	}
	return s, w, nil
}

func (p *Proxy) dialWire(live *upstream.Live, timeout time.Duration) (*wire, error) {
	network, at := upstream.SplitAddress(live.Addr)
	nc, err := net.DialTimeout(network, at, timeout)
	if err != nil {
		return nil, err
	}
	p.count.dials.Add(1)
	w, err := newWire(nc.(netConn))
	if err != nil {
		_ = nc.Close()
	}
	return w, err
}
