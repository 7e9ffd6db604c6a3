package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// policyListeners are the listeners of policies by name, with their keys.
var policyListeners = map[string]string{
	"web":    "",
	"strict": ", encodedCharacters: reject, underscoreHeaders: reject, requestId: overwrite",
	"lax":    ", underscoreHeaders: keep",
	"slow":   ", timeouts: {body: 300ms}", // only for requests without a body, and for those that have to end
}

// morePolicies are policies of connections, listeners and instances.
//
// Some policies do the same whatever clients speak, so they are not here: health checks and panic (TestHealthChecksOfAnotherPort,
// TestEjectionFollowsItsKeys), the adaptive limit (TestAdaptiveConcurrency), zones (TestBackupsAndZones) and limits of a fleet
// (TestNodesShareARateLimit). Back-off, Retry-After and the budget of retries need instances of their own: TestRetriesFollowTheirKeys
// has them on each protocol, and TestRateLimitsOfRoutesAndServices the keys of limits. Without a meaning for gRPC: OPTIONS,
// because calls are POST; compression, because messages are compressed by clients and instances; grpcFailures for HTTP; the lowest
// rate of a body, because streams may be silent; instances of HTTP/1.1 with their connections and their way to break HTTP, because calls need
// HTTP/2.
func morePolicies(t *testing.T) []policy {
	odd := upstreamtest.NewRaw(t, upstreamtest.Always("HTTP/1.1 200 OK\nContent-Length: 8\n\ntolerant"))
	const abc = "[{id: a, address: A}, {id: b, address: B}, {id: c, address: C}]"
	all := []policy{
		// What a listener accepts.
		{name: "encoded", routes: []string{"path: {exact: /a/b}, " + toShop, "path: {exact: /a%2Fb}, " + toShop, toShop}, rows: []row{
			{path: "/a%2Fb", saw: []string{"X-Route: encoded-1", "Path: /a%2Fb"}},
			{path: "/a%5Cb/%41", saw: []string{"X-Route: encoded-2", "Path: /a%5Cb/%41"}},
		}},
		{name: "decoded", on: "strict", routes: []string{toShop}, rows: []row{
			{path: "/test.Policies/%41", saw: []string{"Path: /test.Policies/%41"}},
			{path: "/a%2Fb", http: 400, grpc: "Internal: 400 "},
			{path: "/a%5Cb", http: 400, grpc: "Internal: 400 "},
		}},
		{name: "underscore", routes: []string{toShop}, rows: []row{{headers: []string{"X_Y: 1"}, saw: []string{"X_Y:"}}}},
		{name: "underscores", on: "lax", routes: []string{toShop}, rows: []row{{headers: []string{"X_Y: 1"}, saw: []string{"X_Y: 1"}}}},
		{name: "nounderscore", on: "strict", routes: []string{toShop}, rows: []row{{headers: []string{"X_Y: 1"}, http: 400, grpc: "Internal: 400 "}}},
		{name: "options", routes: []string{"methods: [OPTIONS], path: {exact: /}, " + toShop}, rows: []row{
			{on: "HTTP", method: "OPTIONS", path: "*", saw: []string{"X-Route: options-0", "Method: OPTIONS", "Path: *"}},
		}},

		// Variables of the connection and the request.
		{name: "variables", routes: []string{`service: shop, requestHeaders: {set: {X-Sni: "${sni}", X-Subject: "${tlsSubject}", X-Id: "${requestId}"}}`}, rows: []row{
			{on: "TLS", saw: []string{"X-Sni: variables.example.test", "X-Subject: CN=till-7"}},
			{headers: []string{"X-Request-Id: mine", "X-Subject: forged"}, saw: []string{"X-Request-Id: mine", "X-Id: mine"}},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			if !strings.HasSuffix(protocol, "TLS") {
				row{headers: []string{"X-Subject: forged"}, saw: []string{"X-Sni:", "X-Subject:", "X-Id: *"}}.check(t, n, "variables", protocol)
			}
		}},
		{name: "newid", on: "strict", routes: []string{`service: shop, requestHeaders: {set: {X-Id: "${requestId}"}}`}, more: func(t *testing.T, n *policyNode, protocol string) {
			saw := n.ask(t.Context(), t, protocol, request{policy: "newid", headers: []string{"X-Request-Id: mine"}}).saw
			if id := saw.Get("X-Request-Id"); id == "mine" || id == "" || id != saw.Get("X-Id") {
				t.Errorf("the instance got the ids %q and %q", id, saw.Get("X-Id"))
			}
		}},

		// Which instance.
		{name: "hashes", routes: []string{
			"path: {prefix: /cookie}, service: hashes, hashOn: cookie:id", "path: {prefix: /query}, service: hashes, hashOn: query:id",
			"path: {prefix: /client}, service: hashes, hashOn: client", "path: {prefix: /path}, service: hashes, hashOn: path",
		}, service: "policy: maglev, instances: " + abc, more: hashes},
		{name: "bounded", routes: []string{"service: bounded, hashOn: header:X-Key"}, service: "policy: ring_hash, hashBalanceFactor: 101, instances: " + abc, more: func(t *testing.T, n *policyNode, protocol string) {
			key := "X-Key: " + protocol
			home := n.ask(t.Context(), t, protocol, request{policy: "bounded", headers: []string{key}}).saw.Get("Instance")
			release := n.hold(t, protocol, "bounded", request{policy: "bounded", headers: []string{key, "X-Sleep: all"}})
			if next := n.ask(t.Context(), t, protocol, request{policy: "bounded", headers: []string{key}}).saw.Get("Instance"); next == home || next == "" {
				t.Errorf("instance %q with its share gets a further request: %q", home, next)
			}
			release()
			row{headers: []string{key}, saw: []string{"Instance: " + home}}.check(t, n, "bounded", protocol)
		}},

		// Limits.
		{name: "priority", routes: []string{"service: priority, priority: header:X-Priority"}, service: "concurrency: {perInstance: 1, queue: 1, queueTimeout: 5m}, instances: [{id: a, address: A}]", more: priorities},
		{name: "connections", routes: []string{"service: http1"}, service: `instances: [{id: a, address: A}]}
  - {id: http1, connections: {limit: 1}, instances: [{id: a, address: A}]`, more: func(t *testing.T, n *policyNode, protocol string) {
			release := n.hold(t, "HTTP/1.1", "http1", request{policy: "connections", headers: []string{"X-Sleep: all"}})
			row{http: 503, grpc: "Unavailable: 503 instance-full", text: "503 instance-full"}.check(t, n, "connections", protocol)
			release()
		}},
		{name: "slowbody", on: "slow", routes: []string{"service: slowbody"}, service: "instances: [{id: a, address: A}]", more: slowBody},
		{name: "slowreader", on: "slow", routes: []string{"service: slowreader"}, service: "instances: [{id: a, address: A}]", more: slowReader},

		// Instances.
		{name: "mirror", routes: []string{"service: shop, mirror: {service: mirror}"}, service: "instances: [{id: c, address: C}]", more: func(t *testing.T, n *policyNode, protocol string) {
			copies := func() float64 {
				return metric(t, n.Address("admin"), `smartlb_route_mirrored_requests_total{result="answered",route="mirror-0"}`)
			}
			before := copies()
			eventually(t, "a copy is answered", func() bool { // only a body that has come completely is copied
				row{saw: []string{"Instance: *"}}.check(t, n, "mirror", protocol)
				return copies() > before
			})
		}},
		{name: "tolerant", routes: []string{"path: {prefix: /strict}, service: strict", "service: odd"}, service: fmt.Sprintf(`instances: [{id: a, address: A}]}
  - {id: odd, instances: [{id: a, address: %[1]q}]}
  - {id: strict, strictness: strict, instances: [{id: a, address: %[1]q}]`, odd.Addr), rows: []row{
			{on: "HTTP", http: 200, text: "tolerant"},
			{path: "/strict/Call", http: 502, grpc: "Unavailable: 502 upstream-bad-response", text: "502 upstream-bad-response"},
		}},
		{name: "intercept", routes: []string{"service: intercept"}, service: strings.Replace(pair, "policy:", `errorPages: [{statuses: [503], intercept: true, headers: {Content-Type: text/html}, body: "<h1>Back soon</h1>"}], policy:`, 1), rows: []row{
			{headers: []string{"X-Fail: all"}, http: 503, grpc: "Unavailable: the instance ", text: "<h1>Back soon</h1>"},
			{saw: []string{"Instance: *"}},
		}},
		{name: "nofailure", routes: []string{"service: nofailure"}, service: "grpcFailures: [], ejection: {consecutiveFailures: 1, time: 24h, maxTime: 24h}, instances: " + abc, rows: []row{
			{on: "gRPC", headers: []string{"X-Fail: all"}, grpc: "Unavailable: the instance "},
		}, more: func(t *testing.T, n *policyNode, _ string) {
			if errors := metric(t, n.Address("admin"), `smartlb_service_errors_total{service="nofailure"}`); errors != 0 {
				t.Errorf("%v statuses that do not count were charged", errors)
			}
		}},
	}
	const ejecting = "sessionPersistence: {sessionName: SHOP}, ejection: {consecutiveFailures: 1, time: 24h, maxTime: 24h}, instances: " + abc
	ejected := policy{name: "eject", more: eject, service: ejecting}
	for i := range clientProtocols {
		ejected.routes = append(ejected.routes, fmt.Sprintf("path: {prefix: /%[1]d}, service: eject-%[1]d", i))
		ejected.service += fmt.Sprintf("}\n  - {id: eject-%d, protocol: h2c, %s", i, ejecting)
	}
	return append(all, ejected)
}

