package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

func TestBadInstancesBecome502(t *testing.T) {
	cases := []struct {
		name   string
		script func(*upstreamtest.Session)
		status int
		why    string
	}{
		{"garbage", upstreamtest.Always("\x00\x01\x02 SSH-2.0 hello\r\n\r\n"), 502, dispatch.CodeUpstreamBad},
		{"garbage without a line end", upstreamtest.Always("garbage garbage"), 502, dispatch.CodeUpstreamBad},
		{"length and chunks", upstreamtest.Always("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 502, dispatch.CodeUpstreamBad},
		{"two unequal lengths", upstreamtest.Always("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), 502, dispatch.CodeUpstreamBad},
		{"101 unasked", upstreamtest.Always("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"), 502, dispatch.CodeUpstreamBad},
		{"endless head", upstreamtest.Always("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20000)), 502, dispatch.CodeUpstreamBad},
		{"closes", func(s *upstreamtest.Session) { s.Head() }, 502, dispatch.CodeUpstreamReset},
		{"resets", func(s *upstreamtest.Session) { s.Head(); s.Reset() }, 502, dispatch.CodeUpstreamReset},
		{"closes within the head", func(s *upstreamtest.Session) { s.Head(); s.Write("HTTP/1.1 200 OK\r\nX: ") }, 502, dispatch.CodeUpstreamReset},
		{"hangs", func(s *upstreamtest.Session) { s.Hang() }, 504, dispatch.CodeUpstreamTimeout},
		{"hangs within the head", func(s *upstreamtest.Session) { s.Head(); s.Write("HTTP/1.1 2"); s.Hang() }, 504, dispatch.CodeUpstreamTimeout},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			b, r := raw(t, tc.script, func(_ *Config, r *dispatch.Route) {
				if tc.status == 504 {
					r.Retry.PerTryTimeout = 150 * time.Millisecond
				}
			})
			c := b.dial()
			for range 2 { // the client's connection survives
				c.send(get)
				res, body := c.response("GET")
				if res.StatusCode != tc.status || !strings.HasPrefix(body, fmt.Sprintf("smartlb: %d %s: ", tc.status, tc.why)) {
					t.Fatalf("got %d %q, want %d %s", res.StatusCode, body, tc.status, tc.why)
				}
			}
			eventually(t, "no connection to it is kept", func() bool { return r.Open() == 0 })
			if got := b.entries(); len(got) != 2 || got[0].Status != tc.status || got[0].Why != tc.why {
				t.Errorf("access log %+v", got)
			}
		})
	}
}

func TestBodyThatBreaksBreaksTheReply(t *testing.T) {
	long := strings.Repeat("x", 50000)
	var begun chan struct{} // closed when the client has the head: a reset may take along what was not read before
	cases := map[string]func(*upstreamtest.Session){
		"length, closed": func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long)
		},
		"length, reset": func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long)
			<-begun
			s.Reset()
		},
		"chunked, closed": func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + long)
		},
		"chunked, bad": func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX")
			s.Hang()
		},
		"chunked, bad later": func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(long), long))
			<-begun
			s.Write("-1\r\n")
			s.Hang()
		},
		"until close, reset": func(s *upstreamtest.Session) {
			s.Head()
			s.Write("HTTP/1.1 200 OK\r\n\r\n" + long)
			<-begun
			s.Reset()
		},
	}
	for name, script := range cases {
		t.Run(name, func(t *testing.T) {
			begun = make(chan struct{})
			tell := sync.OnceFunc(func() { close(begun) })
			b, _ := raw(t, script, nil)
			t.Cleanup(tell)
			c := b.dial()
			c.send(get)
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			tell()
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("the client was told that the body was whole")
			}
			got := b.entries()
			if len(got) != 1 || got[0].Failure == "" || b.lives[0].Errors.Load() != 1 {
				t.Errorf("log %+v, instance's errors %d: want the failure in both", got, b.lives[0].Errors.Load())
			}
		})
	}
}

func TestSlowBodyTimesOut(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) {
		s.Head()
		s.Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
		s.Hang()
	}, func(c *Config, _ *dispatch.Route) { c.StreamTimeout = 100 * time.Millisecond })
	c := b.dial()
	c.send(get)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err == nil || string(got) != "12345" {
		t.Errorf("got %q, %v", got, err)
	}
	if got := b.entries(); got[0].Failure != "stream-idle" {
		t.Errorf("log %+v", got)
	}
}

func TestStaleConnectionIsNotUsed(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) {
		if s.Request() != nil {
			s.Write(upstreamtest.OK) // and close
		}
	}, nil)
	c := b.dial()
	for i := range 20 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
		if res, _ := c.response("POST"); res.StatusCode != 200 {
			t.Fatalf("request %d: %d", i, res.StatusCode)
		}
		eventually(t, "the instance closes", func() bool { return r.Open() == 0 })
	}
	if s := b.p.Stats(); s.UpstreamStale != 19 || s.UpstreamDials != 20 {
		t.Errorf("stats %+v", s)
	}
}

