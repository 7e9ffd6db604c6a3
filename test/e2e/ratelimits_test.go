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
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// Each kind of rate limit through the real process, on HTTP/1.1, HTTP/2 and gRPC. A limit allows two requests per hour, so the
// time that the test takes does not matter.
func TestRateLimitsOfRoutesAndServices(t *testing.T) {
	t.Parallel()
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer instance.Close()
	dir := t.TempDir()
	ca := certtest.New(t, "e2e")
	certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, "localhost")
	cert, key := certtest.Files(t, dir, "server", certPEM, keyPEM)
	log := filepath.Join(dir, "access.log")
	var routes, services strings.Builder
	protocols := []string{"h1", "h2", "grpc"} // each has routes of its own, because limits are shared by all protocols
	for _, p := range protocols {
		fmt.Fprintf(&routes, `  - {name: client-%[1]s, path: {prefix: /%[1]s/client}, service: free, rateLimits: [{name: l, rate: 2/h, by: client}]}
  - {name: header-%[1]s, path: {prefix: /%[1]s/header}, service: free, rateLimits: [{name: l, rate: 2/h, by: header:X-Key}]}
  - {name: cookie-%[1]s, path: {prefix: /%[1]s/cookie}, service: free, rateLimits: [{name: l, rate: 2/h, by: cookie:sid}]}
  - {name: route-%[1]s, path: {prefix: /%[1]s/route}, service: free, rateLimits: [{name: l, rate: 2/h}]}
  - {name: dry-%[1]s, path: {prefix: /%[1]s/dry}, service: free, rateLimits: [{name: l, rate: 2/h, dryRun: true}]}
  - {name: one-%[1]s, path: {prefix: /%[1]s/one}, service: tight-%[1]s}
  - {name: two-%[1]s, path: {prefix: /%[1]s/two}, service: tight-%[1]s}
`, p)
		fmt.Fprintf(&services, "  - {id: tight-%s, instances: [{id: i, address: %q}], rateLimits: [{name: l, rate: 1/h, burst: 2, scope: fleet}]}\n", p, instance.Listener.Addr())
	}
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
proxy: {accessLog: %q}
routes:
%sservices:
  - {id: free, instances: [{id: i, address: %q}]}
