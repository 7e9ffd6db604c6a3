package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// What clients really send and every other proxy forwards.
func TestWhatIsForwarded(t *testing.T) {
	for name, tc := range map[string]struct{ request, line, has, hasNot string }{
		"lower-case method":       {"get /x HTTP/1.1\r\nHost: a\r\n\r\n", "get /x HTTP/1.1", "", ""},
		"absolute form with port": {"GET http://a:80/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1", "Host: a:80\r\n", ""},
		"empty port":              {"GET /x HTTP/1.1\r\nHost: a:\r\n\r\n", "GET /x HTTP/1.1", "Host: a\r\n", ""},
		"OPTIONS *":               {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1", "", ""},
		"OPTIONS http://a":        {"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1", "", ""},
		"Max-Forwards":            {"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n", "OPTIONS /x HTTP/1.1", "Max-Forwards: 4\r\n", "Max-Forwards: 5"},
		"Max-Forwards of TRACE":   {"TRACE /x HTTP/1.1\r\nHost: a\r\nmax-forwards: 1\r\n\r\n", "TRACE /x HTTP/1.1", "Max-Forwards: 0\r\n", "max-forwards: 1"},
		"Max-Forwards of GET":     {"GET /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", "GET /x HTTP/1.1", "Max-Forwards: 0\r\n", ""},
		"Max-Forwards, no number": {"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: many\r\n\r\n", "OPTIONS /x HTTP/1.1", "Max-Forwards: many\r\n", ""},
		"Via":                     {get, "GET / HTTP/1.1", "\r\nVia: 1.1 smartlb-n1\r\n", ""},
		"Via after others":        {"GET / HTTP/1.0\r\nVia: 1.1 other (smartlb-n1), 2.0 x\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", "Via: 1.1 other (smartlb-n1), 2.0 x\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.Via = "smartlb-n1" })
			c := b.dial()
			c.send(tc.request)
			if res, body := c.response("GET"); res.StatusCode != 200 {
				t.Fatalf("got %d %q", res.StatusCode, body)
			}
			got := string(r.Received()[0])
			line, _, _ := strings.Cut(got, "\r\n")
			if line != tc.line || !strings.Contains(got, tc.has) || tc.hasNot != "" && strings.Contains(got, tc.hasNot) {
				t.Errorf("the instance got %q, want %q, %q and not %q", got, tc.line, tc.has, tc.hasNot)
			}
		})
	}
}

func TestMaxForwardsOfZeroIsAnsweredHere(t *testing.T) {
	b, r := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	c := b.dial()
	for method, want := range map[string]int{"OPTIONS": 200, "TRACE": 501} {
		c.send(method + " / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nX-Secret: s\r\n\r\n")
		if res, body := c.response(method); res.StatusCode != want || strings.Contains(body, "Secret") {
			t.Errorf("%s: got %d %q", method, res.StatusCode, body)
		}
	}
	if r.Connections() != 0 {
		t.Error("it was forwarded")
	}
}

// A proxy that was its own instance took 20,000 descriptors for one request.
func TestLoopIsRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	b := runWith(t, false, []string{addr}, func(c *Config, _ *dispatch.Route) { c.Via, c.Listeners[0].Addr = "smartlb-node:1", addr })
	c := b.dial()
	c.send(get)
	res, body := c.response("GET")
	if res.StatusCode != 508 || !strings.Contains(body, "loop") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if s := b.p.Stats(); s.Requests != 2 || s.Loops != 1 {
		t.Errorf("%d requests, %d loops", s.Requests, s.Loops)
	}
	other := b.dial() // a node with another name is not this one
	other.send("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 smartlb-node-2, 1.1 smartlb\r\n\r\n")
	if res, _ := other.response("GET"); res.StatusCode != 508 || b.p.Stats().Requests != 4 {
		t.Errorf("got %d after %d requests", res.StatusCode, b.p.Stats().Requests)
	}
}

func TestDateIsAddedWhereItIsMissing(t *testing.T) {
	for date, answer := range map[string]string{
		"":                              upstreamtest.OK,
		"Mon, 15 Jan 2024 10:30:00 GMT": "HTTP/1.1 200 OK\r\ndate: Mon, 15 Jan 2024 10:30:00 GMT\r\nContent-Length: 0\r\n\r\n",
	} {
		b, _ := raw(t, upstreamtest.Always(answer), nil)
		c := b.dial()
		for range 2 {
			c.send(get)
			res, _ := c.response("GET")
			got := res.Header.Values("Date")
			if len(got) != 1 || date != "" && got[0] != date {
				t.Fatalf("dates %q, want %q", got, date)
			}
			if at, err := http.ParseTime(got[0]); err != nil || date == "" && time.Since(at).Abs() > testTimeout {
				t.Errorf("date %q: %v", got[0], err)
			}
		}
	}
}