func TestSurplusBytesPoisonNobody(t *testing.T) {
	for name, script := range map[string]func(*upstreamtest.Session){
		"with the response": upstreamtest.Always(upstreamtest.OK + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
		"after it": func(s *upstreamtest.Session) {
			for s.Request() != nil {
				s.Write(upstreamtest.OK)
				s.Wait(10 * time.Millisecond)
				s.Write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
			}
		},
		"behind a chunked body": upstreamtest.Always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
		"behind a HEAD": func(s *upstreamtest.Session) {
			for s.Request() != nil {
				s.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := raw(t, script, nil)
			c := b.dial()
			if name == "behind a HEAD" {
				c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
				c.response("HEAD")
			}
			for i := range 5 {
				c.send(get)
				if res, body := c.response("GET"); res.StatusCode != 200 || body != "ok" {
					t.Fatalf("request %d: %d %q", i, res.StatusCode, body)
				}
				if name != "behind a HEAD" {
					eventually(t, "the surplus arrives, or the connection is not kept", func() bool {
						return r.Open() == 0 || b.p.Stats().IdleUpstream == 1 && allStale(b)
					})
				}
			}
			want := uint64(0)
			if name == "behind a HEAD" {
				want = 4 // of five proper GETs; the HEAD's connection is gone
			}
			if n := b.p.Stats().UpstreamReuses; n != want {
				t.Errorf("connections were used again %d times, want %d", n, want)
			}
		})
	}
}

// allStale reports whether no kept connection of the bench is fit for a request.
func allStale(b *bench) bool {
	for _, l := range b.lives {
		tr := l.Transport.Load()
		if tr == nil {
			continue
		}
		pool := (*tr).(*idlePool)
		for i := range pool.shards {
			s := &pool.shards[i]
			s.mu.Lock()
			fit := slices.ContainsFunc(s.list, func(u *upstreamConn) bool { return u.wire.quiet() })
			s.mu.Unlock()
			if fit {
				return false
			}
		}
	}
	return true
}

func TestRetryRule(t *testing.T) {
	ok := upstreamtest.Always(upstreamtest.OK)
	reset := func(s *upstreamtest.Session) { s.Head(); s.Reset() }
	takesSome := func(s *upstreamtest.Session) {
		_, _ = io.CopyN(io.Discard, s.Reader, 50000)
		s.Reset()
	}
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	large := "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)
	unavailable := upstreamtest.Always("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")
	cases := []struct {
		name     string
		first    func(*upstreamtest.Session) // nil: nobody listens
		request  string
		status   int
		attempts int
	}{
		{"GET goes elsewhere when refused", nil, get, 200, 2},
		{"POST goes elsewhere when refused: nothing was sent", nil, post, 200, 2},
		{"large upload goes elsewhere when refused: nothing was read beyond the buffer", nil, large, 200, 2},
		{"GET goes elsewhere after a reset", reset, get, 200, 2},
		{"POST does not after a reset: it may have been done", reset, post, 502, 1},
		{"large PUT does not after a reset: what was sent is in no buffer any more", takesSome, large, 502, 1},
		{"GET goes elsewhere after a status that is to be retried", unavailable, get, 200, 2},
		{"POST does not", unavailable, post, 503, 1},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			second := upstreamtest.NewRaw(t, ok)
			addr := ""
			if tc.first == nil {
				addr = porttest.Refused(t)
			} else {
				addr = upstreamtest.NewRaw(t, tc.first).Addr
			}
			b := run(t, []string{addr, second.Addr}, func(_ *Config, r *dispatch.Route) { r.Retry.OnStatus.Add(503, 503) })
			c := b.dial()
			c.send(tc.request)
			res, _ := c.response("GET")
			if res.StatusCode != tc.status {
				t.Errorf("got %d, want %d", res.StatusCode, tc.status)
			}
			if got := b.entries(); len(got) != 1 || got[0].Attempts != tc.attempts {
				t.Errorf("access log %+v, want %d attempts", got, tc.attempts)
			}
			if tc.status == 200 {
				_, wantBody, _ := strings.Cut(tc.request, "\r\n\r\n")
				if all := second.Received(); len(all) != 1 || !strings.HasSuffix(string(all[0]), "\r\n\r\n"+wantBody) {
					t.Errorf("the second instance got %d connections: not the whole request", len(all))
				}
			}
		})
	}
}

