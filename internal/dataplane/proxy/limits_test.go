package proxy

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// occupy counts a connection to the instance, as if another request had it.
func occupy(b *bench) {
	leg := b.route.Split[0].Leg
	b.p.pools.of(b.lives[0], b.p.kindOf(&dispatch.Verdict{Leg: leg})).(*idlePool).reserve(leg.MaxConnections)
}

// TestAFullInstanceIsLeftForAnother: a request finds an instance with its maximum of connections, and goes to the next one.
func TestAFullInstanceIsLeftForAnother(t *testing.T) {
	release := make(chan struct{})
	full := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, "full")
	}))
	free := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "free") }))
	b := run(t, []string{full, free}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{MaxConnections: 1} })
	first := b.dial()
	first.send(get)
	eventually(t, "the first request is under way", func() bool { return b.p.Stats().UpstreamDials == 1 })
	c := b.dial()
	c.send(get)
	if res, body := c.response("GET"); res.StatusCode != 200 || body != "free" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	close(release)
	if _, body := first.response("GET"); body != "full" {
		t.Errorf("the first request got %q", body)
	}
	for range 3 { // its connection is kept and used again
		c.send(get)
		if _, body := c.response("GET"); body != "full" {
			t.Errorf("after the first request: %q", body)
		}
	}
	if l := b.lives[0]; l.Errors.Load() != 0 {
		t.Errorf("the full instance was charged %d errors", l.Errors.Load())
	}
}

// The same over connections of HTTP/2, which carry several requests each.
func TestTheLimitOfConnectionsCountsConnectionsOfHTTP2(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{HTTP2: true, MaxConnections: 1} })
	for range 3 {
		c := b.dial()
		c.send(get)
		if res, _ := c.response("GET"); res.StatusCode != 200 {
			t.Errorf("%d", res.StatusCode)
		}
	}
	if n := b.p.Stats().UpstreamDials; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestConnectionsToAnInstanceAreCountedUntilTheyEnd: whatever way a connection ends, it makes room for another.
func TestConnectionsToAnInstanceAreCountedUntilTheyEnd(t *testing.T) {
	for name, script := range map[string]func(*upstreamtest.Session){
		"kept":                 upstreamtest.Always(upstreamtest.OK),
		"closed by a response": upstreamtest.Always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
		"reset":                func(s *upstreamtest.Session) { s.Head(); s.Reset() },
		"cut in the body":      begin(partial, func(*upstreamtest.Session) {}),
		"not HTTP":             upstreamtest.Always("SSH-2.0 hello\r\n\r\n"),
		"tunnel":               begin("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", func(*upstreamtest.Session) {}),
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, script, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{MaxConnections: 1} })
			for range 5 {
				c := b.dial()
				c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
				_, _ = io.ReadAll(io.LimitReader(c, 20))
				c.abort()
				eventually(t, "the exchange ends", func() bool { return b.p.Stats().ConnectionsOpen == 0 })
			}
			for _, e := range b.entries() {
				if e.Failure == dispatch.InstanceFull.String() {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestAListenerHasItsOwnLimits: those of the proxy hold for the other one.
func TestAListenerHasItsOwnLimits(t *testing.T) {
	instance := upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))
	b := run(t, []string{instance}, func(c *Config, _ *dispatch.Route) {
		c.MaxBody = 5
		c.Listeners = append(c.Listeners, Listener{
			Name: "own", Addr: "127.0.0.1:0", MaxBody: -1, MaxConnections: 1, Timeouts: Timeouts{Head: soon, Upload: 3 * soon},
		})
	})
	own := *b
	own.addr = b.p.Addr("own").String()
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsixsix"
	for want, at := range map[int]*bench{413: b, 200: &own} {
		c := at.dial()
		c.send(post)
		if res, body := c.response("POST"); res.StatusCode != want {
			t.Errorf("%d %q, want %d", res.StatusCode, body, want)
		}
		c.abort()
	}
	eventually(t, "all connections end", func() bool { return b.p.Stats().ConnectionsOpen == 0 })

	half := own.dial()
	half.send("GET / HTTP/1.1\r\n")
	if res, body := half.response("GET"); res.StatusCode != 408 {
		t.Errorf("half a head: %d %q", res.StatusCode, body)
	}
	half.abort()
	eventually(t, "all connections end", func() bool { return b.p.Stats().ConnectionsOpen == 0 })

	slow := own.dial()
	drip(t, &own, slow) // progress all the time
	if res, body := slow.response("POST"); res.StatusCode != 408 || !strings.Contains(body, "body") {
		t.Errorf("a slow upload: %d %q", res.StatusCode, body)
	}
	slow.abort()
	eventually(t, "all connections end", func() bool { return b.p.Stats().ConnectionsOpen == 0 })

	first := own.dial()
	first.send(post)
	first.response("POST")
	second := own.dial()
	if b.tls {
		if err := second.Conn.(*tls.Conn).Handshake(); err == nil {
			t.Error("a second connection, and a handshake")
		}
	} else if res, body := second.response("GET"); res.StatusCode != 503 {
		t.Errorf("a second connection: %d %q", res.StatusCode, body)
	}
	third := b.dial()
	third.send(get)
	if res, _ := third.response("GET"); res.StatusCode != 200 {
		t.Errorf("the other listener: %d", res.StatusCode)
	}
	if n := b.p.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
}

