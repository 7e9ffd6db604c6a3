package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// Instances speak HTTP/2 with TLS; their checks use another port, without TLS, and compare the body.
func TestHealthChecksOfAnotherPort(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t, "e2e")
	dir := t.TempDir()
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	app.EnableHTTP2 = true
	app.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}}
	app.StartTLS()
	defer app.Close()
	var sick atomic.Bool
	checks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Proto + " " + r.Method + " " + r.Host + " " + r.Header.Get("X-Check"); got != "HTTP/1.1 POST shop yes" {
			t.Errorf("checked with %s", got)
		}
		if sick.Load() {
			_, _ = io.WriteString(w, `{"db": "down"}`)
			return
		}
		w.WriteHeader(299)
		_, _ = io.WriteString(w, `{"db": "up"}`)
	}))
	defer checks.Close()
	_, port, _ := net.SplitHostPort(checks.Listener.Addr().String())
	roots, _ := certtest.Files(t, dir, "ca", ca.PEM(), nil)
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--data", t.TempDir(), "--config", mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: all, service: shop}]
services:
  - id: shop
    instances: [{id: shop-1, address: %q}]
    protocol: h2
    tls: {ca: %q}
    healthCheck:
      {port: %s, protocol: http1, tls: false, method: POST, host: shop, headers: {X-Check: "yes"}, statuses: [200-299], body: {regex: '"db":\s*"up"'}, interval: 100ms, healthyThreshold: 1, unhealthyThreshold: 1}
`, app.Listener.Addr(), roots, port)))
	answer := func() string {
		res, err := http.Get("http://" + p.Address("web"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return fmt.Sprint(res.StatusCode, " ", string(body))
	}
	eventually(t, "the instance takes requests", func() bool { return answer() == "200 HTTP/2.0" })
	sick.Store(true)
	explained := func() string {
		out, errs, _ := smartlb(t, "explain", "shop-1", "--admin", p.Address("admin"))
		return out + errs
	}
	eventually(t, "the body takes the instance out", func() bool { return strings.Contains(explained(), "out of rotation") })
	if text := explained(); !strings.Contains(text, "status 200, the body does not match") {
		t.Errorf("explained as %s", text)
	}
	sick.Store(false)
	eventually(t, "the instance is back", func() bool { return strings.Contains(explained(), "shop-1 has been in rotation") })
}

// The keys of ejection and panic, each with its effect on the real process.
func TestEjectionFollowsItsKeys(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer bad.Close()
	good := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer good.Close()
	for keys, want := range map[string]string{
		"ejection: {consecutiveFailures: 2, time: 1h, maxTime: 1h}":                                     "i1 has been ejected|2 consecutive failures (ejection 1). It rejoins in ",
		"ejection: {consecutiveFailures: 0, failureRate: 0.9, minRequests: 2, time: 24h, maxTime: 24h}": "i1 has been ejected|100 % of 2 requests in less than 10s failed (ejection 1). It rejoins in ",
		"ejection: {consecutiveFailures: 2, time: 1h, maxTime: 1h}\n    panicThreshold: 1":              "i1 has been ejected|shop is in panic: fewer than 100 % of its instances are healthy",
	} {
		status.Store(500)
		p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--data", t.TempDir(), "--config",
			proxyFile(t, []string{bad.Listener.Addr().String(), good.Listener.Addr().String()}, "    policy: round_robin\n    "+keys+"\n"))
		seen := ""
		eventually(t, keys, func() bool {
			res, err := http.Get("http://" + p.Address("web"))
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			seen, _, _ = smartlb(t, "explain", "i1", "--admin", p.Address("admin"))
			for _, part := range strings.Split(want, "|") {
				if !strings.Contains(seen, part) {
					return false
				}
			}
			return true
		})
		if t.Failed() {
			t.Log(seen)
		}
	}
}
