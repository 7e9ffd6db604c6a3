package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// A slow upload is no latency of the instance, and the route's timeout begins for the instance when it has the whole
// request: an upload that took most of the timeout left it none.
func TestTheInstancesTimeBeginsWhenTheRequestIsSent(t *testing.T) {
	const uploadTakes, timeout, thinks = 50 * time.Minute, time.Hour, 30 * time.Minute // of the proxy's clock, which the test advances
	began := time.Now()
	var ahead atomic.Int64
	b, _ := raw(t, func(s *upstreamtest.Session) {
		if s.Request() != nil {
			s.Wait(soon)
			ahead.Add(int64(thinks))
			s.Write(upstreamtest.OK)
		}
	}, func(c *Config, r *dispatch.Route) {
		c.Now = func() int64 { return int64(time.Since(began)) + 1 + ahead.Load() }
		c.BodyTimeout, c.KeepTimeout = 2*timeout, 2*timeout
		r.Timeout, r.Retry = timeout, dispatch.Retry{}
	})
	c := b.dial()
	const size = 20000
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
	c.send(strings.Repeat("x", size-1))
	eventually(t, "the request is under way", func() bool { return b.lives[0].InFlight.Load() == 1 })
	ahead.Add(int64(uploadTakes))
	c.send("x")
	if res, body := c.response("POST"); res.StatusCode != 200 {
		t.Fatalf("got %d %q: the upload was taken off the instance's time", res.StatusCode, body)
	}
	latency, _, _ := b.lives[0].Latency.Load(b.p.cfg.Now())
	if took := time.Duration(latency); took >= uploadTakes {
		t.Errorf("the instance thought for %s, and its latency is %s", thinks, took)
	}
}

// An instance that waits for slow uploads is not silent.
func TestUploadsAreNoSilence(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) { s.Hang() }, nil)
	for range 3 {
		c := b.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
		c.send(strings.Repeat("x", 20000))
	}
	live := b.lives[0]
	eventually(t, "they are under way", func() bool { return live.InFlight.Load() == 3 })
	eventually(t, "none counts as unanswered", func() bool { return live.Silence(b.p.cfg.Now()+int64(time.Minute)) == 0 })
}

// A stream with long pauses outlasts the body timeout: server-sent events were cut after a minute without one, and the
// instance was charged.
func TestQuietStreamIsNotCut(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) {
		s.Head()
		s.Write(stream)
		s.Wait(time.Second)
		s.Write("6\r\ndata\n\n\r\n0\r\n\r\n")
	}, func(c *Config, _ *dispatch.Route) { c.BodyTimeout = soon })
	c := b.dial()
	c.send(get)
	if _, body := c.response("GET"); body != "data\n\ndata\n\n" {
		t.Errorf("got %q", body)
	}
	if got := b.entries(); got[0].Failure != "" || b.lives[0].Errors.Load() != 0 {
		t.Errorf("log %+v, errors %d", got, b.lives[0].Errors.Load())
	}
}

// With a single instance there is no other to go to, and a kept connection that it closes at that moment gave 502.
func TestRequestOnAConnectionThatWasJustClosedIsSentOnceMore(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		reset         bool
		status        int
	}{
		{"GET", get, false, 200},
		{"GET, reset", get, true, 200},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", false, 200},
		{"PUT with its body", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", false, 200},
		{"DELETE", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", true, 200},
		{"POST may have been done", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", false, 502},
		{"an unknown method may do anything", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", false, 502},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
				req := s.Request()
				for n := 0; req != nil; n++ {
					if s.Index == 0 && n == 1 { // the second request on the first connection meets its end
						if tc.reset {
							s.Reset()
						}
						return
					}
					reply := upstreamtest.OK
					if req.Method == "HEAD" {
						reply = strings.TrimSuffix(reply, "ok")
					}
					s.Write(reply)
					req = s.Request()
				}
			})
			b := run(t, []string{r.Addr}, func(_ *Config, r *dispatch.Route) { r.Retry = dispatch.Retry{} })
			c := b.dial()
			c.send(get)
			c.response("GET")
			c.send(tc.request)
			method, _, _ := strings.Cut(tc.request, " ")
			if res, _ := c.response(method); res.StatusCode != tc.status {
				t.Fatalf("got %d, want %d", res.StatusCode, tc.status)
			}
			errors := uint64(0)
			if tc.status != 200 {
				errors = 1
			}
			if got := b.lives[0].Errors.Load(); got != errors {
				t.Errorf("the instance has %d errors, want %d", got, errors)
			}
			if s := b.p.Stats(); s.UpstreamResent != 1-errors {
				t.Errorf("sent once more %d times", s.UpstreamResent)
			}
			if log := b.entries(); log[1].Attempts != 1 {
				t.Errorf("%d attempts: this is no try elsewhere", log[1].Attempts)
			}
		})
	}
}