// hold sends a request that does not end, and returns what ends it when it is in flight. It is the only request of its service.
func (n *policyNode) hold(t *testing.T, protocol, service string, q request) (release func()) {
	t.Helper()
	flying := func() float64 {
		return metric(t, n.Address("admin"), `smartlb_service_in_flight{service="`+service+`"}`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	go func() {
		defer close(held)
		n.ask(ctx, t, protocol, q)
	}()
	eventually(t, "a request is in flight", func() bool { return flying() == 1 })
	return func() {
		t.Helper()
		cancel()
		<-held
		eventually(t, "none is in flight", func() bool { return flying() == 0 })
	}
}

// hashes sees that requests with the same key go to the same instance, and that keys do not.
func hashes(t *testing.T, n *policyNode, protocol string) {
	for kind, of := range map[string]func(i int) request{
		"cookie": func(i int) request {
			return request{path: "/cookie/Call", headers: []string{fmt.Sprintf("Cookie: a=b; id=%d", i)}}
		},
		"query": func(i int) request { return request{path: fmt.Sprintf("/query/Call?a=b&id=%d", i)} },
		"client": func(i int) request {
			return request{path: "/client/Call", headers: []string{fmt.Sprintf("X-Forwarded-For: 10.0.0.%d", i)}}
		},
		"path": func(i int) request { return request{path: fmt.Sprintf("/path/Call%d", i)} },
	} {
		all := map[string]bool{}
		for i := range 12 {
			q := of(i)
			q.policy = "hashes"
			one, two := n.ask(t.Context(), t, protocol, q).saw.Get("Instance"), n.ask(t.Context(), t, protocol, q).saw.Get("Instance")
			if all[one] = true; one != two || one == "" {
				t.Errorf("%s %d: %q, then %q", kind, i, one, two)
			}
		}
		if len(all) < 2 {
			t.Errorf("%s: 12 keys went to %v", kind, all)
		}
	}
}

// priorities sees that a request of normal priority takes the place of one of low priority in the queue.
func priorities(t *testing.T, n *policyNode, protocol string) {
	release := n.hold(t, protocol, "priority", request{policy: "priority", headers: []string{"X-Sleep: all"}})
	waiting := func() float64 {
		return metric(t, n.Address("admin"), `smartlb_service_queue_waiting{service="priority"}`)
	}
	send := func(r row) <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.check(t, n, "priority", protocol)
		}()
		return done
	}
	low := send(row{headers: []string{"X-Priority: low"}, http: 503, grpc: "Unavailable: 503 queue-full", text: "503 queue-full"})
	eventually(t, "a request of low priority waits", func() bool { return waiting() == 1 })
	normal := send(row{saw: []string{"Instance: a"}})
	<-low
	eventually(t, "the request of normal priority waits", func() bool { return waiting() == 1 })
	release()
	<-normal
}

