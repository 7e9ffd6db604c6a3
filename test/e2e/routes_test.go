package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// What a route matches and does, through the real process, on HTTP/1.1, HTTP/2 and gRPC, with instances of both protocols.
func TestRoutesMatchEditRedirectAndAnswer(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "secret")
		w.Header().Set("X-Got", r.Proto+" "+r.Host+" "+r.RequestURI+" "+r.Header.Get("X-Client")+" "+r.Header.Get("X-Debug")+" "+r.Header.Get("X-Name"))
	})
	one := httptest.NewServer(handler)
	defer one.Close()
	two := serveH2C(t, false, handler)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "closed.html"), []byte("<h1>Closed</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := certtest.New(t, "e2e")
	certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, "localhost")
	cert, key := certtest.Files(t, dir, "server", certPEM, keyPEM)
	log := filepath.Join(dir, "access.log")
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
proxy: {pages: %q, accessLog: %q}
routes:
  - name: one
    path: {prefix: /one}
    service: one
    requestHeaders: {set: {X-Client: "${client}", X-Name: "${sni}/${route}/${service}/${instance}"}, remove: [X-Debug]}
    responseHeaders: {set: {X-From: "${instance}"}, remove: [Server]}
    rewrite: {prefix: /v2, host: inner}
  - name: two
    path: {regex: '/two/(\d+)/(.*)'}
    service: two
    requestHeaders: {set: {X-Client: "${client}", X-Name: "${sni}/${route}/${service}/${instance}"}, remove: [X-Debug]}
    responseHeaders: {set: {X-From: "${instance}"}, remove: [Server]}
    rewrite: {regex: '/two/(\d+)/(.*)', replace: '/$2/$1'}
  - {name: old, path: {prefix: /old}, redirect: {host: www.example.com, prefix: /new, code: 308}}
  - {name: closed, path: {exact: /closed}, response: {status: 503, headers: {Content-Type: text/html, Retry-After: "60"}, file: closed.html}}
  - {name: by-query, path: {exact: /match}, queryParams: [{name: a, exact: "x y"}], response: {status: 211}}
  - {name: by-cookie, path: {exact: /match}, cookies: [{name: c, regex: "v.*"}], response: {status: 212}}
  - {name: by-sni, path: {exact: /match}, serverNames: [localhost], response: {status: 213}}
  - {name: no-client, path: {exact: /match}, clients: [192.0.2.0/24], response: {status: 214}}
  - {name: by-client, path: {exact: /other}, clients: [127.0.0.0/8, "::1/128"], response: {status: 215}}
  - {name: other, path: {exact: /other}, response: {status: 216}}
services:
  - {id: one, instances: [{id: one-1, address: %q}]}
  - {id: two, protocol: h2c, instances: [{id: two-1, address: %q}]}
`, cert, key, dir, log, one.Listener.Addr(), two.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	host, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	base := "https://localhost:" + port

	clients := map[string]*http.Client{}
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetHTTP2(http2)
		defer tr.CloseIdleConnections()
		clients[name] = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	ask := func(client *http.Client, path string, headers ...string) (*http.Response, string) {
		t.Helper()
		req, _ := http.NewRequest("POST", base+path, nil)
		for _, h := range append(headers, "X-Client: forged", "X-Debug: 1") {
			if name, value, ok := strings.Cut(h, ": "); ok {
				req.Header.Set(name, value)
			}
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	for protocol, client := range clients {
		for path, want := range map[string]string{
			"/one/a%2Fb?q=1": "HTTP/1.1 inner /v2/a%2Fb?q=1 " + host + "  localhost/one/one/one-1",
			"/two/7/x?q=1":   "HTTP/2.0 localhost:" + port + " /x/7?q=1 " + host + "  localhost/two/two/two-1",
		} {
			res, _ := ask(client, path)
			if h := res.Header; res.Proto != protocol || h.Get("X-Got") != want || h.Get("Server") != "" || h.Get("X-From") != path[1:4]+"-1" {
				t.Errorf("%s %s: got %s %v, want %s", protocol, path, res.Proto, h, want)
			}
		}
		if res, body := ask(client, "/old/a?b"); res.StatusCode != 308 || res.Header.Get("Location") != "https://www.example.com/new/a?b" || body != "" {
			t.Errorf("%s: got %d %v", protocol, res.StatusCode, res.Header)
		}
		if res, body := ask(client, "/closed"); res.StatusCode != 503 || body != "<h1>Closed</h1>" || res.Header.Get("Content-Type") != "text/html" || res.Header.Get("Retry-After") != "60" {
			t.Errorf("%s: got %d %v %s", protocol, res.StatusCode, res.Header, body)
		}
		for request, want := range map[string]int{"/match?a=x%20y Cookie: c=v": 211, "/match?a=z Cookie: b=1; c=v1": 212, "/match": 213, "/other": 215} {
			path, cookie, _ := strings.Cut(request, " ")
			if res, _ := ask(client, path, cookie); res.StatusCode != want {
				t.Errorf("%s %s: got %d, want %d", protocol, request, res.StatusCode, want)
			}
		}
	}
	if out, errs, code := smartlb(t, "route", "test", "POST", "https://localhost/match?a=z", "-H", "Cookie: b=1; c=v1", "--config", file); code != 0 || !strings.Contains(out, "route by-cookie, fixed response 212") {
		t.Errorf("route test: code %d: %s%s", code, out, errs)
	}
	for path, want := range map[string]string{"/old/shop.Catalog/List": "2", "/closed": "14"} {
		if res, _ := ask(clients["HTTP/2.0"], path, "Content-Type: application/grpc", "TE: trailers"); res.StatusCode != 200 || res.Header.Get("Grpc-Status") != want {
			t.Errorf("gRPC %s: got %d %v", path, res.StatusCode, res.Header)
		}
	}
	if res, _ := ask(clients["HTTP/2.0"], "/two/7/shop.Catalog", "Content-Type: application/grpc"); !strings.Contains(res.Header.Get("X-Got"), "/shop.Catalog/7 ") {
		t.Errorf("gRPC: got %v", res.Header)
	}
	for series, want := range map[string]float64{`code="3xx",route="old"`: 3, `code="5xx",route="closed"`: 3, `code="2xx",route="by-client"`: 2} {
		if n := metric(t, p.Address("admin"), `smartlb_route_requests_total{`+series+`,service=""}`); n != want {
			t.Errorf("%s: %v requests are counted, want %v", series, n, want)
		}
	}
	type line struct{ Route, Service, Instance, Why, Target string }
	var lines []line
	eventually(t, "19 lines are in the access log", func() bool {
		lines = nil
		text, _ := os.ReadFile(log)
		for l := range strings.Lines(string(text)) {
			var one line
			if json.Unmarshal([]byte(l), &one) == nil {
				lines = append(lines, one)
			}
		}
		return len(lines) == 19
	})
	for _, l := range lines {
		answered := l.Route != "one" && l.Route != "two"
		if answered != (l.Instance == "" && l.Service == "" && (l.Why == "redirect" || l.Why == "fixed-response")) || strings.HasPrefix(l.Target, "/v2") {
			t.Errorf("access log: %+v", l)
		}
	}
}
