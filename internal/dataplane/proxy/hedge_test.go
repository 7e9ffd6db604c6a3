package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// hedging sends requests to a second instance at once.
func hedging(_ *Config, r *dispatch.Route) {
	r.Hedge = &dispatch.Hedge{After: time.Millisecond}
	r.Retry.OnStatus.Add(503, 503)
}

const named = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-From: second\r\n\r\nhello"

func TestAHedgeAnswersForASilentInstance(t *testing.T) {
	asked := make(chan struct{}, 5) // the hedge is answered only after the first try has reached its instance
	silent := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Head(); asked <- struct{}{}; s.Hang() })
	good := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		for s.Request() != nil {
			<-asked
			s.Write(named)
		}
	})
	b := run(t, []string{silent.Addr, good.Addr}, func(c *Config, r *dispatch.Route) {
		hedging(c, r)
		edits, err := action.NewHeaders([]action.Edit{{Name: "X-To", Value: "${instance}"}}, []string{"X-Drop"})
		if err != nil {
			t.Fatal(err)
		}
		r.Actions = &action.Actions{Request: edits}
	})
	c := b.dial()
	for range 5 { // the client's connection survives
		c.send("GET /a HTTP/1.1\r\nHost: a\r\nX-Drop: 1\r\n\r\n")
		if res, body := c.response("GET"); res.StatusCode != 200 || body != "hello" || res.Header.Get("X-From") != "second" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
		eventually(t, "the silent instance is let go", func() bool { return silent.Open() == 0 })
	}
	for i, r := range []*upstreamtest.Raw{silent, good} {
		for _, got := range r.Received() {
			if text := string(got); !strings.Contains(text, fmt.Sprintf("X-To: s-%d\r\n", i)) || strings.Contains(text, "X-Drop") {
				t.Errorf("instance %d got %q", i, text)
			}
		}
	}
	for _, e := range b.entries() {
		if e.Attempts != 2 || e.Hedge != "won" || e.Instance != "s-1" || e.Status != 200 || e.Failure != "" {
			t.Errorf("log %+v", e)
		}
	}
	if l := b.lives[0]; l.Errors.Load() != 0 || l.Requests.Load() != 0 || l.Fails.Load() != 0 {
		t.Errorf("the silent instance has %d errors of %d requests", l.Errors.Load(), l.Requests.Load())
	}
	if _, _, known := b.lives[0].Latency.Load(b.p.cfg.Now()); !known {
		t.Error("the silent instance has no latency")
	}
}

func TestTheFirstTryAnswersBeforeItsHedge(t *testing.T) {
	release := make(chan struct{})
	second := make(chan struct{}, 10)
	slow := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		for s.Request() != nil {
			<-release
			s.Write(named)
		}
	})
	hang := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Head(); second <- struct{}{}; s.Hang() })
	b := run(t, []string{slow.Addr, hang.Addr}, hedging)
	c := b.dial()
	c.send(get)
	take(t, "the request of the hedge", second)
	close(release)
	if res, body := c.response("GET"); res.StatusCode != 200 || body != "hello" {
		t.Fatalf("got %d %q", res.StatusCode, body)
	}
	eventually(t, "the hedge is cancelled", func() bool { return hang.Open() == 0 })
	if got := b.entries(); len(got) != 1 || got[0].Hedge != "lost" || got[0].Instance != "s-0" || b.lives[1].Errors.Load() != 0 {
		t.Errorf("log %+v, %d errors", got, b.lives[1].Errors.Load())
	}
	if n := b.service.Traffic("all").Load().Hedges; n[dispatch.HedgeLost] != 1 || n[dispatch.HedgeWon] != 0 {
		t.Errorf("counted %v", n)
	}
}

// A failure of one of two tries is charged to its instance, and the other try goes on.
func TestOneOfTwoTriesFails(t *testing.T) {
	for name, script := range map[string]func(*upstreamtest.Session){
		"503":    upstreamtest.Always("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
		"500":    upstreamtest.Always("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
		"closed": func(s *upstreamtest.Session) { s.Head() },
		"no":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			slow := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
				for s.Request() != nil {
					<-release
					s.Write(named)
				}
			})
			bad := ""
			if script != nil {
				bad = upstreamtest.NewRaw(t, script).Addr
			} else {
				bad = porttest.Refused(t)
			}
			b := run(t, []string{slow.Addr, bad}, hedging)
			c := b.dial()
			c.send(get)
			eventually(t, "the hedge has failed", func() bool { return b.lives[1].Errors.Load() == 1 && b.service.Retry.Load() == 0 })
			close(release)
			if res, body := c.response("GET"); res.StatusCode != 200 || body != "hello" {
				t.Fatalf("got %d %q", res.StatusCode, body)
			}
			if got := b.entries(); len(got) != 1 || got[0].Hedge != "lost" || got[0].Instance != "s-0" {
				t.Errorf("log %+v", got)
			}
		})
	}
}

func TestBothTriesFail(t *testing.T) {
	both := sync.WaitGroup{}
	both.Add(2)
	script := func(s *upstreamtest.Session) {
		s.Head()
		both.Done()
		both.Wait()
	}
	b := run(t, []string{upstreamtest.NewRaw(t, script).Addr, upstreamtest.NewRaw(t, script).Addr}, func(c *Config, r *dispatch.Route) {
		hedging(c, r)
		r.Retry.Attempts = 0
	})
	c := b.dial()
	c.send(get)
	if res, _ := c.response("GET"); res.StatusCode != 502 {
		t.Errorf("got %d", res.StatusCode)
	}
	if got := b.entries(); len(got) != 1 || got[0].Failure == "" || b.lives[0].Errors.Load() != 1 || b.lives[1].Errors.Load() != 1 {
		t.Errorf("log %+v, errors %d and %d", got, b.lives[0].Errors.Load(), b.lives[1].Errors.Load())
	}
}

