package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// slowly writes a byte at a time, so that every record arrives in pieces.
type slowly struct{ net.Conn }

func (s slowly) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if i%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return len(p), nil
}

func secured(t *testing.T, edit func(*Config)) *bench {
	t.Helper()
	return runWith(t, true, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, func(c *Config, _ *dispatch.Route) {
		if edit != nil {
			edit(c)
		}
	})
}

// over makes a client of TLS over a connection.
func over(t *testing.T, nc net.Conn, cfg *tls.Config) *client {
	t.Helper()
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	t.Cleanup(func() { _ = nc.Close() })
	c := tls.Client(nc, cfg)
	tcp, _ := nc.(*net.TCPConn)
	return &client{Conn: c, tcp: tcp, tb: t, r: bufio.NewReader(c)}
}

func (b *bench) connect() net.Conn {
	b.tb.Helper()
	nc, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.tb.Fatal(err)
	}
	return nc
}

func TestRecordsInPiecesAreRequests(t *testing.T) {
	b := secured(t, nil)
	c := over(t, slowly{b.connect()}, identity().client)
	for range 3 {
		c.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
		if res, body := c.response("POST"); res.StatusCode != 200 || !strings.HasSuffix(body, "hello") {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	}
}

func TestManyRequestsInOneRecordAreAnswered(t *testing.T) {
	b := secured(t, nil)
	c := b.dial()
	c.send(strings.Repeat("GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 300)) // more than a buffer
	for i := range 300 {
		if res, _ := c.response("GET"); res.StatusCode != 200 {
			t.Fatalf("response %d: %d", i, res.StatusCode)
		}
	}
}

func TestSessionsAreResumed(t *testing.T) {
	b := secured(t, nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := identity().client.Clone()
		cfg.ClientSessionCache, cfg.MaxVersion = tls.NewLRUClientSessionCache(1), version
		for i := range 2 {
			c := over(t, b.connect(), cfg)
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			c.response("GET")
			if st := c.Conn.(*tls.Conn).ConnectionState(); st.DidResume != (i == 1) || st.NegotiatedProtocol != "" {
				t.Errorf("%s, connection %d: resumed %v", tls.VersionName(version), i, st.DidResume)
			}
			_ = c.Close()
		}
	}
}

func TestEachHandshakeIsNamed(t *testing.T) {
	stranger := certtest.New(t, "another")
	trust := func(edit func(*tls.Config)) func(net.Conn) {
		cfg := identity().client.Clone()
		edit(cfg)
		return func(nc net.Conn) { _ = tls.Client(nc, cfg).Handshake() }
	}
	for name, tc := range map[string]struct {
		edit   func(*tls.Config)
		client func(net.Conn)
		want   Handshake
	}{
		"done":       {nil, trust(func(*tls.Config) {}), HandshakeDone},
		"plain HTTP": {nil, func(nc net.Conn) { _, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") }, HandshakePlainHTTP},
		"other":      {nil, func(nc net.Conn) { _, _ = io.WriteString(nc, "\x00\x01\x02\x03\x04\x05\x06\x07") }, HandshakeOther},
		"version":    {func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, trust(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), HandshakeVersion},
		"cipher": {nil, trust(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}), HandshakeCipher},
		"protocol":       {nil, trust(func(c *tls.Config) { c.NextProtos = []string{"h3"} }), HandshakeALPN},
		"challenge":      {func(c *tls.Config) { c.NextProtos = []string{"acme-tls/1"} }, trust(func(c *tls.Config) { c.NextProtos = []string{"acme-tls/1"} }), HandshakeChallenge},
		"another ca":     {nil, trust(func(c *tls.Config) { c.RootCAs = stranger.Pool() }), HandshakeRefused},
		"no client cert": {func(c *tls.Config) { c.ClientAuth = tls.RequireAndVerifyClientCert }, trust(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), HandshakeClientCert},
		"stranger's client cert": {func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, certtest.New(t, "third").Pool()
		}, trust(func(c *tls.Config) {
			c.MaxVersion, c.Certificates = tls.VersionTLS12, []tls.Certificate{stranger.Issue(certtest.Options{Client: true}, "me")}
		}), HandshakeClientCert},
		"left":   {nil, func(nc net.Conn) { _ = nc.Close() }, HandshakeLeft},
		"silent": {nil, func(net.Conn) {}, HandshakeLate},
	} {
		t.Run(name, func(t *testing.T) {
			b := secured(t, func(c *Config) {
				c.HandshakeTimeout = testTimeout
				if tc.want == HandshakeLate {
					c.HandshakeTimeout = 50 * time.Millisecond
				}
			})
			if tc.edit != nil {
				l := b.p.Listeners()
				l[0].Addr, l[0].TLS = "127.0.0.1:0", identity().server.Clone()
				tc.edit(l[0].TLS)
				if err := b.p.SetListeners(l); err != nil {
					t.Fatal(err)
				}
			}
			nc := b.connect()
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(testTimeout))
			tc.client(nc)
			eventually(t, "the handshake is counted", func() bool {
				sum := uint64(0)
				for _, n := range b.p.Stats().Handshakes {
					sum += n
				}
				return sum == 1
			})
			for i, n := range b.p.Stats().Handshakes {
				if n > 0 && Handshake(i) != tc.want {
					t.Errorf("counted as %s, want %s", Handshake(i), tc.want)
				}
			}
			if tc.want == HandshakePlainHTTP {
				got, _ := io.ReadAll(nc)
				if !bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")) || !bytes.Contains(got, []byte("use https://")) {
					t.Errorf("a client in the clear gets %q", got)
				}
				if e := b.entries(); len(e) != 1 || e[0].Status != 400 || !strings.Contains(e[0].Why, "plain HTTP") {
					t.Errorf("access log %+v", e)
				}
			}
		})
	}
}

// TestTheEndOfAResponseIsMarked: only close_notify tells a client of a body without a length that nothing is missing.
func TestTheEndOfAResponseIsMarked(t *testing.T) {
	r := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		if s.Request() != nil {
			s.Write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
		}
	})
	b := runWith(t, true, []string{r.Addr}, nil)
	c := b.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	got, err := io.ReadAll(c.Conn) // io.ErrUnexpectedEOF without close_notify
	if err != nil || !strings.HasSuffix(string(got), "all of it") {
		t.Errorf("%q, %v", got, err)
	}
}
