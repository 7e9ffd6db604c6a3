package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// Conditions, back-off, Retry-After and budget of retries through the real process, on HTTP/1.1, HTTP/2 and gRPC.
func TestRetriesFollowTheirKeys(t *testing.T) {
	t.Parallel()
	instance := func(h http.HandlerFunc) string { return serveH2C(t, true, h).Listener.Addr().String() }
	answer := func(status int, header, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.Header().Set(header, value)
			w.WriteHeader(status)
		}
	}
	good := instance(answer(200, "Grpc-Status", "0"))
	var b strings.Builder
	for id, bad := range map[string]string{
		"rest":  instance(answer(503, "Retry-After", "3600")),
		"limit": instance(answer(429, "Retry-After", "1")),
		"long":  instance(answer(429, "Retry-After", "3600")),
		"range": instance(answer(599, "X", "")),
		"grpc":  instance(answer(200, "Grpc-Status", "14")),
		"none":  instance(answer(599, "X", "")),
	} {
		protocol, budget, ejection := "http1", "{min: 3}", "{maxShare: 0}"
		if id == "grpc" {
			protocol = "h2c"
		}
		if id == "rest" {
			ejection = "{consecutiveFailures: 0}"
		}
		if id == "none" {
			budget = "{share: 0, min: 0}"
		}
		fmt.Fprintf(&b, "  - {id: %s, protocol: %s, policy: round_robin, retryBudget: %s, ejection: %s, instances: [{id: %s-bad, address: %q}, {id: %s-good, address: %q}]}\n", id, protocol, budget, ejection, id, bad, id, good)
	}
	log := filepath.Join(t.TempDir(), "access.log")
	file := fmt.Sprintf("proxy: {accessLog: %q}\nlisteners: [{name: web, address: '127.0.0.1:0'}]\nroutes:\n", log)
	for _, id := range []string{"rest", "limit", "long", "range", "none"} {
		file += fmt.Sprintf("  - {name: %s, path: {prefix: /%s}, service: %s, retry: {on: [5xx, \"429\"], backoff: {base: 1ms}, maxRetryAfter: 5m}}\n", id, id, id)
	}
	file += "  - {name: grpc, path: {prefix: /grpc}, service: grpc, retry: {on: [UNAVAILABLE], backoff: {base: 1ms}}}\nservices:\n" + b.String()
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--data", t.TempDir(), "--config", mustWrite(t, file))
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		t.Cleanup(tr.CloseIdleConnections)
		statuses := func(method, path string) map[string]bool {
			got := map[string]bool{}
			for range 2 { // round robin: one begins at the bad instance
				req, _ := http.NewRequest(method, "http://"+p.Address("web")+path, nil)
				if path == "/grpc" {
					req.Header.Set("Content-Type", "application/grpc")
				}
				res, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				got[fmt.Sprint(res.StatusCode, res.Header.Get("Grpc-Status"))] = true
			}
			return got
		}
		for path, want := range map[string]int{"GET /rest": 1, "GET /limit": 1, "GET /long": 2, "GET /range": 1, "POST /range": 2, "GET /none": 2, "POST /grpc": 1} {
			method, path, _ := strings.Cut(path, " ")
			if path == "/grpc" && !http2 {
				continue
			}
			if got := statuses(method, path); len(got) != want || !got["2000"] {
				t.Errorf("%s %s %s: got %v", name, method, path, got)
			}
		}
	}
	eventually(t, "the instance that asked for it rests", func() bool {
		out, _, _ := smartlb(t, "explain", "rest-bad", "--admin", p.Address("admin"))
		return strings.Contains(out, "it answered 503 and asked for no requests for a time (Retry-After)")
	})
	for series, least := range map[string]float64{`reason="status",route="limit",service="limit"`: 2, `reason="grpc-status",route="grpc",service="grpc"`: 1, `reason="status",route="long",service="long"`: 0} {
		// A retry takes a turn too, so both requests may begin at the bad instance.
		if n := metric(t, p.Address("admin"), "smartlb_route_retries_total{"+series+"}"); n < least || n > 2*least {
			t.Errorf("%s: %v retries are counted, want %v to %v", series, n, least, 2*least)
		}
	}
	if n := metric(t, p.Address("admin"), `smartlb_route_retries_denied_total{route="none",service="none"}`); n != 2 {
		t.Errorf("%v retries were denied, want 2", n)
	}
	eventually(t, "the access log says why", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), `"retried":["429"]`) && strings.Contains(string(text), `"retried":["599"]`) && strings.Contains(string(text), `"retried":["grpc-status 14"]`)
	})
}

// A hedge answers for an instance that does not, for clients of HTTP/1.1 and HTTP/2 and instances of both.
func TestHedgesAnswerForSilentInstances(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	instance := func(h http.HandlerFunc) string { return serveH2C(t, true, h).Listener.Addr().String() }
	ended := make(chan struct{}, 1000)
	bad := instance(func(_ http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			<-r.Context().Done()
			ended <- struct{}{}
		}
	})
	good := instance(func(http.ResponseWriter, *http.Request) {})
	file := "listeners: [{name: web, address: '127.0.0.1:0'}]\nroutes:\n"
	for _, id := range []string{"one", "two"} {
		file += fmt.Sprintf("  - {name: %s, path: {prefix: /%s}, service: %s, hedge: {after: p95}}\n", id, id, id)
	}
	file += "services:\n"
	for id, protocol := range map[string]string{"one": "http1", "two": "h2c"} {
		file += fmt.Sprintf("  - {id: %s, protocol: %s, policy: round_robin, retryBudget: {min: 10}, instances: [{id: %s-bad, address: %q}, {id: %s-good, address: %q}]}\n", id, protocol, id, bad, id, good)
	}
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--data", t.TempDir(), "--config", mustWrite(t, file))
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		t.Cleanup(tr.CloseIdleConnections)
		for _, id := range []string{"one", "two"} {
			get := func() {
				t.Helper()
				req, _ := http.NewRequest("GET", "http://"+p.Address("web")+"/"+id, nil)
				client := http.Client{Transport: tr, Timeout: time.Minute}
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if res.StatusCode != 200 || res.Proto != name {
					t.Fatalf("%s %s: got %d %s", name, id, res.StatusCode, res.Proto)
				}
			}
			silent.Store(false)
			for range 40 {
				get()
			}
			silent.Store(true)
			won := func() float64 {
				return metric(t, p.Address("admin"), fmt.Sprintf(`smartlb_route_hedges_total{result="won",route=%q,service=%q}`, id, id))
			}
			before := won()
			// Requests begin at both instances by turns, and a hedge takes a turn too. A hedge counts when its request has ended.
			eventually(t, name+" "+id+": a hedge wins", func() bool { get(); return won() > before })
			eventually(t, "the cancelled request ends at the instance", func() bool { return len(ended) > 0 })
			<-ended
		}
	}
	for _, id := range []string{"one", "two"} {
		if n := metric(t, p.Address("admin"), fmt.Sprintf(`smartlb_instance_errors_total{instance_id="%s-bad",service=%q}`, id, id)); n != 0 {
			t.Errorf("%s-bad is charged with %v errors", id, n)
		}
	}
}
