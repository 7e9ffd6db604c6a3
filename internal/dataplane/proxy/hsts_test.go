package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

func TestEveryResponseInsideTLSHasOneHSTSField(t *testing.T) {
	const field, own = "Strict-Transport-Security", "max-age=60"
	for name, tc := range map[string]struct {
		tls           bool
		hsts, request string
		status        int
		want          []string
	}{
		"a response":                     {true, "max-age=1", "GET / HTTP/1.1\r\nHost: h\r\n", 200, []string{"max-age=1"}},
		"without a setting":              {true, "", "GET / HTTP/1.1\r\nHost: h\r\n", 200, []string{own, own}},
		"a reply of the proxy":           {true, "max-age=1", "OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n", 200, []string{"max-age=1"}},
		"a refused request":              {true, "max-age=1", "GET / HTTP/1.1\r\n", 400, []string{"max-age=1"}},
		"a change of the protocol":       {true, "max-age=1", "GET /up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n", 101, []string{"max-age=1"}},
		"in the clear":                   {false, "max-age=1", "GET / HTTP/1.1\r\nHost: h\r\n", 200, []string{own, own}},
		"a refused request in the clear": {false, "max-age=1", "GET / HTTP/1.1\r\n", 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
				fields := "strict-transport-security: " + own + "\r\n" + field + ": " + own + "\r\n\r\n"
				switch req := s.Request(); {
				case req == nil:
				case req.Header.Get("Upgrade") == "tcp":
					s.Write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" + fields)
				default:
					s.Write("HTTP/1.1 103 Early Hints\r\n" + fields + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + fields)
				}
			})
			b := runWith(t, tc.tls, []string{r.Addr}, func(c *Config, _ *dispatch.Route) { c.Listeners[0].HSTS = tc.hsts })
			c := b.dial()
			c.send(tc.request + "\r\n")
			res, _ := c.response("GET")
			if res.StatusCode == 103 {
				if got := res.Header.Values(field); tc.hsts != "" && tc.tls && len(got) > 0 {
					t.Errorf("the interim response has %q", got)
				}
				res, _ = c.response("GET")
			}
			if got := res.Header.Values(field); res.StatusCode != tc.status || !slices.Equal(got, tc.want) {
				t.Errorf("got %d %q, want %d %q", res.StatusCode, got, tc.status, tc.want)
			}
		})
	}
}

// A listener of TLS answers a client in the clear in the clear, where the field would be without effect (RFC 6797 §8.1).
func TestAClientInTheClearGetsNoHSTS(t *testing.T) {
	b := secured(t, func(c *Config) { c.Listeners[0].HSTS = "max-age=1" })
	b.tls = false
	c := b.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, body := c.response("GET"); res.StatusCode != 400 || res.Header.Get("Strict-Transport-Security") != "" || !strings.Contains(body, "use https://") {
		t.Errorf("got %d %v %s", res.StatusCode, res.Header, body)
	}
}
