package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Proxy serves HTTP/1.1 and HTTP/2 on its listeners. Create it with New and serve with Run. To stop it, call Drain and then end
// Run's context.
type Proxy struct {
	cfg       Config
	d         Dispatcher
	listeners listeners

	small     *bufferPool // heads and the body bytes that arrive with them
	large     *bufferPool // bodies
	encoders  *compress.Pool
	exchanges sync.Pool
	seeds     atomic.Uint64

	draining  atomic.Bool
	patient   atomic.Bool    // while draining: connections without a request may make one
	acceptors sync.WaitGroup // goroutines that accept
	conns     registry
	clients   tally
	mirrors   registry // copies of requests
	mirroring sync.WaitGroup
	pools     pools
	count     counters
	notes     atomic.Int64 // when a failed handshake or a wrong PROXY header was last logged
	log       *accessLog
	messages  *accessLog   // of the access log
	headers   bool         // the access log has Referer or User-Agent
	wall      atomic.Int64 // wall clock minus process clock, ns
}

// New checks cfg and binds its listeners. cfg may have no listeners; SetListeners adds them. New starts no goroutine.
func New(cfg Config, d Dispatcher) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	p := &Proxy{
		cfg: cfg, d: d,
		small: newBufferPool(cfg.Limits.Head),
		large: newBufferPool(64 << 10), encoders: compress.NewPool(),
	}
	if limit := descriptorLimit(); limit > 0 && cfg.MaxConnections > connectionsFor(limit) {
		cfg.Log.Warn("the connection limit is above what the descriptor limit allows", "connections", cfg.MaxConnections, "descriptors", limit, "allows", connectionsFor(limit))
	}
	p.pools.p = p
	p.exchanges.New = func() any { return newExchange(p) }
	if cfg.AccessLog != nil {
		p.log, p.headers = newAccessLog(cfg.AccessLog, cfg.Log), cfg.LogFormat.Headers()
	}
	if cfg.AccessMessages != nil {
		p.messages = newAccessLog(cfg.AccessMessages, cfg.Log)
	}
	p.setWall()
	if err := p.SetListeners(cfg.Listeners); err != nil {
		return nil, err
	}
	return p, nil
}

// Run serves until ctx ends, then closes all connections immediately. It returns when all its goroutines have ended,
// except an access log writer that is blocked because its reader takes nothing. For a graceful stop, call Drain first.
func (p *Proxy) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	var aside sync.WaitGroup // the deadlines outlive the connections
	asideCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	aside.Go(func() { p.sweep(asideCtx) })
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		var logs sync.WaitGroup
		for _, l := range []*accessLog{p.log, p.messages} {
			if l != nil {
				logs.Go(func() { l.run(asideCtx) })
			}
		}
		logs.Wait()
	}()
	for opened := p.listeners.waiting(); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-opened:
			p.begin(ctx, &wg)
		}
	}
	p.closeListeners()
	p.draining.Store(true)
	p.conns.close()
	ended := make(chan struct{})
	p.mirrors.close()
	go func() { wg.Wait(); p.mirroring.Wait(); close(ended) }()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for over := false; !over; {
		p.conns.each(func(c *conn) { c.cutNow() }) // repeated: a connection may have been between two waits
		p.cutMirrors()
		select {
		case <-ended:
			over = true
		case <-tick.C:
			p.pools.cut() // wakes requests that wait for a write of another request
		}
	}
	stop()
	aside.Wait()
	p.pools.closeAll()
	p.pools.wg.Wait()
	p.awaitLog(logged)
	return nil
}

// awaitLog waits up to logEnd for the last lines of the access log. If the reader takes nothing, the writer goroutine
// ends when its write returns or the process ends.
func (p *Proxy) awaitLog(logged <-chan struct{}) {
	timer := time.NewTimer(logEnd)
	defer timer.Stop()
	select {
	case <-logged:
	case <-timer.C:
		p.cfg.Log.Warn("the last lines of the access log were dropped: its reader is too slow", "waited", logEnd.String())
	}
}

// shortage notes an error that shows a shortage of this process, and reports whether err is such an error.
func (p *Proxy) shortage(err error) bool {
	what := guard.OwnShortage(err)
	if what == "" {
		return false
	}
	if p.cfg.Shortage.Note(what, p.cfg.Now()) {
		p.cfg.Log.Error("this node lacks "+what, "error", err)
	}
	return true
}

// accept takes connections from l. When file descriptors run out, it waits and retries: existing connections continue
// and free descriptors.
func (p *Proxy) accept(ctx context.Context, l *listener, wg *sync.WaitGroup) {
	var delay time.Duration
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return
			}
			if !p.shortage(err) && delay == 0 {
				p.cfg.Log.Warn("accept", "listener", l.name(), "error", err)
			}
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			select {
			case <-ctx.Done():
				return
			case <-time.After(delay):
			}
			continue
		}
		if delay > 0 {
			p.cfg.Log.Info("accepting again", "listener", l.name())
			delay = 0
		}
		sock, ok := nc.(netConn)
		if !ok {
			_ = nc.Close()
			continue
		}
		if p.cfg.Memory.Pressure() == guard.Exhausted {
			p.count.noMemory.Add(1)
			refuse(sock, l.set.Load().TLS != nil, dispatch.CodeExhausted)
			continue
		}
		c, err := p.newConn(l, sock)
		if err != nil || !p.enter(c) {
			p.count.refused.Add(1)
			refuse(sock, l.set.Load().TLS != nil, tooMany)
			continue
		}
		p.count.accepted.Add(1)
		l.set.Load().keepAlive(sock)
		wg.Go(func() { c.serve(wg) })
	}
}

const tooMany = "too-many-connections"

// refuse answers a connection above a limit, with a word for the limit. It waits at most 10 ms. Inside TLS there is no
// answer: a handshake would cost more than the limit saves.
func refuse(sock netConn, tls bool, why string) {
	if tls {
		_ = sock.Close()
		return
	}
	_ = sock.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	text := "smartlb: 503 " + why + "\n"
	b := h1.AppendStatusLine(nil, 503, []byte("Service Unavailable"))
	b = append(b, "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"...)
	b = h1.AppendEnd(h1.AppendLength(b, int64(len(text))))
	_, _ = sock.Write(append(b, text...))
	_ = sock.Close()
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

var _ Dispatcher = (*dispatch.Dispatcher)(nil)
