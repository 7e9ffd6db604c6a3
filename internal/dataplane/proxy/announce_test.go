package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/test/certtest"
)

// announced is an instance that expects a PROXY header. It responds with the source of the header and the number of its
// connection.
func announced(t *testing.T, secure *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for n := 1; ; n++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serveAnnounced(nc, n, secure)
		}
	}()
	return ln.Addr().String()
}

func serveAnnounced(nc net.Conn, number int, secure *tls.Config) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	var h proxyproto.Header
	for have := 1; ; have++ {
		b, err := r.Peek(have)
		if err != nil {
			return
		}
		var n int
		if h, n, err = proxyproto.Parse(b); err != nil {
			_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		if n > 0 && n <= have {
			_, _ = r.Discard(n)
			break
		}
	}
	if secure != nil {
		nc = tls.Server(buffered{nc, r}, secure)
		r = bufio.NewReader(nc)
	}
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		body := fmt.Sprintf("%d %s connection %d", h.Version, h.Source, number)
		_, _ = fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

// buffered reads through a buffer.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func withHeader(v proxyproto.Version) func(*Config, *dispatch.Route) {
	return func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{ProxyProtocol: v} }
}

func TestAnInstanceGetsAProxyHeaderOfItsClient(t *testing.T) {
	for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		t.Run(fmt.Sprint("version ", v), func(t *testing.T) {
			b := run(t, []string{announced(t, nil)}, withHeader(v))
			one, two := b.dial(), b.dial()
			for i := range 3 { // a connection serves one client only, whatever the order of requests
				for n, c := range []*client{one, two} {
					c.send(get)
					want := fmt.Sprintf("%d %s connection %d", v, c.LocalAddr(), n+1)
					if res, body := c.response("GET"); res.StatusCode != 200 || body != want {
						t.Errorf("request %d: %d %q, want %q", i, res.StatusCode, body, want)
					}
				}
			}
			if n := b.p.Stats().IdleUpstream; n != 0 {
				t.Errorf("%d connections in the pool that all clients share", n)
			}
		})
	}
}

func TestAProxyHeaderIsPassedOnToTheInstance(t *testing.T) {
	b := run(t, []string{announced(t, nil)}, func(c *Config, r *dispatch.Route) {
		c.Listeners[0].ProxyFrom = loopback
		withHeader(proxyproto.V2)(c, r)
	})
	for source, want := range map[string]string{"[2001:db8::7]:4711": "[2001:db8::7]:4711", "": "127.0.0.1:"} {
		c := b.through(t, headerOf(proxyproto.V1, source))
		c.send(get)
		if _, body := c.response("GET"); !strings.HasPrefix(body, "2 "+want) {
			t.Errorf("source %q: the instance got %q", source, body)
		}
	}
}

func TestAProxyHeaderComesBeforeTLSToTheInstance(t *testing.T) {
	ca := certtest.New(t, "instances")
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}, NextProtos: []string{"http/1.1"}}
	caFile, _ := certtest.Files(t, t.TempDir(), "ca", ca.PEM(), nil)
	b := run(t, []string{announced(t, server)}, withHeader(proxyproto.V2))
	b.secured(certs.ClientConfig{CA: caFile, Protocol: "http/1.1"})
	c := b.dial()
	for range 2 {
		c.send(get)
		if res, body := c.response("GET"); res.StatusCode != 200 || body != fmt.Sprintf("2 %s connection 1", c.LocalAddr()) {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	}
}

// Requests of one HTTP/2 connection run at the same time, so each has its own connection to the instance.
func TestRequestsOfHTTP2HaveAConnectionEachForTheProxyHeader(t *testing.T) {
	b := runWith(t, true, []string{announced(t, nil)}, withHeader(proxyproto.V2))
	var local string
	cfg := identity().client.Clone()
	cfg.NextProtos = []string{"h2"}
	tr := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		nc := b.connect()
		local = nc.LocalAddr().String()
		tc := tls.Client(nc, cfg)
		return tc, tc.Handshake()
	}}
	defer tr.CloseIdleConnections()
	for i := range 3 {
		res, err := (&http.Client{Transport: tr, Timeout: testTimeout}).Get("https://" + b.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		if body, want := readAll(t, res.Body), fmt.Sprintf("2 %s connection %d", local, i+1); body != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
}

// A client of a Unix socket has no address.
func TestAClientWithoutAnAddressIsAnnouncedAsLocal(t *testing.T) {
	c := &conn{p: &Proxy{}, wire: &wire{sock: unixSock{}}}
	c.setPeer(unixPeer)
	for v, want := range map[proxyproto.Version]string{proxyproto.V1: "PROXY UNKNOWN\r\n", proxyproto.V2: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		if got := string(c.proxyHeader(v)); got != want {
			t.Errorf("version %d: %q", v, got)
		}
	}
}

type unixSock struct{ netConn }

func (unixSock) LocalAddr() net.Addr { return &net.UnixAddr{Name: "/run/web.sock", Net: "unix"} }