// An instance that closes every connection gets a request twice, not forever, and is charged.
func TestInstanceThatAlwaysClosesIsAskedTwice(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) {
		if s.Index == 0 && s.Request() != nil {
			s.Write(upstreamtest.OK)
		}
		s.Request()
	}, func(_ *Config, r *dispatch.Route) { r.Retry = dispatch.Retry{} })
	c := b.dial()
	c.send(get)
	c.response("GET")
	c.send(get)
	if res, _ := c.response("GET"); res.StatusCode != 502 {
		t.Errorf("got %d", res.StatusCode)
	}
	if r.Connections() != 2 || b.lives[0].Errors.Load() != 1 {
		t.Errorf("%d connections, %d errors", r.Connections(), b.lives[0].Errors.Load())
	}
}

// NTLM and Negotiate authenticate a connection: whoever gets it next is taken for the same user.
func TestAuthenticatedConnectionsAreNeverShared(t *testing.T) {
	plain := upstreamtest.OK
	for name, tc := range map[string]struct{ request, reply string }{
		"NTLM request":         {"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM TlRMTVNTUAAB\r\n\r\n", plain},
		"Negotiate request":    {"GET / HTTP/1.1\r\nHost: a\r\nauthorization: negotiate YII\r\n\r\n", plain},
		"NTLM challenge":       {get, "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"},
		"one of several":       {get, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x, y\", Negotiate\r\nContent-Length: 0\r\n\r\n"},
		"a second line":        {get, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nwww-authenticate: NTLM abc\r\nContent-Length: 0\r\n\r\n"},
		"in a response of 200": {get, "HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate oY\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			script := func(s *upstreamtest.Session) {
				for n := 0; ; n++ {
					req := s.Request()
					switch {
					case req == nil:
						return
					case n == 0 && s.Index == 0:
						s.Write(tc.reply)
					default:
						s.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", s.Index))
					}
				}
			}
			first, second := upstreamtest.NewRaw(t, script), upstreamtest.NewRaw(t, script)
			b := run(t, []string{first.Addr, second.Addr}, nil)
			user, other := b.dial(), b.dial()
			user.send(tc.request)
			user.response("GET")
			for range 3 {
				other.send(get)
				if _, body := other.response("GET"); body == "0" {
					t.Fatal("another client's request went over the authenticated connection")
				}
				user.send(get)
				if _, body := user.response("GET"); body != "0" {
					t.Fatalf("the user's own request went over connection %s", body)
				}
			}
			_ = user.Close()
			eventually(t, "it ends with its client", func() bool { return first.Open() == 1 })
			_ = other.Close()
			b.stop()
			eventually(t, "nothing is left", func() bool { return first.Open()+second.Open() == 0 })
		})
	}
}

// A bound client stays with its instance while that takes requests, also where the policy would choose another.
func TestBoundClientStaysWithItsInstance(t *testing.T) {
	who := func(name string) string {
		return upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "NTLM")
			_, _ = io.WriteString(w, name)
		}))
	}
	b := run(t, []string{who("first"), who("second")}, nil)
	c := b.dial()
	ask := func() string {
		c.send(get)
		_, body := c.response("GET")
		return body
	}
	if got := ask(); got != "first" {
		t.Fatalf("got %s", got)
	}
	take := func(live ...int32) { // the policy takes the first of the list
		pool := *b.service.Pool()
		pool.Live = live
		b.service.Swap(&pool)
	}
	take(1, 0)
	if got := ask(); got != "first" {
		t.Errorf("it was sent to the %s", got)
	}
	take(1)
	if got := ask(); got != "second" {
		t.Errorf("its instance takes no requests, and it was sent to the %s", got)
	}
}
