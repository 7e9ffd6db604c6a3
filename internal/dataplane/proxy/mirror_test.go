package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// mirrored makes a route send copies of all requests to an instance, and returns its service and the counters.
func mirrored(r *dispatch.Route, instance string, leg *dispatch.Leg) (*upstream.Service, *dispatch.MirrorCounts) {
	s, n := upstream.NewService("copies"), new(dispatch.MirrorCounts)
	live := upstream.NewLive("copies", "c", instance, 1, 0)
	s.Swap(&upstream.Pool{Policy: inTurn{}, Name: "turn", Members: []upstream.Member{{Live: live, Weight: 1}}, Live: []int32{0}, EjectAfter: 5})
	r.Mirror = &dispatch.Mirror{Share: 1, Counts: n, Route: &dispatch.Route{
		Name: r.Name, Split: []dispatch.Share{{Service: s, Weight: 1, Leg: leg}}, Total: 1, Timeout: testTimeout,
	}}
	return s, n
}

func (b *bench) copied(n *dispatch.MirrorCounts, r dispatch.MirrorResult, want uint64) {
	b.tb.Helper()
	eventually(b.tb, fmt.Sprintf("%d copies are %s", want, r), func() bool { return n[r].Load() == want })
}

// seen is what an instance got.
type seen struct{ line, host, id, edited, body string }

// copies returns an instance that reports what it gets and answers with a status that no client may see.
func copies(t *testing.T, http2 bool) (string, chan seen) {
	got := make(chan seen, 16)
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Method + " " + r.URL.String(), r.Host, r.Header.Get("X-Request-Id"), r.Header.Get("X-Edited"), string(body)}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}
	if http2 {
		addr, _ := h2Instance(t, answer)
		return addr, got
	}
	return upstreamtest.NewHTTP(t, http.HandlerFunc(answer)), got
}

// The copy is the request that the instance of the route gets, on each protocol and however the body comes.
func TestMirroredRequests(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("to instances of HTTP/2: %v", http2), func(t *testing.T) {
			original, got := copies(t, false)
			copied, gotCopy := copies(t, http2)
			var n *dispatch.MirrorCounts
			var s *upstream.Service
			b := run(t, []string{original}, func(_ *Config, r *dispatch.Route) {
				edits, err := action.NewHeaders([]action.Edit{{Name: "X-Edited", Value: "${client} ${route}"}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				path, err := action.NewPrefixPath("/", "/v1")
				if err != nil {
					t.Fatal(err)
				}
				r.Actions = &action.Actions{Request: edits, Rewrite: &action.Rewrite{Path: path}}
				s, n = mirrored(r, copied, &dispatch.Leg{HTTP2: http2, GRPCFailures: dispatch.DefaultGRPCFailures})
			})
			pair := func(what, line, body string) {
				t.Helper()
				a, c := take(t, "the request", got), take(t, "the copy", gotCopy)
				if a != c || a.line != line || a.body != body || a.edited != "127.0.0.1 all" || a.id == "" || a.host != "a.example" {
					t.Errorf("%s: the instance got %+v, the copy is %+v", what, a, c)
				}
			}
			c := b.dial()
			answered := func() {
				t.Helper()
				if res, body := c.response("POST"); res.StatusCode != http.StatusTeapot || len(body) != 100_000 {
					t.Errorf("got %d and %d bytes", res.StatusCode, len(body))
				}
			}
			c.send("GET /a?b=c HTTP/1.1\r\nHost: a.example\r\n\r\n")
			answered()
			pair("GET", "GET /v1/a?b=c", "")
			c.send("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello")
			answered()
			pair("POST", "POST /v1/a", "hello")
			c.send("POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n")
			eventually(t, "the head is sent", func() bool { return b.lives[0].InFlight.Load() == 1 })
			c.send("2\r\nlo\r\n0\r\n\r\n")
			answered()
			pair("chunked", "POST /v1/a", "hello")
			f := b.frames()
			f.request(1, false, ":method", "POST", ":scheme", "http", ":path", "/a", ":authority", "a.example")
			eventually(t, "the head is sent", func() bool { return b.lives[0].InFlight.Load() == 1 })
			f.must(f.WriteData(1, true, []byte("hello")))
			if got := f.outcome(); got != "418" {
				t.Errorf("HTTP/2: got %s", got)
			}
			pair("HTTP/2", "POST /v1/a", "hello")
			f.request(3, false, ":method", "POST", ":scheme", "http", ":path", "/s/M", ":authority", "a.example", "content-type", "application/grpc", "te", "trailers", "grpc-timeout", "1M")
			f.must(f.WriteData(3, true, []byte("\x00\x00\x00\x00\x01x")))
			f.next()
			pair("gRPC", "POST /v1/s/M", "\x00\x00\x00\x00\x01x")
			_ = f.nc.Close()
			b.copied(n, dispatch.MirrorAnswered, 5)
			live := s.Pool().Members[0]
			eventually(t, "no copy is under way", func() bool { return live.InFlight.Load() == 0 && b.p.Stats().Mirrors == 0 })
			if live.Requests.Load() != 5 || live.Errors.Load() != 0 || s.Active.Load() != 0 {
				t.Errorf("the instance of the copies has %d requests, %d errors", live.Requests.Load(), live.Errors.Load())
			}
			eventually(t, "the route counts 5 requests", func() bool { return b.service.Traffic("all").Load().Requests[4] == 5 })
		})
	}
}

