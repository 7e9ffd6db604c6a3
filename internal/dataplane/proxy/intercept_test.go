package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const soonPage = "<h1>Back soon</h1>"

// intercepting makes a service replace its instances' responses with 401, 405 and 503, and its own errors with 502.
func intercepting(t *testing.T, http2 bool) func(*Config, *dispatch.Route) {
	return func(_ *Config, r *dispatch.Route) {
		page := func(intercept bool) *action.Response {
			return &action.Response{Body: []byte(soonPage), Headers: headersOf(t, []string{"Content-Type: text/html", "Retry-After: 30"}, nil, nil), Intercept: intercept}
		}
		r.Retry.Attempts = 0
		r.Split[0].Pages = action.Pages{401: page(true), 405: page(true), 503: page(true), 502: page(false)}
		r.Split[0].Leg = &dispatch.Leg{HTTP2: http2, GRPCFailures: dispatch.DefaultGRPCFailures}
		r.Actions = &action.Actions{Response: headersOf(t, []string{"X-Route: ${route}"}, nil, []string{"Allow"})}
	}
}

// A page replaces body and headers of a response, for clients and instances of both protocols; the status, and what the client
// needs to go on, stay.
func TestPagesReplaceResponses(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		status := 200
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Header().Set("Set-Cookie", "secret")
		w.Header().Set("Www-Authenticate", "Basic")
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Allow", "GET")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "of the instance")
	}
	for _, http2 := range []bool{false, true} {
		addr := upstreamtest.NewHTTP(t, http.HandlerFunc(handler))
		if http2 {
			addr, _ = h2Instance(t, handler)
		}
		b := run(t, []string{addr}, intercepting(t, http2))
		for name, of := range b.clientsOf("") {
			client, url := of()
			for _, row := range []struct {
				path, method, body string
				status             int
				cookie, retry      string
			}{
				{"/503", "GET", soonPage, 503, "", "30"},
				{"/401", "POST", soonPage, 401, "", "30"},
				{"/503", "HEAD", "", 503, "", "30"},
				{"/502", "GET", "of the instance", 502, "secret", "7"}, // a page for errors of the proxy only
				{"/404", "GET", "of the instance", 404, "secret", "7"},
				{"/200", "GET", "of the instance", 200, "secret", "7"},
			} {
				req, _ := http.NewRequest(row.method, url+row.path, nil)
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				h := res.Header
				if body := readAll(t, res.Body); res.StatusCode != row.status || body != row.body || h.Get("Set-Cookie") != row.cookie || h.Get("Retry-After") != row.retry || h.Get("Www-Authenticate") != "Basic" || h.Get("X-Route") != "all" || h.Get("Allow") != "" || h.Get("X-Request-Id") == "" {
					t.Errorf("%s, HTTP/2 to the instance: %v: %s %s: got %d %v %q", name, http2, row.method, row.path, res.StatusCode, h, body)
				}
			}
		}
		client, url := b.h2Client("/503")
		req, _ := http.NewRequest("POST", url, nil)
		req.Header.Set("Content-Type", "application/grpc")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); body != "of the instance" {
			t.Errorf("gRPC: got %v %q", res.Header, body)
		}
		for _, e := range b.entries() {
			if e.Instance == "" || e.Failure != "" {
				t.Errorf("the access log has %+v", e)
			}
		}
	}
}

// The connection of a response that a page replaces is kept if the whole response has come, and closed otherwise. The client's
// connection stays in both cases.
func TestConnectionsAfterPages(t *testing.T) {
	for name, row := range map[string]struct {
		response string
		kept     bool
	}{
		"whole":            {"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy", true},
		"without a body":   {"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", true},
		"in chunks":        {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n", true},
		"half":             {"HTTP/1.1 503 x\r\nContent-Length: 1000000000\r\n\r\nbusy", false},
		"half a chunk":     {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nbusy", false},
		"bad chunks":       {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", false},
		"too much":         {"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusyHTTP/1.1 200 x\r\n", false},
		"until it closes":  {"HTTP/1.1 503 x\r\n\r\nbusy", false},
		"says it closes":   {"HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy", false},
		"during an upload": {"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy", false},
	} {
		raw := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
			for s.Head() {
				s.Write(row.response)
			}
		})
		b := run(t, []string{raw.Addr}, intercepting(t, false))
		c := b.dial()
		for range 3 {
			if name == "during an upload" {
				c = b.dial()
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100_000))
			} else {
				c.send(get)
			}
			if res, body := c.response("GET"); res.StatusCode != 503 || body != soonPage {
				t.Errorf("%s: got %d %q", name, res.StatusCode, body)
			}
		}
		if n := raw.Connections(); (n == 1) != row.kept {
			t.Errorf("%s: the instance got %d connections", name, n)
		}
		if n := b.lives[0].Errors.Load(); n != 3 { // as without the page
			t.Errorf("%s: the instance is charged for %d errors", name, n)
		}
	}
}