func TestClientThatLeavesIsNotTheInstancesFault(t *testing.T) {
	t.Run("while waiting", func(t *testing.T) {
		b, r := raw(t, func(s *upstreamtest.Session) { s.Hang() }, nil)
		c := b.dial()
		c.send(get)
		eventually(t, "the instance has it", func() bool { return len(r.Received()) == 1 && len(r.Received()[0]) > 0 })
		c.abort()
		eventually(t, "the instance is let go", func() bool { return r.Open() == 0 })
		got := b.entries()
		if len(got) != 1 || got[0].Status != 499 || b.lives[0].Errors.Load() != 0 {
			t.Errorf("log %+v, errors %d", got, b.lives[0].Errors.Load())
		}
	})
	for _, size := range []int{1000, 1000000} {
		t.Run(fmt.Sprintf("within an upload of %d", size), func(t *testing.T) {
			b, r := raw(t, func(s *upstreamtest.Session) { s.Request() }, nil)
			c := b.dial()
			c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size) + strings.Repeat("x", size/2))
			eventually(t, "it is there", func() bool { return b.p.Stats().Accepted == 1 })
			_ = c.Close()
			eventually(t, "it ends", func() bool { return b.p.Stats().ConnectionsOpen == 0 && r.Open() == 0 })
			got := b.entries()
			if len(got) != 1 || got[0].Status != 499 || b.lives[0].Errors.Load() != 0 {
				t.Errorf("log %+v, errors %d", got, b.lives[0].Errors.Load())
			}
		})
	}
	t.Run("within a chunked upload", func(t *testing.T) {
		b, r := raw(t, func(s *upstreamtest.Session) { s.Request() }, nil)
		c := b.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		eventually(t, "the instance has it", func() bool { return r.Open() == 1 })
		_ = c.Close()
		eventually(t, "it ends", func() bool { return b.p.Stats().ConnectionsOpen == 0 && r.Open() == 0 })
		if bytes.Contains(r.Received()[0], []byte("\r\n0\r\n\r\n")) {
			t.Errorf("the instance was told that the upload was whole: %q", r.Received()[0])
		}
		if got := b.entries(); len(got) != 1 || got[0].Status != 499 {
			t.Errorf("log %+v", got)
		}
	})
}

func TestBrokenUploadGets400(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) { s.Request() }, nil)
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	eventually(t, "the instance has the start", func() bool { return r.Open() == 1 })
	c.send("zz\r\n")
	if res, body := c.response("POST"); res.StatusCode != 400 || !res.Close {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	c.ended()
	got := b.entries()
	if len(got) != 1 || got[0].Status != 400 || b.lives[0].Errors.Load() != 0 {
		t.Errorf("log %+v, errors %d", got, b.lives[0].Errors.Load())
	}
}

// TestReplySurvivesUnreadBody: a client that first sends everything and then
// reads must find the reply, not a reset.
func TestReplySurvivesUnreadBody(t *testing.T) {
	b := run(t, nil, nil)
	for range 20 {
		c := b.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
		for range 6 { // all within the second for which the proxy reads on
			c.send(strings.Repeat("x", 50000))
			time.Sleep(time.Millisecond)
		}
		if res, _ := c.response("POST"); res.StatusCode != 503 || !res.Close {
			t.Errorf("got %d, close %v", res.StatusCode, res.Close)
		}
		c.ended()
	}
}

func TestTimeouts(t *testing.T) {
	idle := func(c *Config) *time.Duration { return &c.IdleTimeout }
	head := func(c *Config) *time.Duration { return &c.HeadTimeout }
	body := func(c *Config) *time.Duration { return &c.BodyTimeout }
	for name, tc := range map[string]struct {
		request string
		status  int
		which   func(*Config) *time.Duration
	}{
		"idle":                  {"", 0, idle},
		"half a head":           {"GET / HTTP/1.1\r\nHo", 408, head},
		"half a small body":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345", 408, body},
		"half a large body":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n12345", 408, body},
		"chunks that never end": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 408, body},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, func(s *upstreamtest.Session) { s.Request() }, func(c *Config, _ *dispatch.Route) {
				c.IdleTimeout, c.HeadTimeout, c.BodyTimeout = testTimeout, testTimeout, testTimeout
				*tc.which(c) = 100 * time.Millisecond // the others do not come in between
			})
			c := b.dial()
			c.send(tc.request)
			if tc.status > 0 {
				if res, _ := c.response("POST"); res.StatusCode != tc.status {
					t.Errorf("got %d, want %d", res.StatusCode, tc.status)
				}
			}
			c.ended()
		})
	}
}

