package e2e

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// migrated is an instance of the long files of docs/migrating.md.
type migrated struct {
	name   string
	mu     sync.Mutex
	checks []string // Host headers of health checks
}

func (m *migrated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/healthz":
		m.mu.Lock()
		m.checks = append(m.checks, r.Host)
		m.mu.Unlock()
		return
	case r.Header.Get("X-Fail") == m.name:
		w.WriteHeader(503)
		return
	case r.Header.Get("Upgrade") != "":
		accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §1.3
		w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(accept[:]))
		w.WriteHeader(101)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s %s", m.name, r.Host, r.RequestURI, r.Header.Get("X-Forwarded-For"))
}

func (m *migrated) checked(host string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.checks, host)
}

// migratedFiles are the files, each with what only it has.
var migratedFiles = map[string]struct {
	healthHost string // of the checks of the service shop
	retries    bool   // after 503
	hashed     bool   // the service api is chosen by X-Account
	next       bool   // a tenth of the requests to the service api goes to its next version
	trusts     bool   // proxies in front
	log        bool   // an access log in a file
	redirects  bool   // from HTTP to HTTPS
}{
	"haproxy": {healthHost: "shop.example.com", retries: true, redirects: true},
	"nginx":   {retries: true, hashed: true, trusts: true, log: true, redirects: true},
	"traefik": {healthHost: "shop.example.com", next: true, trusts: true, log: true, redirects: true},
	"envoy":   {healthHost: "shop", retries: true, log: true},
}

// The long files of docs/migrating.md run: certificates, hosts, paths, WebSockets, checks, retries and limits do what they say.
// Only addresses, certificates and the folder of the log are those of the test.
func TestLongFilesOfThePageAboutMigratingRun(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), certtest.New(t, "e2e")
	var pairs []string
	for _, name := range []string{"shop", "api"} {
		certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, name+".example.com")
		cert, key := certtest.Files(t, dir, name, certPEM, keyPEM)
		pairs = append(pairs, "/etc/smartlb/tls/"+name+".pem", cert, "/etc/smartlb/tls/"+name+".key", key)
	}
	instances := map[string]*migrated{}
	for name, addr := range map[string]string{
		"shop-1": "10.0.1.11:8080", "shop-2": "10.0.1.12:8080", "shop-3": "10.0.1.13:8080", "api-1": "10.0.2.11:9000", "api-2": "10.0.2.12:9000", "api-next-1": "10.0.2.21:9000",
	} {
		instances[name] = &migrated{name: name}
		s := httptest.NewServer(instances[name])
		t.Cleanup(s.Close)
		pairs = append(pairs, addr, s.Listener.Addr().String())
	}
	for name, want := range migratedFiles {
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile("../../docs/examples/migrating/" + name + ".smartlb.yaml")
			if err != nil {
				t.Fatal(err)
			}
			logs := t.TempDir()
			file := mustWrite(t, strings.NewReplacer(append(pairs, `":443"`, `"127.0.0.1:0"`, `":80"`, `"127.0.0.1:0"`, "10.9.0.0/16", "127.0.0.0/8", "/var/log/smartlb", logs)...).Replace(string(src)))
			p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--drain", "1s", "--lame-duck", "0s", "--data", t.TempDir())
			ask := asker(t, ca, p.Address("https"))
			expect := func(want, host, path string, headers ...string) string {
				t.Helper()
				got := ask(host, path, headers...)
				if !strings.HasPrefix(got, want) {
					t.Errorf("%s%s %q: got %q, want %q", host, path, headers, got, want)
				}
				return got
			}
			expect("200 shop-", "shop.example.com", "/cart?a=b")
			expect("200 api-", "shop.example.com", "/api/users")
			expect("200 api-", "api.example.com", "/users")
			expect("101", "shop.example.com", "/live", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
			expect("404", "other.example.com", "/")
			expect("413", "shop.example.com", "/", "Body: 8388609")
			expect("200 shop-", "shop.example.com", "/", "Body: 1000")
			if want.redirects {
				req, err := http.NewRequest("GET", "http://"+p.Address("http")+"/cart?a=b", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = "shop.example.com"
				res, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if to := res.Header.Get("Location"); res.StatusCode != 301 || to != "https://shop.example.com/cart?a=b" {
					t.Errorf("without TLS: got %d to %q", res.StatusCode, to)
				}
			}
			if want.retries {
				for range 6 { // the others answer
					expect("200 shop-", "shop.example.com", "/", "X-Fail: shop-1")
				}
			}
			if want.hashed {
				for i := range 4 {
					account := fmt.Sprintf("X-Account: %d", i)
					expect(expect("200 api-", "api.example.com", "/", account), "api.example.com", "/", account)
				}
			}
			if got := ask("shop.example.com", "/", "X-Forwarded-For: 10.1.2.3"); strings.Contains(got, " 10.1.2.3") != want.trusts {
				t.Errorf("X-Forwarded-For of a proxy in front: got %q", got)
			}
			if want.next {
				seen := map[bool]bool{}
				eventually(t, "both versions get requests", func() bool {
					seen[strings.HasPrefix(expect("200 api-", "api.example.com", "/"), "200 api-next-1 ")] = true
					return seen[true] && seen[false]
				})
			}
			if want.healthHost != "" {
				eventually(t, "the instance is checked", func() bool { return instances["shop-1"].checked(want.healthHost) })
			}
			if want.log {
				eventually(t, "the request is in the access log", func() bool {
					text, _ := os.ReadFile(filepath.Join(logs, "access.json"))
					return strings.Contains(string(text), `"target":"/cart?a=b"`)
				})
			}
		})
	}
}

// asker returns what sends requests to one address with TLS, and returns "STATUS BODY".
func asker(t *testing.T, ca *certtest.Authority, addr string) func(host, path string, headers ...string) string {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"http/1.1"}},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		ExpectContinueTimeout: maxWait,
	}
	t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr, Timeout: maxWait}
	return func(host, path string, headers ...string) string {
		t.Helper()
		req, err := http.NewRequest("GET", "https://"+strings.Replace(host, "other", "shop", 1)+path, nil) // with a name that a certificate has
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			if name == "Body" {
				size := 0
				_, _ = fmt.Sscan(value, &size)
				req.Method, req.Body, req.ContentLength = "POST", io.NopCloser(strings.NewReader(strings.Repeat("x", size))), int64(size)
				req.Header.Set("Expect", "100-continue") // a refusal comes before the body
				continue
			}
			req.Header.Set(name, value)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusSwitchingProtocols {
			return "101"
		}
		body, _ := io.ReadAll(res.Body)
		return fmt.Sprint(res.StatusCode, " ", string(body))
	}
}