func TestTheClientLeavesTwoTries(t *testing.T) {
	start := func(t *testing.T) (*bench, []*upstreamtest.Raw) {
		hang := func(s *upstreamtest.Session) { s.Hang() }
		both := []*upstreamtest.Raw{upstreamtest.NewRaw(t, hang), upstreamtest.NewRaw(t, hang)}
		return run(t, []string{both[0].Addr, both[1].Addr}, hedging), both
	}
	left := func(t *testing.T, b *bench, both []*upstreamtest.Raw, status int) {
		eventually(t, "both instances are let go", func() bool { return both[0].Open() == 0 && both[1].Open() == 0 && b.service.Active.Load() == 0 })
		if got := b.entries(); len(got) != 1 || got[0].Status != status || b.lives[0].Errors.Load() != 0 || b.lives[1].Errors.Load() != 0 || b.service.Retry.Load() != 0 {
			t.Errorf("log %+v", got)
		}
	}
	waiting := func(b *bench) func() bool { return func() bool { return b.lives[1].InFlight.Load() == 1 } }
	t.Run("HTTP/1.1", func(t *testing.T) {
		b, both := start(t)
		c := b.dial()
		c.send(get)
		eventually(t, "both wait", waiting(b))
		c.abort()
		left(t, b, both, 499)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		b, both := start(t)
		client, url := b.h2Client("/")
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
			if res, err := client.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}()
		eventually(t, "both wait", waiting(b))
		cancel()
		take(t, "the client's error", done)
		left(t, b, both, 499)
	})
	t.Run("the proxy stops", func(t *testing.T) {
		b, both := start(t)
		c := b.dial()
		c.send(get)
		eventually(t, "both wait", waiting(b))
		b.stop()
		left(t, b, both, 503)
	})
}

// Both sides may speak HTTP/2, and bodies of every kind come through.
func TestHedgesOfHTTP2(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	asked, gone := make(chan struct{}, 100), make(chan struct{}, 100)
	silent, _ := h2Instance(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	good, _ := h2Instance(t, func(w http.ResponseWriter, _ *http.Request) {
		<-asked // a hedge may be answered before the first try has reached its instance
		_, _ = w.Write([]byte(long))
	})
	b := runMux(t, []string{silent, good}, hedging)
	for range 3 {
		client, url := b.h2Client("/")
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); res.StatusCode != 200 || body != long {
			t.Fatalf("got %d, %d bytes", res.StatusCode, len(body))
		}
		take(t, "the end of the first try", gone)
		c := b.dial()
		c.send(get)
		if res, body := c.response("GET"); res.StatusCode != 200 || body != long {
			t.Fatalf("HTTP/1.1: got %d, %d bytes", res.StatusCode, len(body))
		}
		take(t, "the end of the first try", gone)
	}
	for _, e := range b.entries() {
		if e.Hedge != "won" || e.Instance != "s-1" {
			t.Errorf("log %+v", e)
		}
	}
}

func TestRequestsThatAreNotHedged(t *testing.T) {
	ok := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond) // longer than the wait of the hedge
		upstreamtest.Echo(w, r)
	}))
	second := upstreamtest.NewRaw(t, upstreamtest.Always(named))
	b := run(t, []string{ok, second.Addr}, hedging)
	c := b.dial()
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Negotiate abc\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
	} {
		c.send(request)
		c.response("GET")
	}
	for _, e := range b.entries() {
		if e.Attempts != 1 || e.Hedge != "" {
			t.Errorf("log %+v", e)
		}
	}
}

// A try may not answer within its time, with and without a hedge.
func TestTimeoutsOfTwoTries(t *testing.T) {
	hang := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Hang() })
	other := upstreamtest.NewRaw(t, func(s *upstreamtest.Session) { s.Hang() })
	for name, edit := range map[string]func(*dispatch.Route){
		"per try": func(r *dispatch.Route) { r.Retry.PerTryTimeout = 150 * time.Millisecond },
		"route":   func(r *dispatch.Route) { r.Timeout = 150 * time.Millisecond },
		"before":  func(r *dispatch.Route) { r.Timeout = 150 * time.Millisecond; r.Hedge.After = time.Hour },
	} {
		b := run(t, []string{hang.Addr, other.Addr}, func(c *Config, r *dispatch.Route) {
			hedging(c, r)
			r.Retry.Attempts = 0
			edit(r)
		})
		c := b.dial()
		c.send(get)
		if res, _ := c.response("GET"); res.StatusCode != 504 {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
		b.stop()
	}
}

// Clients, instances and hedges at random: the answers belong to their requests.
func TestHedgedAnswersBelongToTheirRequests(t *testing.T) {
	answer := func(pause time.Duration) string {
		n := 0
		var mu sync.Mutex
		return upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			n++
			slow := n%3 == 0
			mu.Unlock()
			if slow {
				time.Sleep(pause)
			}
			fmt.Fprint(w, r.URL.Path)
		}))
	}
	b := run(t, []string{answer(5 * time.Millisecond), answer(3 * time.Millisecond), answer(time.Millisecond)}, hedging)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			client, url := b.http("/")
			if i%2 == 0 {
				client, url = b.h2Client("/")
			}
			for j := range 100 {
				path := fmt.Sprintf("%d-%d", i, j)
				res, err := client.Get(url + path)
				if err != nil {
					t.Error(err)
					return
				}
				if body := readAll(t, res.Body); res.StatusCode != 200 || body != "/"+path {
					t.Errorf("%s: got %d %q", path, res.StatusCode, body)
				}
			}
		})
	}
	wg.Wait()
}