func TestConnectionsOfOneClientAreLimited(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) {
		c.MaxPerClient = 2
		c.Listeners[0].ProxyFrom = loopback
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.200/32")}
	})
	ask := func(source string) (status int, c *client) {
		c = b.through(t, headerOf(proxyproto.V2, source))
		if _, err := io.WriteString(c, get); err != nil {
			return 503, c // TLS: closed without an answer
		}
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return 503, c
		}
		_, _ = io.ReadAll(res.Body)
		return res.StatusCode, c
	}
	var kept *client
	for i, tc := range []struct {
		source string
		want   int
	}{
		{"192.0.2.1:1", 200}, {"192.0.2.1:2", 200}, {"192.0.2.1:3", 503},
		{"192.0.2.2:1", 200},
		{"[2001:db8::1]:1", 200}, {"[2001:db8::2]:1", 200}, {"[2001:db8::3]:1", 503}, {"[2001:db8:0:1::3]:1", 200},
		{"192.0.2.200:1", 200}, {"192.0.2.200:2", 200}, {"192.0.2.200:3", 200},
	} {
		status, c := ask(tc.source)
		if status != tc.want {
			t.Errorf("%s: %d, want %d", tc.source, status, tc.want)
		}
		if i == 0 {
			kept = c
		}
	}
	kept.abort()
	eventually(t, "a connection that ended makes room", func() bool { status, _ := ask("192.0.2.1:9"); return status == 200 })
	if n := b.p.Stats().PerClient; n < 2 {
		t.Errorf("%d connections refused", n)
	}
	b.stop()
	if n := len(b.p.clients.of); n != 0 {
		t.Errorf("%d clients are counted after the end", n)
	}
}

func TestAListenerWithoutHTTP2(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.Listeners[0].HTTP1Only = true })
	c := b.dial()
	c.send(h2.Preface)
	if res, body := c.response("GET"); res.StatusCode != 400 || !strings.Contains(body, "HTTP/2") {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

// TestStreamsThatAnnounceThemselvesMayBeSilent: an event stream and gRPC send nothing while nothing happens.
func TestStreamsThatAnnounceThemselvesMayBeSilent(t *testing.T) {
	for name, tc := range map[string]struct {
		head    string
		timeout time.Duration // of the route
		cut     bool
	}{
		"event stream":                   {head: "Content-Type: text/event-stream"},
		"event stream with a charset":    {head: "Content-Type: Text/Event-Stream ; charset=utf-8"},
		"another type":                   {head: "Content-Type: text/event-streams", cut: true},
		"another type, route without":    {head: "Content-Type: text/plain", timeout: -1},
		"event stream, route with limit": {head: "Content-Type: text/event-stream", timeout: soon, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, func(s *upstreamtest.Session) {
				s.Head()
				s.Write("HTTP/1.1 200 OK\r\n" + tc.head + "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
				s.Wait(5 * soon)
				s.Write("2\r\ncd\r\n0\r\n\r\n")
			}, func(c *Config, r *dispatch.Route) { c.StreamTimeout, r.StreamTimeout = soon, tc.timeout })
			c := b.dial()
			c.send(get)
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if (err != nil) != tc.cut || !tc.cut && string(body) != "abcd" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}
