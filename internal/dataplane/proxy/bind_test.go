package proxy

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// option reads an option of a socket.
func option(t *testing.T, of any, level, name int) (value int) {
	t.Helper()
	raw, err := of.(syscall.Conn).SyscallConn()
	if err == nil {
		err = onSocket(raw, func(fd int) (err error) { value, err = unix.GetsockoptInt(fd, level, name); return err })
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestProcessesThatShareAnAddress(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) {
		c.Listeners[0].ReusePort = true
		c.Listeners = append(c.Listeners, Listener{Name: "alone", Addr: "127.0.0.1:0"})
	})
	other, err := listen(Listener{Addr: b.addr, ReusePort: true})
	if err != nil {
		t.Fatalf("another process cannot listen on the address: %v", err)
	}
	_ = other.Close()
	if other, err = listen(Listener{Addr: b.addr}); err == nil {
		_ = other.Close()
		t.Error("an address is shared with a process that does not want to share")
	}
	if other, err = listen(Listener{Addr: b.p.Addr("alone").String(), ReusePort: true}); err == nil {
		_ = other.Close()
		t.Error("an address is shared that no one wanted to share")
	}
	c := b.dial()
	c.send(get)
	if res, _ := c.response("GET"); res.StatusCode != 200 {
		t.Error(res.StatusCode)
	}
	open := b.p.Listeners()
	open[0].Addr, open[0].ReusePort = "127.0.0.1:0", false
	if err := b.p.SetListeners(open[:1]); err == nil || !strings.Contains(err.Error(), "restart the node") {
		t.Errorf("a change of reusePort: %v", err)
	}
}

// The options of a listener apply to an open one too, from the next connection on.
func TestSocketOptionsOfAListener(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	list := []Listener{{Name: "web", Addr: "127.0.0.1:0", Backlog: 7, KeepAlive: 90 * time.Second}}
	if err := b.p.SetListeners(b.listening(list...)); err != nil {
		t.Fatal(err)
	}
	c := b.dial()
	c.send(get)
	c.response("GET")
	b.p.conns.each(func(c *conn) {
		if idle := option(t, c.wire.sock, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL); idle != 30 {
			t.Errorf("TCP asks again after %d s", idle)
		}
	})
}

func TestTheBacklogOfAnOpenListenerCanChange(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := setBacklog(ln, 7); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range 50 {
		nc, err := net.DialTimeout("tcp", ln.Addr().String(), soon)
		if err != nil {
			break
		}
		defer nc.Close()
		n++
	}
	if n != 8 { // the kernel lets one more wait
		t.Errorf("%d connections may wait, want 8", n)
	}
}
