package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Parts of routes and services that many policies need.
const (
	toShop = `service: shop, requestHeaders: {set: {X-Route: "${route}"}}`
	// Nearly all requests go to a first, and all retries to b.
	pair = `policy: round_robin, slowStart: 0s, ejection: {consecutiveFailures: 0}, instances: [{id: a, weight: 1000, address: A}, {id: b, weight: 0.01, address: B}]`
)

// policies are all that are tested. A policy without a line for gRPC does the same for its clients.
func policies(token string) []policy {
	hash, _ := bcrypt.GenerateFromPassword([]byte("secret"), 10)
	now := time.Now().UTC()
	clock := func(d time.Duration) string { return now.Add(d).Format("15:04") }
	login := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:secret"))
	return []policy{
		// Conditions.
		{name: "path", routes: []string{
			"path: {exact: /test.Policies/Exact}, " + toShop, `path: {regex: '/test\.Policies/R\d+'}, ` + toShop, "path: {prefix: /test.Policies}, " + toShop,
		}, rows: []row{
			{path: "/test.Policies/Exact", saw: []string{"X-Route: path-0"}},
			{path: "/test.Policies/R17", saw: []string{"X-Route: path-1"}},
			{path: "/test.Policies/Rx", saw: []string{"X-Route: path-2"}},
			{path: "/test.PoliciesX/R1", http: 404, grpc: "Unimplemented: 404 no-route", text: "404 no-route"},
		}},
		{name: "method", routes: []string{"methods: [GET, PUT], " + toShop, "methods: [POST], " + toShop}, rows: []row{
			{saw: []string{"X-Route: method-1", "Method: POST"}},
			{on: "HTTP", method: "PUT", saw: []string{"X-Route: method-0", "Method: PUT"}},
			{on: "HTTP", method: "DELETE", http: 404},
		}},
		{name: "header", routes: []string{`headers: [{name: X-Canary, exact: "yes"}], ` + toShop, `headers: [{name: X-Version, regex: "2|3"}], ` + toShop, toShop}, rows: []row{
			{headers: []string{"X-Canary: yes"}, saw: []string{"X-Route: header-0"}},
			{headers: []string{"X-Version: 3"}, saw: []string{"X-Route: header-1"}},
			{headers: []string{"X-Version: 4"}, saw: []string{"X-Route: header-2"}},
		}},
		{name: "cookie", routes: []string{`cookies: [{name: tester, exact: "1"}], ` + toShop, toShop}, rows: []row{
			{headers: []string{"Cookie: a=b; tester=1"}, saw: []string{"X-Route: cookie-0"}},
			{headers: []string{"Cookie: tester=2"}, saw: []string{"X-Route: cookie-1"}},
		}},
		{name: "query", routes: []string{`queryParams: [{name: version, exact: "2"}], ` + toShop, toShop}, rows: []row{
			{path: "/test.Policies/Call?a=b&version=2", saw: []string{"X-Route: query-0"}},
			{saw: []string{"X-Route: query-1"}},
		}},
		{name: "client", routes: []string{"clients: [10.0.0.0/8], " + toShop, toShop}, rows: []row{
			{headers: []string{"X-Forwarded-For: 10.1.2.3"}, saw: []string{"X-Route: client-0"}},
			{saw: []string{"X-Route: client-1"}},
		}},
		{name: "sni", routes: []string{"serverNames: [sni.example.test], " + toShop, "listeners: [web], " + toShop}, rows: []row{
			{on: "TLS", saw: []string{"X-Route: sni-0"}},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			if !strings.HasSuffix(protocol, "TLS") {
				row{saw: []string{"X-Route: sni-1"}}.check(t, n, "sni", protocol)
			}
		}},
		{name: "hours", routes: []string{
			fmt.Sprintf("path: {prefix: /now}, hours: [{from: %q, to: %q}], %s", clock(-2*time.Hour), clock(2*time.Hour), toShop),
			fmt.Sprintf("path: {prefix: /later}, hours: [{from: %q, to: %q}], %s", clock(2*time.Hour), clock(-2*time.Hour), toShop),
			toShop,
		}, rows: []row{
			{path: "/now/Call", saw: []string{"X-Route: hours-0"}},
			{path: "/later/Call", saw: []string{"X-Route: hours-2"}},
		}},

		// What a route changes, and answers itself.
		{name: "edits", routes: []string{`service: shop, requestHeaders: {set: {X-Client: "${client}", X-Name: "${route}/${service}/${instance}"}, add: {X-List: two}, remove: [X-Debug]},
      responseHeaders: {set: {X-From: "${service}"}, add: {X-Frame-Options: DENY}, remove: [Server, Content-Language]}`}, rows: []row{
			{headers: []string{"X-Client: forged", "X-Debug: 1", "X-List: one", "X-Forwarded-For: 10.1.2.3"},
				saw: []string{"X-Client: 10.1.2.3", "X-Name: *", "X-List: one,two", "X-Debug:"}, has: []string{"X-From: shop", "X-Frame-Options: DENY", "Server:"}},
		}},
		{name: "rewrite", routes: []string{
			"path: {prefix: /api}, service: shop, rewrite: {prefix: /, host: inner.example.test}",
			`path: {prefix: /old}, service: shop, rewrite: {regex: '/old/(\w+)/(\w+)', replace: /test.$1/$2}`,
			"path: {exact: /fixed/Call}, service: shop, rewrite: {path: /test.Policies/Call}",
		}, rows: []row{
			{path: "/api/test.Policies/Call", saw: []string{"Path: /test.Policies/Call", "Host: inner.example.test", "X-Forwarded-Host: rewrite.example.test"}},
			{path: "/old/Policies/Call", saw: []string{"Path: /test.Policies/Call", "Host: rewrite.example.test"}},
			{path: "/fixed/Call", saw: []string{"Path: /test.Policies/Call"}},
		}},
		{name: "redirect", routes: []string{`path: {prefix: /old}, redirect: {scheme: https, host: www.example.test, prefix: /new, code: 308}, responseHeaders: {set: {X-From: "${route}"}}`}, rows: []row{
			{path: "/old/Call?a=b", http: 308, grpc: "Unknown: https://www.example.test/new/Call?a=b", has: []string{"X-From: redirect-0"}},
			{on: "HTTP", path: "/old/Call", http: 308, has: []string{"Location: https://www.example.test/new/Call"}},
		}},
		{name: "response", routes: []string{
			`path: {prefix: /robots}, response: {status: 200, body: "Disallow: /"}`, `response: {status: 503, headers: {Content-Type: text/html, Retry-After: "60"}, body: "<h1>Closed</h1>"}`,
		}, rows: []row{
			{path: "/robots/Call", http: 200, grpc: "Unknown: 200", text: "Disallow: /"},
			{on: "HTTP", http: 503, text: "<h1>Closed</h1>", has: []string{"Content-Type: text/html", "Retry-After: 60"}},
			{on: "gRPC", grpc: "Unavailable: 503", has: []string{"Content-Type: application/grpc", "Retry-After:"}},
		}},
		{name: "errorpage", routes: []string{"service: errorpage"}, service: `instances: [{id: a, address: DOWN}], errorPages: [{statuses: [502, 503], headers: {Content-Type: text/html}, body: "<h1>Back soon</h1>"}]`, rows: []row{
			{http: 502, grpc: "Unavailable: upstream-connect", text: "<h1>Back soon</h1>"},
		}},
		{name: "compression", routes: []string{"service: shop, compression: {types: [application/json], minSize: 0}"}, rows: []row{
			{headers: []string{"Accept-Encoding: gzip"}, has: []string{"Content-Encoding: *"}, saw: []string{"Instance: *"}, on: "HTTP"},
			{headers: []string{"Accept-Encoding: zstd;q=0.5, br"}, has: []string{"Content-Encoding: br", "Vary: Accept-Encoding"}, saw: []string{"Instance: *"}, on: "HTTP"},
			{headers: []string{"Accept-Encoding: gzip"}, has: []string{"Content-Encoding:"}, saw: []string{"Instance: *"}, on: "gRPC"},
		}},

		// Whom a route admits.
		{name: "access", routes: []string{"path: {prefix: /allow}, service: shop, access: {allow: [10.0.0.0/8], deny: [10.66.0.0/16]}", "service: shop, access: {deny: [127.0.0.0/8]}"}, rows: []row{
			{path: "/allow/Call", headers: []string{"X-Forwarded-For: 10.1.2.3"}, saw: []string{"Instance: *"}},
			{path: "/allow/Call", headers: []string{"X-Forwarded-For: 10.66.2.3"}, http: 403, grpc: "PermissionDenied: 403 access-denied", text: "403 access-denied"},
			{path: "/allow/Call", http: 403, grpc: "PermissionDenied: 403 access-denied"},
			{http: 403, grpc: "PermissionDenied: 403 access-denied"},
		}},
		{name: "basic", routes: []string{fmt.Sprintf(`service: shop, basicAuth: {realm: Shop, users: [{name: ann, passwordHash: %q}]}, requestHeaders: {set: {X-User: "${user}"}, remove: [Authorization]}`, hash)}, rows: []row{
			{headers: []string{login, "X-User: root"}, saw: []string{"X-User: ann", "Authorization:"}},
			{http: 401, grpc: "Unauthenticated: 401 unauthorized", text: "401 unauthorized"},
			{on: "HTTP", http: 401, has: []string{`WWW-Authenticate: Basic realm="Shop", charset="UTF-8"`}},
			{headers: []string{login[:len(login)-4]}, http: 401, grpc: "Unauthenticated: 401 unauthorized"},
		}},
		{name: "jwt", routes: []string{"service: shop, jwt: {issuer: i, audiences: [shop], jwks: ISSUER, claims: {X-User: sub}}"}, rows: []row{
			{headers: []string{"Authorization: Bearer " + token, "X-User: root"}, saw: []string{"X-User: ann"}},
			{headers: []string{"X-User: root"}, http: 401, grpc: "Unauthenticated: 401 unauthorized"},
			{on: "HTTP", http: 401, has: []string{"WWW-Authenticate: *"}},
			{headers: []string{"Authorization: Bearer " + token + "A"}, http: 401, grpc: "Unauthenticated: 401 unauthorized"},
		}},
		{name: "forwardauth", routes: []string{"service: shop, forwardAuth: {url: AUTH/verify, authRequestHeaders: [Accept], authResponseHeaders: [Remote-User], timeout: 1m}"}, rows: []row{
			{headers: []string{"Cookie: session=ann", "Remote-User: root"}, saw: []string{"Remote-User: ann"}},
			{http: 401, grpc: "Unauthenticated: 401", text: "log in"},
			{on: "HTTP", headers: []string{"Accept: text/html"}, http: 302, has: []string{"Location: https://login.example.test/"}},
			{on: "gRPC", headers: []string{"Accept: text/html"}, grpc: "Unauthenticated: 302"},
		}},
		{name: "cors", routes: []string{`service: shop, cors: {allowOrigins: ["https://app.example.test"], allowHeaders: [X-Cart]}`}, rows: []row{
			{headers: []string{"Origin: https://app.example.test"}, has: []string{"Access-Control-Allow-Origin: https://app.example.test"}, saw: []string{"Instance: *"}},
			{headers: []string{"Origin: https://other.example.test"}, has: []string{"Access-Control-Allow-Origin:"}, saw: []string{"Instance: *"}},
			{on: "HTTP", method: "OPTIONS", headers: []string{"Origin: https://app.example.test", "Access-Control-Request-Method: POST"}, http: 204, has: []string{"Access-Control-Allow-Headers: X-Cart"}},
		}},

		// Limits, faults and other instances.
		{name: "ratelimit", routes: []string{"service: shop, rateLimits: [{name: per-key, rate: 1/h, burst: 1, by: header:X-Key}, {name: dry, rate: 1/h, dryRun: true}]"}, more: func(t *testing.T, n *policyNode, protocol string) {
			key := []string{"X-Key: " + protocol}
			row{headers: key, saw: []string{"Instance: *"}}.check(t, n, "ratelimit", protocol)
			row{headers: key, http: 429, grpc: "ResourceExhausted: 429 rate-limited", text: "429 rate-limited", has: []string{"Retry-After: *", `RateLimit-Policy: "per-key";q=1;w=3600`, "RateLimit: *"}}.check(t, n, "ratelimit", protocol)
		}},
		{name: "concurrency", routes: []string{"path: {prefix: /wait}, service: concurrency", "service: full"}, service: `concurrency: {perInstance: 1, queue: 5, queueTimeout: 20ms}, instances: [{id: a, address: A}]}
  - {id: full, protocol: h2c, concurrency: {limit: 1, queue: 0}, instances: [{id: a, address: A}]`, more: inFlight},
		{name: "abort", routes: []string{"service: shop, fault: {abort: {status: 503, share: 1}}"}, rows: []row{
			{http: 503, grpc: "Unavailable: 503 fault-injected", text: "503 fault-injected"},
		}},
		{name: "delay", routes: []string{"service: shop, fault: {delay: {duration: 60ms, share: 1}}"}, more: func(t *testing.T, n *policyNode, protocol string) {
			began := time.Now()
			row{saw: []string{"Instance: *"}}.check(t, n, "delay", protocol)
			if took := time.Since(began); took < 60*time.Millisecond {
				t.Errorf("a delay of 60 ms took %s", took)
			}
		}},
		{name: "timeout", routes: []string{"path: {prefix: /stall}, service: timeout, streamTimeout: 100ms", "service: timeout, timeout: 50ms"}, service: pair, rows: []row{
			{headers: []string{"X-Sleep: all"}, http: 504, grpc: "DeadlineExceeded: 504 upstream-timeout", text: "504 upstream-timeout"},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			r := n.ask(t.Context(), t, protocol, request{policy: "timeout", path: "/stall/Call", headers: []string{"X-Stall: all"}})
			if r.code != "Internal" && !(r.status == 200 && r.broken) { // the stream is reset, because its head has been sent
				t.Errorf("a response that stops: got %+v", r)
			}
		}},
		{name: "retry", routes: []string{`path: {prefix: /none}, service: retry`, `service: retry, retry: {attempts: 1, on: ["503", UNAVAILABLE]}`}, service: pair, rows: []row{
			{method: "GET", headers: []string{"X-Fail: a"}, saw: []string{"Instance: b"}},
			{method: "GET", headers: []string{"X-Fail: all"}, http: 503, grpc: "Unavailable: the instance "},
			{method: "GET", path: "/none/Call", headers: []string{"X-Fail: all"}, http: 503, grpc: "Unavailable: the instance "},
		}, more: retried("retry-1", "GET", "X-Fail: all", true)},
		{name: "refused", routes: []string{"service: refused"}, service: strings.Replace(pair, "address: A", "address: DOWN", 1), rows: []row{
			{saw: []string{"Instance: b"}},
		}},
		{name: "pertry", routes: []string{"service: pertry, retry: {attempts: 1, on: [timeout], perTryTimeout: 50ms}"}, service: pair, rows: []row{
			{method: "GET", headers: []string{"X-Sleep: all"}, http: 504, grpc: "DeadlineExceeded: 504 upstream-timeout", text: "504 upstream-timeout"},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			if strings.HasPrefix(protocol, "HTTP") {
				eventually(t, "b answers within 50 ms", func() bool {
					return n.ask(t.Context(), t, protocol, request{policy: "pertry", method: "GET", headers: []string{"X-Sleep: a"}}).saw.Get("Instance") == "b"
				})
			}
			retried("pertry-0", "POST", "X-Sleep: all", false)(t, n, protocol) // an instance has got the request
		}},
		{name: "hedge", routes: []string{"service: hedge, hedge: {after: 20ms}, timeout: 100ms"}, service: pair, rows: []row{
			{method: "GET", headers: []string{"X-Sleep: all"}, http: 504, grpc: "DeadlineExceeded: 504 upstream-timeout"},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			// Requests of HTTP with GET are hedged, calls of gRPC are POST.
			if hedges := metric(t, n.Address("admin"), "smartlb_route_hedges_total"); hedges == 0 {
				t.Error("no request was hedged")
			}
			before := metric(t, n.Address("admin"), "smartlb_route_hedges_total")
			row{headers: []string{"X-Sleep: all"}, http: 504, grpc: "DeadlineExceeded: 504 upstream-timeout"}.check(t, n, "hedge", protocol)
			if after := metric(t, n.Address("admin"), "smartlb_route_hedges_total"); after != before {
				t.Errorf("%v requests with POST were hedged", after-before)
			}
		}},

		// Which instance.
		{name: "sticky", routes: []string{"service: sticky"}, service: "policy: round_robin, sessionPersistence: {sessionName: SHOP}, instances: [{id: a, address: A}, {id: b, address: B}, {id: c, address: C}]", more: sticky},
		{name: "hash", routes: []string{"service: hash, hashOn: header:X-Key"}, service: "policy: ring_hash, instances: [{id: a, address: A}, {id: b, address: B}, {id: c, address: C}]", more: func(t *testing.T, n *policyNode, protocol string) {
			all := map[string]bool{}
			for i := range 20 {
				q := request{policy: "hash", headers: []string{fmt.Sprintf("X-Key: %d", i)}}
				one, two := n.ask(t.Context(), t, protocol, q).saw.Get("Instance"), n.ask(t.Context(), t, protocol, q).saw.Get("Instance")
				if all[one] = true; one != two {
					t.Errorf("key %d: %s, then %s", i, one, two)
				}
			}
			if len(all) < 2 {
				t.Errorf("20 keys went to %v", all)
			}
		}},
		{name: "split", routes: []string{"path: {prefix: /even}, split: [{service: shop, weight: 1}, {service: split, weight: 1}], " + "requestHeaders: {set: {X-To: \"${service}\"}}", "split: [{service: shop, weight: 0}, {service: split, weight: 1}], " + "requestHeaders: {set: {X-To: \"${service}\"}}"}, service: "instances: [{id: a, address: A}]", rows: []row{
			{saw: []string{"X-To: split"}}, {saw: []string{"X-To: split"}},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			seen := map[string]bool{}
			eventually(t, "both services get requests", func() bool {
				seen[n.ask(t.Context(), t, protocol, request{policy: "split", path: "/even/Call"}).saw.Get("X-To")] = true
				return seen["shop"] && seen["split"]
			})
		}},
		{name: "weights", routes: []string{"service: weights"}, service: "policy: round_robin, slowStart: 0s, instances: [{id: a, weight: 5, address: A}, {id: b, address: B}, {id: c, address: C}]", more: func(t *testing.T, n *policyNode, protocol string) {
			by := map[string]int{}
			for range 35 {
				by[n.ask(t.Context(), t, protocol, request{policy: "weights"}).saw.Get("Instance")]++
			}
			if by["a"] != 25 || by["b"] != 5 || by["c"] != 5 {
				t.Errorf("weights 5:1:1 of 35 requests: %v", by)
			}
		}},
		{name: "backup", routes: []string{"path: {prefix: /down}, service: backup-down", "service: backup"}, service: `instances: [{id: a, address: A}, {id: b, backup: true, address: B}]}
  - {id: backup-down, protocol: h2c, healthCheck: {type: tcp, interval: 100ms}, instances: [{id: a, address: DOWN}, {id: b, backup: true, address: B}]`, rows: []row{
			{saw: []string{"Instance: a"}}, {saw: []string{"Instance: a"}},
		}, more: func(t *testing.T, n *policyNode, protocol string) {
			eventually(t, "the backup takes the requests", func() bool {
				return state(look(t, n.Address("admin")), "a") != "" && metric(t, n.Address("admin"), `smartlb_service_instances{service="backup-down",state="in"}`) == 1
			})
			row{path: "/down/Call", saw: []string{"Instance: b"}}.check(t, n, "backup", protocol)
		}},

		{name: "tracing", routes: []string{"service: shop"}, rows: []row{{saw: []string{"Traceparent: *"}}}, more: func(t *testing.T, n *policyNode, protocol string) {
			const sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			saw := n.ask(t.Context(), t, protocol, request{policy: "tracing", headers: []string{"traceparent: " + sent}}).saw.Get("Traceparent")
			if len(saw) != len(sent) || saw[:36] != sent[:36] || saw == sent || !strings.HasSuffix(saw, "-01") {
				t.Errorf("the instance got %s after %s", saw, sent)
			}
		}},
	}
}