// eject sees that an instance that fails loses its session at once.
func eject(t *testing.T, n *policyNode, protocol string) {
	path := ""
	for i, p := range clientProtocols { // each has a service of its own
		if p == protocol {
			path = fmt.Sprintf("/%d/Call", i)
		}
	}
	first := n.ask(t.Context(), t, protocol, request{policy: "eject", path: path})
	cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
	headers := []string{"Cookie: " + cookie, "X-Fail: " + first.saw.Get("Instance")}
	row{path: path, headers: headers, http: 503, grpc: "Unavailable: the instance "}.check(t, n, "eject", protocol)
	eventually(t, "the client moves", func() bool {
		r := n.ask(t.Context(), t, protocol, request{policy: "eject", path: path, headers: headers})
		return r.saw != nil && r.header.Get("Set-Cookie") != ""
	})
}

// dial connects to the listener of a policy.
func (n *policyNode) dial(t *testing.T, protocol, policy string) net.Conn {
	t.Helper()
	host, secure := policy+".example.test", strings.HasSuffix(protocol, "TLS")
	nc, err := net.Dial("tcp", n.address(host, secure))
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(maxWait))
	if secure {
		nc = tls.Client(nc, &tls.Config{RootCAs: n.ca.Pool(), ServerName: host})
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// drip is a body that comes byte by byte until it is closed.
type drip struct{ closed chan struct{} }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.closed:
		return 0, net.ErrClosed
	case <-time.After(20 * time.Millisecond):
		return copy(p, "x"), nil
	}
}