// A client that closed its sending side got its answer or 499, by the time that the instance took.
func TestHalfClosedClientIsAnswered(t *testing.T) {
	for _, takes := range []time.Duration{0, 500 * time.Millisecond} {
		b, _ := raw(t, func(s *upstreamtest.Session) {
			for s.Request() != nil {
				s.Wait(takes)
				s.Write(upstreamtest.OK)
			}
		}, nil)
		c := b.dial()
		c.send(get + get) // both are answered
		_ = c.CloseWrite()
		for range 2 {
			if res, body := c.response("GET"); res.StatusCode != 200 || body != "ok" {
				t.Errorf("after %s: %d %q", takes, res.StatusCode, body)
			}
		}
		c.ended()
	}
}

// But one that only seems to wait does not hold an instance forever.
func TestHalfClosedClientDoesNotWaitForever(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) { s.Hang() }, func(c *Config, _ *dispatch.Route) { c.HalfCloseTimeout = soon })
	c := b.dial()
	c.send(get)
	eventually(t, "the instance has it", func() bool { return b.lives[0].InFlight.Load() == 1 })
	_ = c.Close()
	eventually(t, "the instance is let go", func() bool { return r.Connections() == 1 && r.Open() == 0 })
	if got := b.entries(); got[0].Failure != "client-gone" || b.lives[0].Errors.Load() != 0 {
		t.Errorf("log %+v", got)
	}
}

func TestFieldsWithAnUnderscore(t *testing.T) {
	request := "GET / HTTP/1.1\r\nHost: a\r\nX_Custom: mine\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\n\r\n"
	for _, tc := range []struct {
		how     h1.Underscores
		status  int
		custom  bool
		dropped uint64
	}{{h1.DropUnderscores, 200, false, 3}, {h1.KeepUnderscores, 200, true, 2}, {h1.RejectUnderscores, 400, false, 0}} {
		t.Run(fmt.Sprint(tc.how), func(t *testing.T) {
			b, r := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.Listeners[0].Underscores = tc.how })
			c := b.dial()
			c.send(request)
			if res, body := c.response("GET"); res.StatusCode != tc.status {
				t.Fatalf("got %d %q", res.StatusCode, body)
			}
			if n := b.p.Stats().FieldsDropped; n != tc.dropped {
				t.Errorf("%d dropped, want %d", n, tc.dropped)
			}
			if tc.status != 200 {
				return
			}
			got := string(r.Received()[0])
			if strings.Contains(got, "X_Custom: mine") != tc.custom {
				t.Errorf("the instance got %q", got)
			}
			if strings.Contains(got, "6.6.6.6") || strings.Contains(got, "Content_Length") {
				t.Errorf("a name that stands in for another passed: %q", got)
			}
		})
	}
}

func TestWhoseRequestIDIsKept(t *testing.T) {
	for _, tc := range []struct {
		how     RequestID
		trusted bool
		id      string
		kept    bool
	}{
		{KeepTrustedID, true, "mine", true},
		{KeepTrustedID, false, "mine", false},
		{KeepID, false, "mine", true},
		{KeepID, false, "with blank", false},
		{OverwriteID, true, "mine", false},
	} {
		b, r := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) {
			c.Listeners[0].RequestID = tc.how
			if tc.trusted {
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		})
		c := b.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + tc.id + "\r\n\r\n")
		res, _ := c.response("GET")
		got := res.Header.Get("X-Request-Id")
		if (got == tc.id) != tc.kept || !strings.Contains(string(r.Received()[0]), "X-Request-Id: "+got+"\r\n") {
			t.Errorf("%+v: the reply has %q", tc, got)
		}
	}
}

// Bytes of other protocols were "malformed method": nobody found out what was wrong with the port.
func TestOtherProtocolsAreNamed(t *testing.T) {
	for want, bytes := range map[string]string{
		"TLS handshake on a port for plain HTTP":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"PROXY protocol header on a port that expects none":    "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n" + get,
		"PROXY protocol header on a port that expects none ":   "PROXY UNKNOWN\r\n" + get,
		"PROXY protocol header on a port that expects none  ":  "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n" + get,
		"PROXY protocol header on a port that expects none   ": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x00\x50" + get,
	} {
		want = strings.TrimSpace(want)
		b := run(t, nil, nil)
		c := b.dial()
		c.send(bytes)
		if res, body := c.response("GET"); res.StatusCode != 400 || !strings.Contains(body, want) {
			t.Errorf("%q: got %d %q", bytes, res.StatusCode, body)
		}
		if got := b.entries(); len(got) != 1 || got[0].Why != want {
			t.Errorf("%q: log %+v", bytes, got)
		}
	}
}
