package proxy

import (
	"bufio"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// socketFile is a path that is short enough for a Unix socket.
func socketFile(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "smartlb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, name)
}

// atSocket starts an HTTP server on a Unix socket and returns its address.
func atSocket(t *testing.T, h http.Handler) string {
	t.Helper()
	path := socketFile(t, "app.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return "unix:" + path
}

// dialSocket connects to a Unix socket.
func dialSocket(t *testing.T, path string) (*net.UnixConn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.UnixConn), bufio.NewReader(nc)
}

func request(t *testing.T, nc net.Conn, r *bufio.Reader, text string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res, readAll(t, res.Body)
}

func TestUnixSocketsOnBothSides(t *testing.T) {
	app := atSocket(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+strings.Repeat("x", len(body)))
	}))
	path := socketFile(t, "web.sock")
	b := runWith(t, false, []string{app}, func(c *Config, _ *dispatch.Route) {
		c.Listeners = append(c.Listeners, Listener{Name: "socket", Addr: "unix:" + path, Mode: 0o660})
		c.TrustedProxies = loopback
	})
	if got := b.p.Addr("socket").String(); got != "unix:"+path {
		t.Errorf("the address of the listener is %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode of the socket: %v, %v", info.Mode(), err)
	}
	nc, r := dialSocket(t, path)
	if _, body := request(t, nc, r, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"); body != "shop 127.0.0.1 " {
		t.Errorf("host and client at the instance: %q", body)
	}
	if _, body := request(t, nc, r, "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"); body != "shop 192.0.2.1, 127.0.0.1 " {
		t.Errorf("a client of the socket is a trusted proxy: %q", body)
	}
	const large = 1 << 20
	if _, body := request(t, nc, r, "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1048576\r\n\r\n"+strings.Repeat("y", large)); len(body) != large+len("shop 127.0.0.1 ") {
		t.Errorf("a large body: %d bytes", len(body))
	}
	if n := b.p.Stats().UpstreamReuses; n != 2 {
		t.Errorf("%d requests on kept connections to the instance, want 2", n)
	}
	if _, body := request(t, nc, r, "GET / HTTP/1.0\r\n\r\n"); body != "localhost 127.0.0.1 " {
		t.Errorf("HTTP/1.0 without Host: %q", body)
	}
	b.stop()
	if _, err := os.Stat(path); err == nil {
		t.Error("the file of the socket is still there after the end")
	}
	for i, e := range b.entries() {
		if want := []string{"127.0.0.1", "192.0.2.1", "127.0.0.1", "127.0.0.1"}[i]; e.Client != want || e.Listener != "socket" {
			t.Errorf("access log: client %s, listener %s; want %s", e.Client, e.Listener, want)
		}
	}
}

// The portable and the raw driver see the same ends of a Unix socket as of TCP.
func TestEndsOfUnixSockets(t *testing.T) {
	began, leave := make(chan struct{}), make(chan struct{})
	app := atSocket(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			close(began)
			<-leave
		case "/half":
			time.Sleep(20 * time.Millisecond)
		}
	}))
	path := socketFile(t, "web.sock")
	b := runWith(t, false, []string{app}, func(c *Config, _ *dispatch.Route) {
		c.Listeners = []Listener{{Name: "web", Addr: "unix:" + path}, {Name: "tcp", Addr: "127.0.0.1:0"}}
		c.HalfCloseTimeout = 50 * time.Millisecond // the portable driver takes the end of a client for a half-closed connection
	})
	nc, r := dialSocket(t, path)
	if _, err := io.WriteString(nc, "GET /half HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = nc.CloseWrite()
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("a client that sends no more: %v", err)
	}
	nc, _ = dialSocket(t, path)
	if _, err := io.WriteString(nc, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	take(t, "the request", began)
	_ = nc.Close()
	eventually(t, "the client's end is noticed", func() bool { return b.service.Active.Load() == 0 })
	close(leave)
	if e := b.entries(); len(e) != 2 || e[1].Why != dispatch.CodeClientGone {
		t.Errorf("access log %+v", e)
	}
}

