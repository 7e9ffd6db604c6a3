package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// verifier is an authentication service. left gets a value when a question of the route never ends.
func verifier(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		uri := r.Header.Get("X-Forwarded-Uri")
		switch {
		case len(body) > 0 || r.Method != "GET" || r.URL.Path != "/verify" || r.Header.Get("X-Forwarded-Method") != "POST" || r.Header.Get("X-Forwarded-Proto") != "https":
			w.WriteHeader(418)
		case strings.HasPrefix(uri, "/slow"):
			<-r.Context().Done()
		case strings.HasPrefix(uri, "/never"):
			<-r.Context().Done()
			left <- struct{}{}
		case strings.HasPrefix(uri, "/huge"):
			w.WriteHeader(403)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		case r.Header.Get("Cookie") == "session=ann":
			w.Header().Set("Remote-User", "ann")
			w.Header()["Set-Cookie"] = []string{"session=new; HttpOnly", "try=; Max-Age=0"}
			w.Header().Set("X-Level", "2")
		case r.Header.Get("Accept") == "text/html":
			w.Header().Set("Location", "https://login.example/?rd="+uri)
			w.Header().Set("Set-Cookie", "try=1; HttpOnly")
			w.WriteHeader(302)
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "log in")
		}
	}
}

const forwardAuthRoutes = `routes:
  - {name: shop, path: {prefix: /shop}, service: a, forwardAuth: {url: SERVICE/verify, authRequestHeaders: [Accept], authResponseHeaders: [Remote-User], authClientHeaders: [Set-Cookie, X-Level], timeout: 1m}}
  - {name: secure, path: {prefix: /secure}, service: a, forwardAuth: {url: SECURE/verify, ca: CAFILE, timeout: 1m}}
  - {name: secure-system, path: {prefix: /secure/system}, service: a, forwardAuth: {url: SECURE/verify, timeout: 1m}}
  - {name: never, path: {prefix: /never}, service: a, forwardAuth: {url: SERVICE/verify, timeout: 1m}}
  - {name: huge, path: {prefix: /huge}, service: a, forwardAuth: {url: SERVICE/verify, timeout: 1m}}
  - {name: slow, path: {prefix: /slow}, service: a, forwardAuth: {url: SERVICE/verify, timeout: 100ms}}
  - {name: slow-open, path: {prefix: /slow/open}, service: a, forwardAuth: {url: SERVICE/verify, timeout: 100ms, failOpen: true}}
  - {name: down, path: {prefix: /down}, service: a, forwardAuth: {url: DOWN/verify}}
  - {name: down-open, path: {prefix: /down/open}, service: a, forwardAuth: {url: DOWN/verify, authResponseHeaders: [Remote-User], failOpen: true}}
  - {name: self, path: {prefix: /self}, response: {status: 200, body: secret}, forwardAuth: {url: SERVICE/verify, timeout: 1m}}
`

