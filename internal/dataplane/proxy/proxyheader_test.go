package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// forwarded is a proxy whose instance responds with X-Forwarded-For, and whose clients on loopback must send a header.
func forwarded(t *testing.T, tls bool, edit func(*Config)) *bench {
	t.Helper()
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	}))
	return runWith(t, tls, []string{instance}, func(c *Config, _ *dispatch.Route) {
		c.Listeners[0].ProxyFrom = loopback
		if edit != nil {
			edit(c)
		}
	})
}

// through sends header and returns a client on the same connection.
func (b *bench) through(t *testing.T, header string) *client {
	t.Helper()
	nc := b.connect()
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := io.WriteString(nc, header); err != nil {
		t.Fatal(err)
	}
	c := &client{Conn: nc, tcp: nc.(*net.TCPConn), tb: t}
	if b.tls {
		c.Conn = tls.Client(nc, identity().client)
	}
	c.r = bufio.NewReader(c.Conn)
	return c
}

func headerOf(v proxyproto.Version, source string) string {
	h := proxyproto.Header{Version: v}
	if source != "" {
		h.Source, h.Target = netip.MustParseAddrPort(source), netip.MustParseAddrPort("198.51.100.1:443")
	}
	return string(h.Append(nil))
}

// extended is a header of version 2 with n bytes of extensions.
func extended(n int) string {
	b := []byte(headerOf(proxyproto.V2, "192.0.2.1:12345"))
	binary.BigEndian.PutUint16(b[14:], uint16(12+n))
	return string(b) + strings.Repeat("\x04", n)
}

func TestAProxyHeaderNamesTheClient(t *testing.T) {
	for name, tc := range map[string]struct{ header, client string }{
		"version 1, IPv4":       {headerOf(proxyproto.V1, "192.0.2.1:12345"), "192.0.2.1"},
		"version 1, IPv6":       {headerOf(proxyproto.V1, "[2001:db8::1]:12345"), "2001:db8::1"},
		"version 1, UNKNOWN":    {headerOf(proxyproto.V1, ""), "127.0.0.1"},
		"version 2, IPv4":       {headerOf(proxyproto.V2, "192.0.2.1:12345"), "192.0.2.1"},
		"version 2, IPv6":       {headerOf(proxyproto.V2, "[2001:db8::1]:12345"), "2001:db8::1"},
		"version 2, LOCAL":      {headerOf(proxyproto.V2, ""), "127.0.0.1"},
		"version 2, extensions": {extended(4096 - 12), "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				// The bound of a head must not bound extensions.
				b := forwarded(t, secure, func(c *Config) { c.Limits.Head = 1024 })
				c := b.through(t, tc.header)
				for range 2 {
					c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
					if res, body := c.response("GET"); res.StatusCode != 200 || body != tc.client {
						t.Errorf("TLS %v: %d, X-Forwarded-For %q", secure, res.StatusCode, body)
					}
				}
				for _, e := range b.entries() {
					if e.Client != tc.client {
						t.Errorf("TLS %v: client %q in the access log", secure, e.Client)
					}
				}
			}
		})
	}
}

func TestAProxyHeaderInPiecesAndWithARequestBehindIt(t *testing.T) {
	b := forwarded(t, false, nil)
	for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		c := b.through(t, headerOf(v, "192.0.2.1:12345")+"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
		for range 2 {
			if _, body := c.response("GET"); body != "192.0.2.1" {
				t.Errorf("at once: X-Forwarded-For %q", body)
			}
		}
		nc := b.connect()
		_ = nc.SetDeadline(time.Now().Add(testTimeout))
		for _, ch := range []byte(headerOf(v, "192.0.2.1:12345") + "GET / HTTP/1.0\r\n\r\n") {
			if _, err := nc.Write([]byte{ch}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(nc)
		if err != nil || !strings.HasSuffix(string(got), "192.0.2.1") {
			t.Errorf("in pieces: %q, %v", got, err)
		}
	}
}

func TestAProxyHeaderComesBeforeTLSAndHTTP2(t *testing.T) {
	b := forwarded(t, true, nil)
	cfg := identity().client.Clone()
	cfg.NextProtos = []string{"h2"}
	tr := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		nc := b.connect()
		tc := tls.Client(prefixed{nc, []byte(headerOf(proxyproto.V2, "192.0.2.1:12345")), new(bool)}, cfg)
		return tc, tc.Handshake()
	}}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: testTimeout}).Get("https://" + b.addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res.Body); body != "192.0.2.1" || res.ProtoMajor != 2 {
		t.Errorf("%s: X-Forwarded-For %q", res.Proto, body)
	}
}

