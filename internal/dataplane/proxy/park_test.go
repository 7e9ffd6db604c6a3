package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// parked returns how many connections wait for a request beyond parkAfter.
func (b *bench) parked() (n int) {
	b.p.conns.each(func(c *conn) {
		if at := c.watch.at.Load(); at > b.p.cfg.Now()+2*parkAfter && c.watch.wake.Load()&idle != 0 {
			n++
		}
	})
	return n
}

// withParked starts a proxy with one connection, which parks after its first request.
func withParked(t *testing.T) (*bench, *client) {
	s := httptest.NewServer(http.HandlerFunc(reveal))
	t.Cleanup(s.Close)
	b := runWith(t, false, []string{s.Listener.Addr().String()}, func(c *Config, _ *dispatch.Route) { c.IdleTimeout = testTimeout })
	c := b.dial()
	c.ask(t)
	eventually(t, "the connection parks", func() bool { return b.parked() == 1 })
	return b, c
}

func (c *client) ask(t *testing.T) {
	t.Helper()
	c.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	if res, _ := c.response("POST"); res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
}

func TestAParkedConnectionServesAndParksAgain(t *testing.T) {
	t.Parallel()
	b, c := withParked(t)
	for range 2 {
		c.ask(t)
		c.ask(t)
		eventually(t, "the connection parks again", func() bool { return b.parked() == 1 })
	}
	c.send("GET /half")
	eventually(t, "half a head was read", func() bool { return b.parked() == 0 })
	c.send(" HTTP/1.1\r\nHost: a\r\n\r\n")
	if res, _ := c.response("GET"); res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
}

func TestAParkedConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bench, c *client){
		"the client closes it":   func(_ *bench, c *client) { _ = c.Close() },
		"the client breaks it":   func(_ *bench, c *client) { c.abort() },
		"the client half closes": func(_ *bench, c *client) { _ = c.CloseWrite(); c.ended() },
		"the proxy drains": func(b *bench, c *client) {
			if err := b.p.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			c.ended()
		},
		"the proxy stops": func(b *bench, c *client) { b.stop(); c.ended() },
	} {
		t.Run(name, func(t *testing.T) {
			b, c := withParked(t)
			end(b, c)
			eventually(t, "no connection is left", func() bool { return b.p.conns.len() == 0 })
		})
	}
}

// Parking does not extend the time that a client has for its next request, and does not shorten it.
func TestTheIdleTimeoutIncludesParking(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(reveal))
	defer s.Close()
	const idle = 900 * time.Millisecond
	b := runWith(t, false, []string{s.Listener.Addr().String()}, func(c *Config, _ *dispatch.Route) { c.IdleTimeout = idle })
	c := b.dial()
	began := time.Now()
	c.ask(t)
	c.ended()
	if took := time.Since(began); took < idle {
		t.Errorf("the connection ended after %s, want %s at least", took, idle)
	}
}
