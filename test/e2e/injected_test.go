package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// Faults through the real process, on HTTP/1.1, HTTP/2 and gRPC: shares, statuses, delays, and large bodies that wait. No
// instance and no service is charged.
func TestInjectedFaults(t *testing.T) {
	t.Parallel()
	const large = 2 << 20 // does not fit into a buffer of the proxy
	var asked atomic.Int64
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		asked.Add(1)
		_, _ = fmt.Fprint(w, n)
	}))
	defer instance.Close()
	dir := t.TempDir()
	ca := certtest.New(t, "e2e")
	certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, "localhost")
	cert, key := certtest.Files(t, dir, "server", certPEM, keyPEM)
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
routes:
  - {name: abort, path: {prefix: /abort}, service: a, fault: {abort: {status: 503, share: 1}}}
  - {name: delay, path: {prefix: /delay}, service: a, timeout: 30s, fault: {delay: {duration: 300ms, share: 1}}}
  - {name: both, path: {prefix: /both}, service: a, fault: {delay: {duration: 100ms, share: 1}, abort: {status: 429, share: 1}}}
  - {name: some, path: {prefix: /some}, service: a, fault: {abort: {status: 500, share: 0.5}}}
  - {name: long, path: {prefix: /long}, service: a, fault: {delay: {duration: 5m, share: 1}}}
services:
  - {id: a, instances: [{id: i, address: %q}]}
`, cert, key, instance.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--drain", "1s", "--data", t.TempDir())
	_, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	clients := clientsOf(t, ca)
	// ask returns the status, for gRPC that of gRPC, and the body.
	ask := func(protocol, path string, size int, headers ...string) (status, body string, took time.Duration) {
		t.Helper()
		req := requestOf(protocol, "POST", "https://localhost:"+port+path, strings.NewReader(strings.Repeat("x", size)))
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		began := time.Now()
		res, err := clients[protocol].Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", protocol, path, err)
		}
		defer res.Body.Close()
		took = time.Since(began)
		text, _ := io.ReadAll(res.Body)
		if s := res.Header.Get("Grpc-Status"); s != "" {
			return "gRPC " + s, string(text), took
		}
		return fmt.Sprint(res.StatusCode), string(text), took
	}
	for _, protocol := range protocols() {
		for path, want := range map[string]string{"/abort": "503", "/both": "429"} {
			if protocol == "grpc" {
				want = "gRPC 14"
			}
			status, body, took := ask(protocol, path, 4)
			if status != want || protocol != "grpc" && !strings.Contains(body, "fault-injected") || path == "/both" && took < 100*time.Millisecond {
				t.Errorf("%s %s: got %s %s after %s", protocol, path, status, body, took)
			}
		}
		if status, body, took := ask(protocol, "/delay", large); status != "200" || body != fmt.Sprint(large) || took < 300*time.Millisecond {
			t.Errorf("%s: a delayed request got %s %s after %s", protocol, status, body, took)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the instance got %d requests, want the 3 delayed ones", n)
	}
	if status, _, _ := ask("grpc", "/long", 4, "Grpc-Timeout", "50m"); status != "gRPC 4" {
		t.Errorf("the time of the client ends within the delay: got %s", status)
	}
	seen := map[string]bool{}
	eventually(t, "some requests are aborted and some are not", func() bool {
		status, _, _ := ask("h1", "/some", 4)
		seen[status] = true
		return seen["200"] && seen["500"]
	})
	admin := p.Address("admin")
	for series, want := range map[string]float64{`smartlb_service_errors_total`: 0, `smartlb_service_ejections_total`: 0} {
		if n := metric(t, admin, series); n != want {
			t.Errorf("%s is %v, want %v", series, n, want)
		}
	}
	if s := standings(t, admin)["i"]; s.State != "in" || s.Errors != 0 {
		t.Errorf("the instance is charged: %+v", s)
	}

	// The proxy stops while a request waits: its client gets an answer, or the end of its connection, within the drain time.
	sent, done := make(chan struct{}), make(chan error, 1)
	req := requestOf("h1", "GET", "https://localhost:"+port+"/long", nil)
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }}))
	go func() {
		res, err := clients["h1"].Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		done <- err
	}()
	<-sent
	p.stop(syscall.SIGTERM)
	<-done
}