// prefixed sends head together with the first bytes.
type prefixed struct {
	net.Conn
	head []byte
	sent *bool
}

func (p prefixed) Write(b []byte) (int, error) {
	if *p.sent {
		return p.Conn.Write(b)
	}
	*p.sent = true
	if _, err := p.Conn.Write(append(p.head, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func TestTheAddressOfAProxyHeaderDecidesAboutTrust(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\nX-Request-Id: mine\r\n\r\n"
	for name, tc := range map[string]struct {
		trusted, client, id string
	}{
		"the peer is a trusted proxy, its client is not": {"127.0.0.0/8", "192.0.2.1", ""},
		"the client is a trusted proxy":                  {"192.0.2.0/24", "203.0.113.9", "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			b := forwarded(t, false, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(tc.trusted)} })
			c := b.through(t, headerOf(proxyproto.V1, "192.0.2.1:1"))
			c.send(request)
			res, _ := c.response("GET")
			if got := res.Header.Get("X-Request-Id"); (got == "mine") != (tc.id == "mine") {
				t.Errorf("X-Request-Id %q", got)
			}
			if e := b.entries(); len(e) != 1 || e[0].Client != tc.client {
				t.Errorf("access log %+v, want the client %s", e, tc.client)
			}
		})
	}
}

func TestAConnectionWithAWrongProxyHeaderIsClosedAndCounted(t *testing.T) {
	good := headerOf(proxyproto.V2, "192.0.2.1:1")
	for name, tc := range map[string]struct {
		send string
		end  bool // the client sends no more
		want ProxyHeader
	}{
		"a request":             {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", false, ProxyHeaderMissing},
		"TLS":                   {"\x16\x03\x01\x00\x05hello", false, ProxyHeaderMissing},
		"the preface of HTTP/2": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, ProxyHeaderMissing},
		"a malformed header":    {"PROXY TCP4 here there 1 2\r\n", false, ProxyHeaderMalformed},
		"a line without end":    {"PROXY " + strings.Repeat("x", 200), false, ProxyHeaderLong},
		"too many extensions":   {extended(4096 - 11), false, ProxyHeaderLong},
		"half a header":         {good[:20], true, ProxyHeaderCut},
		"half the extensions":   {extended(100)[:60], true, ProxyHeaderCut},
		"silence":               {"", false, ProxyHeaderLate},
		"half a header, slowly": {good[:20], false, ProxyHeaderLate},
		"nothing":               {"", true, ProxyHeaderLeft},
	} {
		t.Run(name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				b := forwarded(t, secure, func(c *Config) {
					c.HeadTimeout = testTimeout
					if tc.want == ProxyHeaderLate {
						c.HeadTimeout = 50 * time.Millisecond
					}
				})
				nc := b.connect().(*net.TCPConn)
				_ = nc.SetDeadline(time.Now().Add(testTimeout))
				if _, err := io.WriteString(nc, tc.send); err != nil {
					t.Fatal(err)
				}
				if tc.end {
					_ = nc.CloseWrite()
				}
				if got, _ := io.ReadAll(nc); len(got) > 0 {
					t.Errorf("TLS %v: the peer gets %q", secure, got)
				}
				_ = nc.Close()
				eventually(t, "the connection is counted", func() bool { return b.p.Stats().ProxyHeaders[tc.want] == 1 })
				if e := b.entries(); len(e) > 0 {
					t.Errorf("TLS %v: access log %+v", secure, e)
				}
			}
		})
	}
}

func TestAProxyHeaderOfAnyOtherPeerIsRefused(t *testing.T) {
	other := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	b := forwarded(t, false, func(c *Config) { c.Listeners[0].ProxyFrom = other })
	for _, v := range []proxyproto.Version{proxyproto.V1, proxyproto.V2} {
		c := b.through(t, headerOf(v, "192.0.2.1:1")+"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if res, body := c.response("GET"); res.StatusCode != 400 || !strings.Contains(body, "PROXY protocol") {
			t.Errorf("version %d: %d %q", v, res.StatusCode, body)
		}
	}
	c := b.through(t, "")
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, body := c.response("GET"); res.StatusCode != 200 || body != "127.0.0.1" {
		t.Errorf("without a header: %d, X-Forwarded-For %q", res.StatusCode, body)
	}
	for _, e := range b.entries() {
		if e.Client != "127.0.0.1" {
			t.Errorf("access log: client %q", e.Client)
		}
	}
}