// Forward auth through the real process, on HTTP/1.1, HTTP/2 and gRPC: a service that admits, refuses, redirects, is down, slow,
// huge, and returns.
func TestForwardAuth(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Set-Cookie", "cart=1")
		w.Header().Set("X-Level", "of the instance")
		_, _ = fmt.Fprintf(w, "%s;%d", strings.Join(r.Header.Values("Remote-User"), "+"), n)
	}))
	defer instance.Close()
	left := make(chan struct{}, 10)
	service := httptest.NewServer(verifier(left))
	defer func() { service.CloseClientConnections(); service.Close() }()
	down := porttest.Address(t)

	ca := certtest.New(t, "e2e")
	secure := httptest.NewUnstartedServer(verifier(left))
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer func() { secure.CloseClientConnections(); secure.Close() }()
	certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, "localhost")
	cert, key := certtest.Files(t, t.TempDir(), "server", certPEM, keyPEM)
	file := mustWrite(t, strings.NewReplacer("SERVICE", service.URL, "DOWN", "http://"+down, "SECURE", secure.URL, "CAFILE", mustWrite(t, string(ca.PEM()))).Replace(forwardAuthRoutes)+fmt.Sprintf(`proxy: {timeouts: {halfClosed: 200ms}}
listeners:
  - {name: web, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
services:
  - {id: a, instances: [{id: i, address: %q}]}
`, cert, key, instance.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--drain", "1s", "--data", t.TempDir())
	_, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	url, clients := "https://localhost:"+port, clientsOf(t, ca)
	// ask returns the status, for gRPC that of gRPC, and the body.
	ask := func(protocol, path string, size int, headers ...string) (status, body string, head http.Header) {
		t.Helper()
		req := requestOf(protocol, "POST", url+path, strings.NewReader(strings.Repeat("x", size)))
		req.Header.Set("Remote-User", "root")
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := clients[protocol].Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", protocol, path, err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		if s := res.Header.Get("Grpc-Status"); s != "" {
			return "gRPC " + s, string(text), res.Header
		}
		return fmt.Sprint(res.StatusCode), string(text), res.Header
	}
	for _, protocol := range protocols() {
		grpc := protocol == "grpc"
		expect := func(path, want, wantGRPC, wantBody string, headers ...string) http.Header {
			t.Helper()
			status, body, head := ask(protocol, path, 4, headers...)
			if grpc {
				want = wantGRPC
			}
			if status != want || (!grpc || want == "200") && !strings.Contains(body, wantBody) {
				t.Errorf("%s %s %v: got %s %.200s", protocol, path, headers, status, body)
			}
			return head
		}
		h := expect("/shop/a", "200", "200", "ann;4", "Cookie", "session=ann")
		if got := fmt.Sprint(h["Set-Cookie"], h["X-Level"]); got != "[cart=1 session=new; HttpOnly try=; Max-Age=0] [2]" {
			t.Errorf("%s: the client got %s", protocol, got)
		}
		expect("/secure", "200", "200", ";4", "Cookie", "session=ann")
		expect("/secure/system", "503", "gRPC 14", "503 auth-unavailable: ", "Cookie", "session=ann")
		if h := expect("/shop/a", "401", "gRPC 16", "log in"); !grpc && h.Get("WWW-Authenticate") != `Basic realm="shop"` {
			t.Errorf("%s: %v", protocol, h)
		}
		if h := expect("/shop/a?b=c", "302", "gRPC 16", "", "Accept", "text/html"); !grpc && (h.Get("Location") != "https://login.example/?rd=/shop/a?b=c" || h.Get("Set-Cookie") != "try=1; HttpOnly") {
			t.Errorf("%s: %v", protocol, h)
		}
		expect("/huge", "503", "gRPC 14", "503 auth-unavailable: ")
		expect("/slow", "503", "gRPC 14", "did not answer in time")
		expect("/slow/open", "200", "200", "root;4") // the route takes no header of the answer, so this header is the client's
		expect("/down", "503", "gRPC 14", "503 auth-unavailable: ")
		expect("/down/open", "200", "200", ";4")
		expect("/self", "401", "gRPC 16", "log in")
	}
	const large = 2 << 20 // does not fit into a buffer of the proxy
	for _, protocol := range protocols() {
		if status, body, _ := ask(protocol, "/shop", large, "Cookie", "session=ann"); status != "200" || body != fmt.Sprintf("ann;%d", large) {
			t.Errorf("%s: a large body: got %s %s", protocol, status, body)
		}
	}
	if n := asked.Load(); n != 15 {
		t.Errorf("the instance got %d requests", n)
	}
	// The time of a client of gRPC ends within the wait.
	if status, _, _ := ask("grpc", "/never", 4, "Grpc-Timeout", "50m"); status != "gRPC 4" {
		t.Errorf("got %s", status)
	}
	<-left
	// A client that leaves ends the question.
	for _, protocol := range []string{"h1", "h2"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if res, err := clients[protocol].Do(requestOf(protocol, "POST", url+"/never", nil).WithContext(ctx)); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s: got %d", protocol, res.StatusCode)
		}
		cancel()
		<-left
	}
	admin := p.Address("admin")
	const asks = "smartlb_forward_auth_requests_total"
	for series, want := range map[string]float64{
		`{result="admitted",route="shop"}`: 6, `{result="refused",route="shop"}`: 6, `{result="failed",route="huge"}`: 3, `{result="timeout",route="slow"}`: 3,
		`{result="timeout",route="slow-open"}`: 3, `{result="failed",route="down"}`: 3, `{result="failed",route="down-open"}`: 3, `{result="refused",route="self"}`: 3,
	} {
		if n := metric(t, admin, asks+series); n != want {
			t.Errorf("%s is %v, want %v", series, n, want)
		}
	}
	eventually(t, "the clients that left are counted", func() bool {
		return metric(t, admin, asks+`{result="left",route="never"}`) == 3 && metric(t, admin, "smartlb_forward_auth_waiting") == 0
	})
	if n := metric(t, admin, "smartlb_service_errors_total"); n != 0 {
		t.Errorf("the instances are charged for %v errors", n)
	}

	// The service returns, and counters outlive a reload.
	back := &http.Server{Handler: verifier(left), ReadHeaderTimeout: time.Minute}
	ln, err := net.Listen("tcp", down)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = back.Serve(ln) }()
	defer back.Close()
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service admits again", func() bool {
		status, _, _ := ask("h2", "/down", 4, "Cookie", "session=ann")
		return status == "200"
	})
	if n := metric(t, admin, asks+`{result="failed",route="down"}`); n < 3 {
		t.Errorf("%v failures are counted after a reload", n)
	}

	// The proxy stops while a request waits.
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := clients["h1"].Do(requestOf("h1", "POST", url+"/never", nil)); err == nil {
			_ = res.Body.Close()
		}
	}()
	eventually(t, "the request waits", func() bool { return metric(t, admin, "smartlb_forward_auth_waiting") == 1 })
	p.stop(syscall.SIGTERM)
	<-done
}