%s`, cert, key, log, routes.String(), instance.Listener.Addr(), services.String()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	_, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range protocols {
		tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
		tr.Protocols.SetHTTP1(protocol == "h1")
		tr.Protocols.SetHTTP2(protocol != "h1")
		defer tr.CloseIdleConnections()
		client := &http.Client{Transport: tr}
		// refused reports whether a limit refused the request, and checks the response.
		refused := func(path string, fields ...string) bool {
			t.Helper()
			req, _ := http.NewRequest("POST", "https://localhost:"+port+"/"+protocol+path, strings.NewReader("body"))
			if protocol == "grpc" {
				fields = append(fields, "Content-Type: application/grpc", "TE: trailers")
			}
			for _, f := range fields {
				name, value, _ := strings.Cut(f, ": ")
				req.Header.Set(name, value)
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
			h := res.Header
			switch {
			case res.StatusCode == 200 && h.Get("Grpc-Status") == "":
				if string(body) != "ok" || h.Get("RateLimit") != "" {
					t.Errorf("%s %s: got %s %v", protocol, path, body, h)
				}
				return false
			case protocol == "grpc" && h.Get("Grpc-Status") != "8", protocol != "grpc" && (res.StatusCode != 429 || !strings.Contains(string(body), "smartlb: 429 rate-limited: ")):
				t.Errorf("%s %s: got %d %s %v", protocol, path, res.StatusCode, body, h)
			}
			if wait := h.Get("Retry-After"); wait == "" || h.Get("RateLimit") != `"l";r=0;t=`+wait || !strings.HasPrefix(h.Get("RateLimit-Policy"), `"l";q=`) {
				t.Errorf("%s %s: fields %v", protocol, path, h)
			}
			return true
		}
		for _, tc := range []struct {
			path, field string
			want        string // of each request, x: refused
		}{
			{"/client", "", "..xx"},
			{"/header", "X-Key: a", "..xx"},
			{"/header", "X-Key: b", "..x"},
			{"/header", "", "..x"}, // the client's address
			{"/cookie", "Cookie: a=b; sid=1", "..x"},
			{"/cookie", "Cookie: sid=2", "..x"},
			{"/cookie", "Cookie: a=b", "..x"},
			{"/route", "X-Key: any", "..xx"},
			{"/dry", "", "....."},
			{"/one", "", ".."},
			{"/two", "", "xx"},
			{"/one", "", "x"},
		} {
			got := ""
			for range tc.want {
				if tc.field != "" && refused(tc.path, tc.field) || tc.field == "" && refused(tc.path) {
					got += "x"
				} else {
					got += "."
				}
			}
			if got != tc.want {
				t.Errorf("%s %s %s: got %s, want %s", protocol, tc.path, tc.field, got, tc.want)
			}
		}
		for series, want := range map[string]float64{
			`limit="l",mode="enforced",route="header-%s",service=""`: 4, `limit="l",mode="dry_run",route="header-%s",service=""`: 0,
			`limit="l",mode="dry_run",route="dry-%s",service=""`: 3, `limit="l",mode="enforced",route="dry-%s",service=""`: 0,
			`limit="l",mode="enforced",route="",service="tight-%s"`: 3,
		} {
			series = fmt.Sprintf(series, protocol)
			if n := metric(t, p.Address("admin"), `smartlb_rate_limited_requests_total{`+series+`}`); n != want {
				t.Errorf("%s: %v are counted, want %v", series, n, want)
			}
		}
		if n := metric(t, p.Address("admin"), `smartlb_rate_limit_keys{limit="l",route="header-`+protocol+`",service=""}`); n != 3 {
			t.Errorf("%v keys are in use, want 3", n)
		}
	}
	if n := metric(t, p.Address("admin"), `smartlb_service_errors_total`); n != 0 {
		t.Errorf("the instances are charged for %v errors", n)
	}
	if n := metric(t, p.Address("admin"), `smartlb_route_requests_total{code="4xx",route="two-h2",service="tight-h2"}`); n != 2 {
		t.Errorf("%v refused requests are counted for route and service, want 2", n)
	}
	eventually(t, "the access log has the refused requests", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Count(string(text), `"status":429`) == 42 && strings.Count(string(text), `"why":"rate-limited"`) == 42 && strings.Count(string(text), `"service":"free","instance":"","attempts":0,"why":"rate-limited"`) == 33
	})

	// Another configuration with the same limits does not fill their buckets.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "routes:\n", "routes:\n  - {name: new, path: {exact: /new}, response: {status: 201}}\n", 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
	defer tr.CloseIdleConnections()
	status := func(path string) int {
		res, err := (&http.Client{Transport: tr}).Get("https://localhost:" + port + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	eventually(t, "the changed file is in effect", func() bool { return status("/new") == 201 })
	for _, path := range []string{"/h1/client", "/h2/route", "/grpc/one"} {
		if s := status(path); s != 429 {
			t.Errorf("%s after another configuration: %d, want 429", path, s)
		}
	}

	out, errs, code := smartlb(t, "route", "test", "GET", "https://localhost/h1/one", "--config", file)
	if code != 0 || !strings.Contains(out, "rate limit of service tight-h1: l 1/h burst 2, all nodes together") {
		t.Errorf("route test: code %d: %s%s", code, out, errs)
	}
}

// Two nodes share a limit through Kafka. Without Kafka, each has a half.
func TestNodesShareARateLimit(t *testing.T) {
	t.Parallel()
	b := start(t, true, "run", "--roles", "broker", "--broker-listen", "127.0.0.1:0", "--broker-internal", "", "--data", t.TempDir(), "--admin", "127.0.0.1:0")
	file := mustWrite(t, `listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: all, path: {prefix: /}, response: {status: 200, body: ok}, rateLimits: [{name: total, rate: 1000/h, scope: fleet}]}]
`)
	nodes := make([]*process, 2)
	for i := range nodes {
		nodes[i] = start(t, true, "run", "--roles", "proxy", "--kafka", b.Address("broker"), "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	}
	share := func(i int) float64 { return metric(t, nodes[i].Address("admin"), "smartlb_rate_limit_share") }
	passed := func(i, n int) (ok int) {
		for range n {
			status, body, err := get(t, "http://"+nodes[i].Address("web")+"/")
			if err != nil || status != 200 && status != 429 {
				t.Fatalf("node %d: %d %s %v", i, status, body, err)
			}
			if status == 200 {
				ok++
			}
		}
		return ok
	}
	near := func(a, b float64) bool { return a > b-.02 && a < b+.02 }
	agreed := func() bool {
		return metric(t, nodes[0].Address("admin"), "smartlb_rate_limit_shared") == 1 && metric(t, nodes[1].Address("admin"), "smartlb_rate_limit_shared") == 1
	}
	eventually(t, "the nodes know each other", func() bool { return agreed() && near(share(0), .5) && near(share(1), .5) })
	total := 0
	for range 150 { // each node gets as much as the other
		total += passed(0, 10) + passed(1, 10)
	}
	if total < 800 || total > 1500 { // 1000, and what moves while the shares do; without sharing, 2000
		t.Errorf("%d requests passed, want about 1000", total)
	}
	eventually(t, "the share follows the traffic", func() bool { passed(0, 50); return share(0) > .9 && share(1) < .1 })

	b.stop(syscall.SIGTERM)
	eventually(t, "without Kafka each node has a half", func() bool { return share(0) == .5 && share(1) == .5 && !agreed() })
	passed(0, 20)
	passed(1, 20)
}
