package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/certtest"
)

// tlsInstance is an instance that speaks TLS, with a certificate of ca.
func tlsInstance(t *testing.T, ca *certtest.Authority, http2 bool, edit func(*tls.Config), h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1", "shop.internal")}}
	if edit != nil {
		edit(s.TLS)
	}
	s.EnableHTTP2 = http2
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes that fail are the test
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// echoTunnel accepts an upgrade and sends back what it receives.
func echoTunnel(t *testing.T, w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_, _ = io.Copy(conn, rw)
}

// secured makes a bench's service connect by TLS.
func (b *bench) secured(cfg certs.ClientConfig) *certs.Client {
	b.tb.Helper()
	c, err := certs.LoadClient(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.tb.Fatal(err)
	}
	b.service.SetTLS(&upstream.TLS{Config: c.TLS})
	return c
}

func TestInstancesWithTLS(t *testing.T) {
	ca, dir := certtest.New(t, "instances"), t.TempDir()
	caFile, _ := certtest.Files(t, dir, "ca", ca.PEM(), nil)
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			var conns sync.Map
			addr := tlsInstance(t, ca, http2, nil, func(w http.ResponseWriter, r *http.Request) {
				conns.Store(r.RemoteAddr, true)
				if r.Header.Get("Upgrade") == "echo" {
					echoTunnel(t, w)
					return
				}
				if (r.ProtoMajor == 2) != http2 {
					t.Errorf("the instance got %s", r.Proto)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				_, _ = w.Write(body)
			})
			b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{HTTP2: http2} })
			protocol := "http/1.1"
			if http2 {
				protocol = "h2"
			}
			b.secured(certs.ClientConfig{CA: caFile, Protocol: protocol})
			client, url := b.http("/")
			for i, size := range []int{0, 1, 5, 30_000, 3 << 20, 1, 1, 1} {
				for _, length := range []bool{true, false} {
					want := strings.Repeat("x", size)
					var body io.Reader = strings.NewReader(want)
					if !length {
						body = io.MultiReader(body)
					}
					res, err := client.Post(url, "text/plain", body)
					if err != nil {
						t.Fatal(err)
					}
					if got := readAll(t, res.Body); res.StatusCode != 200 || got != want {
						t.Errorf("request %d of %d bytes: got %d with %d bytes", i, size, res.StatusCode, len(got))
					}
				}
			}
			n := 0
			conns.Range(func(any, any) bool { n++; return true })
			if n > 2 { // one may have ended with its upload
				t.Errorf("%d connections for requests one after the other", n)
			}
			if http2 || *overTLS {
				return
			}
			c := b.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 101 {
				t.Fatalf("upgrade: %v, %v", res, err)
			}
			c.send("hello")
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(c.r); err != nil || string(got) != "hello" {
				t.Errorf("tunnel: %q, %v", got, err)
			}
		})
	}
}

// Each way in which TLS with an instance can fail is a failed connection, and the log names the reason.
func TestTLSOfInstancesThatFails(t *testing.T) {
	ca, other, dir := certtest.New(t, "instances"), certtest.New(t, "other"), t.TempDir()
	caFile, _ := certtest.Files(t, dir, "ca", ca.PEM(), nil)
	otherFile, _ := certtest.Files(t, dir, "other", other.PEM(), nil)
	cert, key := ca.IssuePEM(certtest.Options{Client: true, Subject: "proxy"})
	certFile, keyFile := certtest.Files(t, dir, "proxy", cert, key)
	hello := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
	plain := httptest.NewServer(http.HandlerFunc(hello))
	defer plain.Close()
	verify := func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool() }
	for name, tc := range map[string]struct {
		addr  string
		cfg   certs.ClientConfig
		http2 bool
		log   string // empty: it works
	}{
		"authority of another":        {tlsInstance(t, ca, false, nil, hello), certs.ClientConfig{CA: otherFile}, false, "unknown authority"},
		"any certificate":             {tlsInstance(t, ca, false, nil, hello), certs.ClientConfig{Insecure: true}, false, ""},
		"another name":                {tlsInstance(t, ca, false, nil, hello), certs.ClientConfig{CA: caFile, ServerName: "carts.internal"}, false, "carts.internal"},
		"the name of the certificate": {tlsInstance(t, ca, false, nil, hello), certs.ClientConfig{CA: caFile, ServerName: "shop.internal"}, false, ""},
		"an instance without TLS":     {plain.Listener.Addr().String(), certs.ClientConfig{CA: caFile}, false, "first record does not look like a TLS handshake"},
		"with a client certificate":   {tlsInstance(t, ca, false, verify, hello), certs.ClientConfig{CA: caFile, Pair: certs.Pair{Cert: certFile, Key: keyFile}}, false, ""},
		"no HTTP/2":                   {tlsInstance(t, ca, false, func(c *tls.Config) { c.NextProtos = nil }, hello), certs.ClientConfig{CA: caFile}, true, "no application protocol"},
	} {
		var mu sync.Mutex
		var log bytes.Buffer
		b := run(t, []string{tc.addr}, func(c *Config, r *dispatch.Route) {
			r.Split[0].Leg = &dispatch.Leg{HTTP2: tc.http2}
			c.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return log.Write(p)
			}), nil))
		})
		tc.cfg.Protocol = "http/1.1"
		if tc.http2 {
			tc.cfg.Protocol = "h2"
		}
		b.secured(tc.cfg)
		client, url := b.http("/")
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body := readAll(t, res.Body)
		mu.Lock()
		got := log.String()
		mu.Unlock()
		switch {
		case tc.log == "" && (res.StatusCode != 200 || body != "hello"):
			t.Errorf("%s: got %d %s, log %s", name, res.StatusCode, body, got)
		case tc.log != "" && (res.StatusCode != 502 || !strings.Contains(body, "upstream-connect") || !strings.Contains(got, tc.log) || !strings.Contains(got, "instance=s-0")):
			t.Errorf("%s: got %d %s, log %s", name, res.StatusCode, body, got)
		}
	}
}