// A copy that cannot be made or sent costs the request nothing.
func TestCopiesThatAreNotSent(t *testing.T) {
	original := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	copied, got := copies(t, false)
	var n *dispatch.MirrorCounts
	var s *upstream.Service
	b := run(t, []string{original}, func(_ *Config, r *dispatch.Route) { s, n = mirrored(r, copied, nil) })
	c := b.dial()
	body := strings.Repeat("b", maxMirrorBody+1)
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if res, got := c.response("POST"); res.StatusCode != 200 || got != body {
		t.Errorf("a large body: got %d and %d bytes", res.StatusCode, len(got))
	}
	c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body))
	b.copied(n, dispatch.MirrorTooLarge, 2) // before the body ends
	c.send("0\r\n\r\n")
	if res, got := c.response("POST"); res.StatusCode != 200 || got != body {
		t.Errorf("a large body in chunks: got %d and %d bytes", res.StatusCode, len(got))
	}
	left := b.dial()
	left.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n")
	eventually(t, "the head is sent", func() bool { return b.lives[0].InFlight.Load() == 1 })
	left.abort()
	b.copied(n, dispatch.MirrorIncomplete, 1)
	s.Gate.Set(guard.Limits{Running: 1, Waiting: 10})
	w := guard.NewWaiter()
	s.Gate.Enter(w, guard.Normal)
	c.send(get)
	c.response("GET")
	b.copied(n, dispatch.MirrorBusy, 1)
	s.Gate.Leave(w)
	if g := s.Gate.Counts(); g.Running != 0 || g.Waiting != 0 {
		t.Errorf("gate %+v", g)
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	c.response("GET")
	c.send(get)
	c.response("GET")
	take(t, "the copy of the only whole request", got)
	b.copied(n, dispatch.MirrorAnswered, 1)
	b.stop()
	if len(got) > 0 || b.p.Stats().Mirrors != 0 {
		t.Errorf("%d more copies, %d under way", len(got), b.p.Stats().Mirrors)
	}
}