// retried sends a request that every instance fails, and sees whether the route retries it.
func retried(route, method, header string, want bool) func(*testing.T, *policyNode, string) {
	name, _, _ := strings.Cut(route, "-")
	return func(t *testing.T, n *policyNode, protocol string) {
		retries := func() (sum float64) {
			for _, reason := range []string{"status", "grpc-status", "timeout"} {
				sum += metric(t, n.Address("admin"), fmt.Sprintf(`smartlb_route_retries_total{reason=%q,route=%q,service=%q}`, reason, route, name))
			}
			return sum
		}
		before := retries()
		n.ask(t.Context(), t, protocol, request{policy: name, method: method, headers: []string{header}})
		if got := retries() - before; (got == 1) != want {
			t.Errorf("%v retries", got)
		}
	}
}

// inFlight holds a request, and sees what becomes of further ones: they wait in the queue, or find no place.
func inFlight(t *testing.T, n *policyNode, protocol string) {
	for service, path := range map[string]string{"concurrency": "/wait/Call", "full": "/Full/Call"} {
		ctx, cancel := context.WithCancel(t.Context())
		held := make(chan struct{})
		go func() {
			defer close(held)
			n.ask(ctx, t, protocol, request{policy: "concurrency", path: path, headers: []string{"X-Sleep: all"}})
		}()
		flying := func() float64 {
			return metric(t, n.Address("admin"), `smartlb_service_in_flight{service="`+service+`"}`)
		}
		eventually(t, "a request is in flight", func() bool { return flying() == 1 })
		want := row{path: path, http: 503, grpc: "Unavailable: 503 queue-full", text: "503 queue-full"}
		if strings.HasPrefix(protocol, "HTTP") {
			want.has = []string{"Retry-After: *"}
		}
		if service == "concurrency" {
			want.grpc, want.text = "Unavailable: 503 queue-timeout", "503 queue-timeout"
		}
		want.check(t, n, "concurrency", protocol)
		cancel()
		<-held
		eventually(t, "none is in flight", func() bool { return flying() == 0 })
		row{path: path, saw: []string{"Instance: a"}}.check(t, n, "concurrency", protocol)
	}
}

// sticky sees that a client with the cookie stays, and that a forged cookie is replaced.
func sticky(t *testing.T, n *policyNode, protocol string) {
	first := n.ask(t.Context(), t, protocol, request{policy: "sticky"})
	cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "SHOP=") {
		t.Fatalf("got the cookie %q", cookie)
	}
	for range 4 {
		row{headers: []string{"Cookie: " + cookie}, saw: []string{"Instance: " + first.saw.Get("Instance")}, has: []string{"Set-Cookie:"}}.check(t, n, "sticky", protocol)
	}
	row{headers: []string{"Cookie: SHOP=forged"}, saw: []string{"Instance: *"}, has: []string{"Set-Cookie: *"}}.check(t, n, "sticky", protocol)
}