func TestAnInstanceWithoutASocket(t *testing.T) {
	gone := "unix:" + socketFile(t, "app.sock")
	there := atSocket(t, http.HandlerFunc(upstreamtest.Echo))
	b := runWith(t, false, []string{gone, there}, nil)
	c := b.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, _ := c.response("GET"); res.StatusCode != 200 {
		t.Errorf("status %d: the other instance was not asked", res.StatusCode)
	}
	if e := b.entries(); len(e) != 1 || e[0].Attempts != 2 {
		t.Errorf("access log %+v", e)
	}
}

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := socketFile(t, "web.sock")
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	killed.SetUnlinkOnClose(false) // a process that is killed leaves its file
	_ = killed.Close()
	runWith(t, false, []string{atSocket(t, http.HandlerFunc(upstreamtest.Echo))}, func(c *Config, _ *dispatch.Route) {
		c.Listeners = []Listener{{Name: "web", Addr: "unix:" + path}}
	})
	nc, r := dialSocket(t, path)
	if res, _ := request(t, nc, r, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}

	open := func(l Listener) error {
		p, err := New(Config{Listeners: []Listener{l}}, dispatch.New(dispatch.Config{}))
		if err == nil {
			p.closeListeners()
		}
		return err
	}
	if err := open(Listener{Name: "second", Addr: "unix:" + path}); err == nil || !strings.Contains(err.Error(), "another process listens on "+path) {
		t.Errorf("a live socket: %v", err)
	}
	if nc, r := dialSocket(t, path); nc != nil {
		if res, _ := request(t, nc, r, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 200 {
			t.Errorf("after the attempt of another process: status %d", res.StatusCode)
		}
	}
	file := socketFile(t, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(Listener{Name: "file", Addr: "unix:" + file}); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	if err := open(Listener{Name: "lost", Addr: "unix:/nowhere/web.sock"}); err == nil {
		t.Error("a folder that does not exist was accepted")
	}
}

func TestUnixListenersAreReplacedWhileRequestsAreServed(t *testing.T) {
	one, two := socketFile(t, "one.sock"), socketFile(t, "two.sock")
	b := runWith(t, false, []string{atSocket(t, http.HandlerFunc(upstreamtest.Echo))}, func(c *Config, _ *dispatch.Route) {
		c.Listeners = []Listener{{Name: "web", Addr: "unix:" + one}}
	})
	nc, r := dialSocket(t, one)
	request(t, nc, r, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if err := b.p.SetListeners([]Listener{{Name: "public", Addr: "unix:" + one, Mode: 0o600}, {Name: "two", Addr: "unix:" + two}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(one); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode of an open socket: %v, %v", info.Mode(), err)
	}
	if got := b.p.Listeners(); got[0].Addr != "unix:"+one || got[1].Addr != "unix:"+two {
		t.Errorf("listeners %v", got)
	}
	if err := b.p.SetListeners([]Listener{{Name: "two", Addr: "unix:" + two}}); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("unix", one); err == nil {
		t.Error("the removed listener still accepts connections")
	}
	if res, _ := request(t, nc, r, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 200 {
		t.Errorf("a connection of the removed listener got %d", res.StatusCode)
	}
}

func TestAProxyHeaderOnAUnixSocket(t *testing.T) {
	path := socketFile(t, "web.sock")
	b := runWith(t, true, []string{atSocket(t, http.HandlerFunc(upstreamtest.Echo))}, func(c *Config, _ *dispatch.Route) {
		c.Listeners = []Listener{{Name: "web", Addr: "unix:" + path, ProxyFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
	})
	nc, _ := dialSocket(t, path)
	if _, err := io.WriteString(nc, headerOf(proxyproto.V2, "192.0.2.1:1")); err != nil {
		t.Fatal(err)
	}
	c := over(t, nc, identity().client)
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.response("GET")
	if e := b.entries(); len(e) != 1 || e[0].Client != "192.0.2.1" {
		t.Errorf("access log %+v", e)
	}
}

// A full queue of an instance counts as a connection that timed out: connect(2) of a Unix socket does not wait.
func TestAFullQueueOfASocketIsATimeout(t *testing.T) {
	c := &conn{p: &Proxy{}}
	err := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EAGAIN)}
	if f := c.dialFailure(err); f != dispatch.ConnectTimeout {
		t.Errorf("counted as %v", f)
	}
}