// The instance of the copies may do what it wants: no request waits for it, and it is charged as for any request.
func TestBadInstancesOfCopies(t *testing.T) {
	for name, row := range map[string]struct {
		script func(*upstreamtest.Session)
		result dispatch.MirrorResult
		errors uint64
	}{
		"refused":     {nil, dispatch.MirrorFailed, 1},
		"closed":      {func(s *upstreamtest.Session) { s.Head() }, dispatch.MirrorFailed, 1},
		"no HTTP":     {func(s *upstreamtest.Session) { s.Head(); s.Write("hello\r\n\r\n") }, dispatch.MirrorFailed, 1},
		"500":         {upstreamtest.Always("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"), dispatch.MirrorAnswered, 1},
		"interim":     {upstreamtest.Always("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), dispatch.MirrorAnswered, 0},
		"switches":    {upstreamtest.Always("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), dispatch.MirrorFailed, 1},
		"broken body": {func(s *upstreamtest.Session) { s.Head(); s.Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok") }, dispatch.MirrorFailed, 1},
		"bad chunk": {func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}, dispatch.MirrorFailed, 1},
		"endless": {func(s *upstreamtest.Session) {
			s.Head()
			s.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 1<<40, strings.Repeat("x", 2*maxMirrorResponse)))
			s.Hang()
		}, dispatch.MirrorAnswered, 0},
	} {
		t.Run(name, func(t *testing.T) {
			original := upstreamtest.NewRaw(t, upstreamtest.Always(named))
			addr := ""
			if row.script == nil {
				addr = porttest.Refused(t)
			} else {
				addr = upstreamtest.NewRaw(t, row.script).Addr
			}
			var n *dispatch.MirrorCounts
			var s *upstream.Service
			b := run(t, []string{original.Addr}, func(_ *Config, r *dispatch.Route) { s, n = mirrored(r, addr, nil) })
			c := b.dial()
			c.send(get)
			if res, body := c.response("GET"); res.StatusCode != 200 || body != "hello" {
				t.Errorf("got %d %q", res.StatusCode, body)
			}
			b.copied(n, row.result, 1)
			live := s.Pool().Members[0]
			eventually(t, "the copy has ended", func() bool { return live.InFlight.Load() == 0 })
			if live.Errors.Load() != row.errors || b.lives[0].Errors.Load() != 0 {
				t.Errorf("%d errors, want %d", live.Errors.Load(), row.errors)
			}
		})
	}
}

// A silent instance takes a bounded number of copies. The time of a copy ends, and a stop of the proxy ends all.
func TestCopiesAreBounded(t *testing.T) {
	original := upstreamtest.NewRaw(t, upstreamtest.Always(named))
	silent := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Head(); s.Hang() })
	var n *dispatch.MirrorCounts
	var s *upstream.Service
	b := run(t, []string{original.Addr}, func(_ *Config, r *dispatch.Route) {
		s, n = mirrored(r, silent.Addr, nil)
	})
	c := b.dial()
	for range maxMirrors + 3 {
		c.send(get)
		if res, _ := c.response("GET"); res.StatusCode != 200 {
			t.Fatalf("got %d", res.StatusCode)
		}
	}
	if got := b.p.Stats().Mirrors; got != maxMirrors {
		t.Errorf("%d copies are under way", got)
	}
	b.copied(n, dispatch.MirrorBusy, 3)
	b.stop()
	if live := s.Pool().Members[0]; b.p.Stats().Mirrors != 0 || live.InFlight.Load() != 0 || live.Errors.Load() != 0 {
		t.Errorf("after the stop: %d copies, %d in flight, %d errors", b.p.Stats().Mirrors, live.InFlight.Load(), live.Errors.Load())
	}
}

func TestTheTimeOfACopyEnds(t *testing.T) {
	original := upstreamtest.NewRaw(t, upstreamtest.Always(named))
	silent := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Head(); s.Hang() })
	var n *dispatch.MirrorCounts
	var s *upstream.Service
	b := run(t, []string{original.Addr}, func(_ *Config, r *dispatch.Route) {
		s, n = mirrored(r, silent.Addr, nil)
		r.Mirror.Route.Timeout = soon
	})
	c := b.dial()
	c.send(get)
	c.response("GET")
	b.copied(n, dispatch.MirrorFailed, 1)
	if got := s.Pool().Members[0].Errors.Load(); got != 1 {
		t.Errorf("%d errors", got)
	}
}

// A route without a mirror, and a share that is not drawn, make no copy.
func TestAShareOfTheRequestsIsMirrored(t *testing.T) {
	original := upstreamtest.NewRaw(t, upstreamtest.Always(named))
	copied := upstreamtest.NewRaw(t, upstreamtest.Always(named))
	var n *dispatch.MirrorCounts
	b := run(t, []string{original.Addr}, func(_ *Config, r *dispatch.Route) {
		_, n = mirrored(r, copied.Addr, nil)
		r.Mirror.Share = .2
	})
	c := b.dial()
	for range 1000 {
		c.send(get)
		c.response("GET")
	}
	eventually(t, "no copy is under way", func() bool { return b.p.Stats().Mirrors == 0 })
	if got := n[dispatch.MirrorAnswered].Load() + n[dispatch.MirrorBusy].Load(); got < 120 || got > 280 { // 6.3 standard deviations
		t.Errorf("%d of 1000 requests were copied, want about 200", got)
	}
}