func TestDrain(t *testing.T) {
	release := make(chan struct{})
	b, r := raw(t, func(s *upstreamtest.Session) {
		for req := s.Request(); req != nil; req = s.Request() {
			if req.URL.Path == "/slow" {
				<-release
			}
			s.Write(upstreamtest.OK)
		}
	}, nil)
	idle, busy, fresh := b.dial(), b.dial(), b.dial()
	idle.send(get)
	idle.response("GET")
	busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the slow one is under way, and all are accepted", func() bool { return b.lives[0].InFlight.Load() == 1 && b.p.Stats().Accepted == 3 })
	drained := make(chan error, 1)
	go func() { drained <- b.p.Drain(context.Background()) }()
	idle.ended()
	fresh.ended()
	if _, err := net.Dial("tcp", b.addr); err == nil {
		t.Error("a new connection was accepted")
	}
	close(release)
	res, body := busy.response("GET")
	if res.StatusCode != 200 || body != "ok" || !res.Close {
		t.Errorf("got %d %q, close %v", res.StatusCode, body, res.Close)
	}
	busy.ended()
	if err := take(t, "the end of the drain", drained); err != nil {
		t.Error(err)
	}
	b.stop()
	eventually(t, "no connection to the instance is left", func() bool { return r.Open() == 0 })
}

// TestDrainLosesNothing: every request that an instance has answered reaches its
// client whole, also those that cross the drain.
func TestDrainLosesNothing(t *testing.T) {
	var answered, received atomic.Int64
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answered.Add(1)
		_, _ = io.WriteString(w, strings.Repeat("x", 5000))
	}))}, nil)
	var wg sync.WaitGroup
	for range 16 {
		c := b.dial() // none comes too late for the drain
		wg.Go(func() {
			for {
				if _, err := io.WriteString(c, get); err != nil {
					return
				}
				res, err := http.ReadResponse(c.r, nil)
				if err != nil {
					return
				}
				if n, err := io.Copy(io.Discard, res.Body); n != 5000 || err != nil {
					t.Errorf("a reply was cut after %d bytes: %v", n, err)
					return
				}
				received.Add(1)
			}
		})
	}
	eventually(t, "they are at it", func() bool { return received.Load() > 500 })
	if err := b.p.Drain(context.Background()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if a, r := answered.Load(), received.Load(); a != r {
		t.Errorf("%d answered, %d received", a, r)
	}
}

func TestDrainCutsAtItsEnd(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) { s.Hang() }, nil)
	c := b.dial()
	c.send(get)
	eventually(t, "it is under way", func() bool { return b.lives[0].InFlight.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := b.p.Drain(ctx)
	var cut *CutError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &cut) || cut.Requests != 1 || cut.Services() != "s 1" {
		t.Errorf("got %v", err)
	}
	b.stop()
	if _, err := io.ReadAll(c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client was left waiting")
	}
	if got := b.entries(); len(got) != 1 || got[0].Status != 503 || got[0].Failure != "proxy-stopping" || got[0].BytesOut != 0 {
		t.Errorf("log %+v", got)
	}
}

func TestRetiredInstanceKeepsNoConnections(t *testing.T) {
	b, r := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	c := b.dial()
	c.send(get)
	c.response("GET")
	eventually(t, "a kept connection", func() bool { return b.p.Stats().IdleUpstream == 1 })
	b.lives[0].Retire()
	eventually(t, "it is closed", func() bool { return r.Open() == 0 })
	c.send(get) // a late pick still works, on a connection of its own
	if res, _ := c.response("GET"); res.StatusCode != 200 {
		t.Errorf("got %d", res.StatusCode)
	}
	eventually(t, "which is not kept", func() bool { return r.Open() == 0 && b.p.Stats().IdleUpstream == 0 })
}

func TestSlowAccessLogDropsAndCounts(t *testing.T) {
	gate := make(chan struct{})
	var lines atomic.Int64
	w := writerFunc(func(p []byte) (int, error) {
		<-gate
		lines.Add(int64(bytes.Count(p, []byte("\n"))))
		return len(p), nil
	})
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.AccessLog = w })
	c := b.dial()
	const n = 3000
	target := strings.Repeat("x", 2000)
	for range n {
		c.send("GET /" + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		c.response("GET")
	}
	close(gate)
	b.stop()
	dropped := b.p.Stats().AccessLogDropped
	if dropped == 0 || int64(dropped)+lines.Load() != n {
		t.Errorf("%d written and %d dropped of %d", lines.Load(), dropped, n)
	}
}

func TestAnAccessLogThatNobodyReadsDoesNotHoldUpTheStop(t *testing.T) {
	gate := make(chan struct{})
	w := writerFunc(func(p []byte) (int, error) { <-gate; return len(p), nil })
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.AccessLog = w })
	c := b.dial()
	c.send(get)
	c.response("GET")
	stopped := make(chan struct{})
	go func() { defer close(stopped); b.stop() }()
	select {
	case <-stopped:
	case <-time.After(testTimeout):
		t.Error("it waits on")
	}
	close(gate)
	take(t, "the end of the proxy", stopped)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
