package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// pair gives both ends of a TCP connection.
func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close(); _ = other.Close() })
	return nc.(*net.TCPConn), other.(*net.TCPConn)
}

// wirePair connects a wire with a peer.
func wirePair(t *testing.T) (w *wire, peer *net.TCPConn) {
	t.Helper()
	mine, peer := pair(t)
	w, err := newWire(mine)
	if err != nil {
		t.Fatal(err)
	}
	return w, peer
}

// TestStaleDeadlineNeverHitsTheNextExchange: if disarm reports that no wait has ended, the socket has no deadline, whatever the
// sweeper does at the same time.
func TestStaleDeadlineNeverHitsTheNextExchange(t *testing.T) {
	w, peer := wirePair(t)
	c := &conn{wire: w, link: w}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.expire(&c.watch, 2)
				runtime.Gosched()
			}
		}
	})
	var hits, misses int
	buf := make([]byte, 1)
	for i := range 20000 {
		c.watch.arm(1, wakeClient)
		for range i % 7 {
			runtime.Gosched()
		}
		if c.watch.disarm() != 0 {
			hits++
			_ = w.sock.SetDeadline(time.Time{})
			continue
		}
		misses++
		if _, err := peer.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := w.read(buf); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	close(stop)
	wg.Wait()
	if hits == 0 || misses == 0 {
		t.Logf("hits %d, misses %d: the race was not raced", hits, misses)
	}
}

// A deadline that passed before the next wait began is not moved: the party that was late is known.
func TestAFiredWatchIsNotPushed(t *testing.T) {
	w, _ := wirePair(t)
	c := &conn{wire: w, link: w}
	c.watch.arm(1, wakeClient)
	if !c.watch.push(3) {
		t.Error("an armed watch was not pushed")
	}
	c.expire(&c.watch, 2)
	if !c.watch.push(5) {
		t.Error("a watch fired before its new deadline")
	}
	c.expire(&c.watch, 6)
	if c.watch.push(9) {
		t.Error("a watch that has fired was pushed")
	}
	if got := c.watch.disarm(); got != fired {
		t.Errorf("disarm says %d", got)
	}
}

func TestFiredWatchWakesAReader(t *testing.T) {
	w, _ := wirePair(t)
	c := &conn{wire: w, link: w}
	c.watch.arm(1, wakeClient)
	done := make(chan error, 1)
	go func() { _, err := w.read(make([]byte, 1)); done <- err }()
	c.expire(&c.watch, 2)
	if err := take(t, "the end of the read", done); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := c.watch.disarm(); got != fired {
		t.Errorf("disarm says %d", got)
	}
	if got := c.watch.disarm(); got != 0 {
		t.Errorf("a second disarm says %d", got)
	}
}

// poorListener has no file descriptors for its first attempts.
type poorListener struct {
	fail   int
	at     []time.Time
	closed chan struct{}
}

func (l *poorListener) Accept() (net.Conn, error) {
	l.at = append(l.at, time.Now())
	if l.fail--; l.fail >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *poorListener) Close() error   { close(l.closed); return nil }
func (l *poorListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptWaitsForFileDescriptors(t *testing.T) {
	p, err := New(Config{Listeners: []Listener{{Name: "web", Addr: "127.0.0.1:0"}}}, dispatch.New(dispatch.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	p.closeListeners()
	synctest.Test(t, func(t *testing.T) {
		l := &poorListener{fail: 12, closed: make(chan struct{})}
		var wg sync.WaitGroup
		poor := &listener{Listener: l}
		poor.set.Store(&settings{Listener: Listener{Name: "web"}, limits: p.cfg.Limits})
		wg.Go(func() { p.accept(context.Background(), poor, &wg) })
		time.Sleep(time.Minute)
		_ = l.Close()
		wg.Wait()
		if len(l.at) != 13 {
			t.Fatalf("%d attempts, want 13", len(l.at))
		}
		for i := 1; i < len(l.at); i++ {
			gap := l.at[i].Sub(l.at[i-1])
			if want := min(5*time.Millisecond<<(i-1), time.Second); gap != want {
				t.Errorf("pause %d is %v, want %v", i, gap, want)
			}
		}
	})
}

// TestIdlePool: the warmest first, the other shard when one's own is empty,
// never more than its share, and nothing once the instance has left.
func TestIdlePool(t *testing.T) {
	live := upstream.NewLive("s", "s-0", "x", 1, 0)
	pool := &idlePool{live: live, kind: kind{idle: 2 * 2}, open: new(atomic.Int64)}
	var tr upstream.Transport = pool
	live.Transport.Store(&tr)
	make1 := func() *upstreamConn {
		w, _ := wirePair(t)
		return &upstreamConn{live: pool.live, link: w, wire: w, pool: pool, fresh: true}
	}
	a, b, c, d := make1(), make1(), make1(), make1()
	pool.put(0, a, 1)
	pool.put(0, b, 2)
	pool.put(0, c, 3) // beyond its share
	pool.put(1, d, 4)
	if pool.len() != 3 || c.wire.quiet() {
		t.Fatalf("%d kept, the third open: %v", pool.len(), c.wire.quiet())
	}
	for i, want := range []*upstreamConn{b, a, d, nil} {
		if got := pool.get(0); got != want {
			t.Errorf("get %d: not the expected connection", i)
		}
	}
	pool.put(0, a, 5)
	pool.put(0, b, 9)
	pool.closeBefore(9)
	if pool.len() != 1 || a.wire.quiet() || !b.wire.quiet() {
		t.Errorf("%d kept, old open: %v, new open: %v", pool.len(), a.wire.quiet(), b.wire.quiet())
	}
	live.Retire()
	pool.put(0, d, 10)
	if pool.len() != 0 || b.wire.quiet() || d.wire.quiet() {
		t.Error("a retired instance's connection was kept")
	}
}
