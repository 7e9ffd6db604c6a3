package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

func redirecting(t *testing.T, port int) *bench {
	t.Helper()
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("an instance got %s %s", r.Method, r.URL)
	}))
	return run(t, []string{instance}, func(c *Config, _ *dispatch.Route) { c.Listeners[0].HTTPSPort = port })
}

func TestEveryRequestIsRedirectedToHTTPS(t *testing.T) {
	const host = " HTTP/1.1\r\nHost: shop.example\r\n"
	for name, tc := range map[string]struct {
		request string
		port    int
		status  int
		want    string // Location; empty: none
		closed  bool
	}{
		"GET":                       {"GET /a/b?c=d&e=%2F" + host, 443, 301, "https://shop.example/a/b?c=d&e=%2F", false},
		"HEAD":                      {"HEAD /" + host, 443, 301, "https://shop.example/", false},
		"another port":              {"GET /a" + host, 8443, 301, "https://shop.example:8443/a", false},
		"the port of the client":    {"GET /a HTTP/1.1\r\nHost: shop.example:8080\r\n", 443, 301, "https://shop.example/a", false},
		"both ports":                {"GET /a HTTP/1.1\r\nHost: shop.example:8080\r\n", 8443, 301, "https://shop.example:8443/a", false},
		"an IPv6 address":           {"GET /a HTTP/1.1\r\nHost: [2001:db8::1]\r\n", 443, 301, "https://[2001:db8::1]/a", false},
		"an IPv6 address with port": {"GET /a HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n", 8443, 301, "https://[2001:db8::1]:8443/a", false},
		"PUT without a body":        {"PUT /a" + host, 443, 308, "https://shop.example/a", false},
		"a whole URL":               {"GET http://shop.example/a?b" + host, 443, 301, "https://shop.example/a?b", false},
		"only a query":              {"GET http://shop.example?b" + host, 443, 301, "https://shop.example/?b", false},
		"OPTIONS *":                 {"OPTIONS *" + host, 443, 308, "https://shop.example/", false},
		"TRACE at its last hop":     {"TRACE /" + host + "Max-Forwards: 0\r\n", 443, 308, "https://shop.example/", false},
		"escapes":                   {"GET /%0d%0aSet-Cookie:%20a%3db" + host, 443, 301, "https://shop.example/%0d%0aSet-Cookie:%20a%3db", false},
		"dot segments":              {"GET /a/../b" + host, 443, 301, "https://shop.example/b", false},
		"two slashes":               {"GET //evil.example/" + host, 443, 301, "https://shop.example//evil.example/", false},
		"an upgrade":                {"GET /" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 443, 301, "https://shop.example/", false},
		"HTTP/1.0":                  {"GET /a HTTP/1.0\r\nHost: shop.example\r\n", 443, 301, "https://shop.example/a", true},

		"another host in the target": {"GET http://evil.example/" + host, 443, 400, "", true},
		"a user in the host":         {"GET / HTTP/1.1\r\nHost: shop.example@evil.example\r\n", 443, 400, "", true},
		"two hosts":                  {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 443, 400, "", true},
		"a target without a slash":   {"GET .evil.example/" + host, 443, 400, "", true},
		"a backslash":                {"GET /\\evil.example/" + host, 443, 400, "", true},
		"HTTP/1.0 without a host":    {"GET / HTTP/1.0\r\n", 443, 400, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := redirecting(t, tc.port)
			c := b.dial()
			c.send(tc.request + "\r\n")
			method, _, _ := strings.Cut(tc.request, " ")
			res, _ := c.response(method)
			if got := res.Header.Get("Location"); res.StatusCode != tc.status || got != tc.want {
				t.Errorf("got %d %q, want %d %q", res.StatusCode, got, tc.status, tc.want)
			}
			if res.Close != tc.closed {
				t.Errorf("the connection is closed: %v", res.Close)
			}
			if !tc.closed {
				c.send("GET /second" + host + "\r\n")
				if res, _ := c.response("GET"); !strings.HasSuffix(res.Header.Get("Location"), "/second") {
					t.Errorf("the second request: %v", res.Header)
				}
			}
			redirects := uint64(0)
			if tc.want != "" {
				redirects = 1
			}
			if !tc.closed {
				redirects++
			}
			entries := b.entries()
			if n := b.p.Stats().Redirects; n != redirects {
				t.Errorf("%d redirects are counted, want %d", n, redirects)
			}
			if e := entries[0]; e.Status != tc.status || tc.want != "" && (e.Why != "redirect-to-https" || e.Method != method || e.RequestID != res.Header.Get("X-Request-Id")) {
				t.Errorf("access log: %+v", e)
			}
		})
	}
}

// A client that waits for 100 must not send its body in the clear, and the bytes of a body are not the next request.
func TestTheBodyOfARedirectedRequestIsNotARequest(t *testing.T) {
	for name, tc := range map[string]struct{ head, body string }{
		"with a length":    {"Content-Length: 40\r\n", "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n    "},
		"in chunks":        {"Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"},
		"expecting 100":    {"Content-Length: 5\r\nExpect: 100-continue\r\n", ""},
		"longer than room": {"Content-Length: 100000\r\n", strings.Repeat("x", 100000)},
	} {
		t.Run(name, func(t *testing.T) {
			b := redirecting(t, 443)
			c := b.dial()
			c.send("POST /form HTTP/1.1\r\nHost: shop.example\r\n" + tc.head + "\r\n" + tc.body)
			res, _ := c.response("POST")
			if res.StatusCode != 308 || res.Header.Get("Location") != "https://shop.example/form" || !res.Close {
				t.Errorf("got %d %v", res.StatusCode, res.Header)
			}
			c.ended()
			if e := b.entries(); len(e) != 1 {
				t.Errorf("access log: %+v", e)
			}
		})
	}
}
