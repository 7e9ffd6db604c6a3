package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// Copies of requests through the real process, on HTTP/1.1, HTTP/2 and gRPC: the other service gets what the service of the
// route gets, the client sees only the response of the latter, and a service whose instance is down changes nothing.
func TestRequestsAreMirrored(t *testing.T) {
	t.Parallel()
	serve := func(status int) (*httptest.Server, chan string) {
		got := make(chan string, 100)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("X-Request-Id"), body)
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		return s, got
	}
	original, got := serve(200)
	other, copied := serve(500)
	take := func(from chan string) string {
		t.Helper()
		select {
		case s := <-from:
			return s
		case <-time.After(2 * time.Minute):
			t.Fatal("waited in vain for a request")
			return ""
		}
	}
	ca := certtest.New(t, "e2e")
	certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, "localhost")
	cert, key := certtest.Files(t, t.TempDir(), "server", certPEM, keyPEM)
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
routes:
  - {name: all, service: a, mirror: {service: b}}
  - {name: down, path: {prefix: /down}, service: a, mirror: {service: c}}
services:
  - {id: a, instances: [{id: i, address: %q}]}
  - {id: b, instances: [{id: i, address: %q}]}
  - {id: c, instances: [{id: i, address: "127.0.0.1:1"}]}
`, cert, key, original.Listener.Addr(), other.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	_, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	for protocol, client := range clientsOf(t, ca) {
		for _, path := range []string{"/a?b=c", "/down"} {
			res, err := client.Do(requestOf(protocol, "POST", "https://localhost:"+port+path, strings.NewReader("hello")))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("%s: got %d", protocol, res.StatusCode)
			}
			if a := take(got); !strings.HasSuffix(a, " hello") {
				t.Errorf("%s: the instance got %q", protocol, a)
			} else if path != "/down" {
				if b := take(copied); a != b {
					t.Errorf("%s: the instance got %q, the copy is %q", protocol, a, b)
				}
			}
		}
	}
	for result, want := range map[string]string{"answered": "all", "failed": "down"} {
		series := fmt.Sprintf(`smartlb_route_mirrored_requests_total{result=%q,route=%q}`, result, want)
		eventually(t, series, func() bool { return metric(t, p.Address("admin"), series) == 3 })
	}
	if n := metric(t, p.Address("admin"), `smartlb_route_requests_total{code="2xx",route="all",service="a"}`); n != 3 {
		t.Errorf("the route counts %v requests", n)
	}
}