// slowBody sees that a client that sends too few bytes each second gets 408, however regularly they come.
func slowBody(t *testing.T, n *policyNode, protocol string) {
	body := drip{make(chan struct{})}
	switch {
	case strings.HasPrefix(protocol, "gRPC"):
		return
	case strings.HasPrefix(protocol, "HTTP/1.1"): // Go's client may not read a response that comes before the end of its request
		nc := n.dial(t, protocol, "slowbody")
		_, _ = io.WriteString(nc, "POST / HTTP/1.1\r\nHost: slowbody.example.test\r\nContent-Length: 100000\r\n\r\n")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.CopyBuffer(nc, body, make([]byte, 1))
		}()
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || res.StatusCode != 408 {
			t.Errorf("got %v, %v", res, err)
		}
		close(body.closed)
		<-sent
	default:
		url := "http"
		if strings.HasSuffix(protocol, "TLS") {
			url = "https"
		}
		res, err := n.clients[protocol].Post(url+"://slowbody.example.test/", "text/plain", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 408 {
			t.Errorf("got %d", res.StatusCode)
		}
		close(body.closed)
	}
}

// slowReader sees that a client that takes too few bytes of a response each second loses it, and that the instance is not
// charged. For gRPC it sends what a client of gRPC sends.
func slowReader(t *testing.T, n *policyNode, protocol string) {
	slow := func() int {
		text, err := os.ReadFile(n.log)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range bytes.Lines(text) {
			if bytes.Contains(line, []byte(`"route":"slowreader-0"`)) && bytes.Contains(line, []byte(`"failure":"client-slow"`)) {
				count++
			}
		}
		return count
	}
	before := slow()
	scheme, client := "http", n.clients[strings.Replace(protocol, "gRPC", "HTTP/2", 1)]
	if strings.HasSuffix(protocol, "TLS") {
		scheme = "https"
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", scheme+"://slowreader.example.test/test.Policies/Call", nil)
	if strings.HasPrefix(protocol, "gRPC") {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("TE", "trailers")
	}
	req.Header.Set("X-Flow", "all")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	ended, read := make(chan struct{}), make(chan error)
	go func() { // slowly, until the node has ended the response
		buf := make([]byte, 4096)
		for {
			select {
			case <-ended:
				_, err := io.Copy(io.Discard, res.Body)
				read <- err
				return
			case <-time.After(5 * time.Millisecond):
				if _, err := res.Body.Read(buf); err != nil {
					read <- err
					return
				}
			}
		}
	}()
	eventually(t, "the slow client is in the access log", func() bool { return slow() == before+1 })
	close(ended)
	if err := <-read; err == nil || res.StatusCode != 200 {
		t.Errorf("got %d, and a response with an end: %v", res.StatusCode, err)
	}
	if errors := metric(t, n.Address("admin"), `smartlb_service_errors_total{service="slowreader"}`); errors != 0 {
		t.Errorf("the instance is charged for %v errors", errors)
	}
}
