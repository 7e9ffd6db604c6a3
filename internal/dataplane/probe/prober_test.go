package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestStandingChangesOnlyAfterItsThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 5).Draw(t, "rise"), rapid.IntRange(1, 5).Draw(t, "fall")
		var s Standing
		var history []bool
		for i := range rapid.IntRange(1, 60).Draw(t, "n") {
			ok := rapid.Bool().Draw(t, "ok")
			was := s.Up
			changed := s.Take(ok, false, rise, fall)
			history = append(history, ok)
			if i == 0 {
				if !changed || s.Up != ok {
					t.Fatal("the first check decides")
				}
				continue
			}
			if changed != (s.Up != was) {
				t.Fatal("changed does not tell the truth")
			}
			if changed {
				need := fall
				if s.Up {
					need = rise
				}
				for _, h := range history[max(0, len(history)-need):] {
					if h != s.Up {
						t.Fatalf("changed to %v against its last %d checks", s.Up, need)
					}
				}
			}
		}
	})
}

func target(addr string) Target {
	return Target{Service: "s", Instance: "i", Addr: addr, Check: "http", Path: "/health", Interval: 20 * time.Millisecond, Timeout: 2 * time.Second, Rise: 2, Fall: 3}
}

// start runs a prober on one target and gives its results.
func start(t *testing.T, target Target, allow bool) (*Prober, chan Result) {
	results := make(chan Result, 1000)
	p := New(Config{OnResult: func(r Result) { results <- r }, AllowDown: func(Target) bool { return allow }})
	p.Set([]Target{target})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return p, results
}

func TestCheckedWaitsForTheFirstCheckOfEachTarget(t *testing.T) {
	answer := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answer }))
	defer s.Close()
	p, results := start(t, target(s.Listener.Addr().String()), false)
	if p.Checked() {
		t.Error("checked before the instance has answered")
	}
	close(answer)
	await(t, results, "a result", func(Result) bool { return true })
	for end := time.Now().Add(2 * time.Minute); !p.Checked(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never checked")
		}
	}
	p.Set(nil)
	if !p.Checked() {
		t.Error("no target, and not checked")
	}
}

func await(t *testing.T, results chan Result, what string, ok func(Result) bool) Result {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case r := <-results:
			if ok(r) {
				return r
			}
		case <-deadline:
			t.Fatalf("no result with %s", what)
		}
	}
}

func TestHTTPCheckFollowsTheInstance(t *testing.T) {
	var sick atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(503)
		}
		w.Write([]byte(strings.Repeat("x", 1000)))
	}))
	defer server.Close()
	_, results := start(t, target(server.Listener.Addr().String()), false)
	r := await(t, results, "up", func(r Result) bool { return r.Up })
	if r.StatusCode != 200 || len(r.Body) != maxBody {
		t.Errorf("status %d, %d bytes, want 200, %d", r.StatusCode, len(r.Body), maxBody)
	}
	sick.Store(true)
	await(t, results, "down", func(r Result) bool { return r.Changed && !r.Up && r.StatusCode == 503 })
	sick.Store(false)
	await(t, results, "up again", func(r Result) bool { return r.Changed && r.Up })
}

func TestUnixSocketsAreChecked(t *testing.T) {
	dir, err := os.MkdirTemp("", "smartlb") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("unix", filepath.Join(dir, "app.sock"))
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(chan string, 1000)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })}
	go func() { _ = server.Serve(ln) }()
	defer server.Close()
	of := target("unix:" + ln.Addr().String())
	_, results := start(t, of, false)
	await(t, results, "up", func(r Result) bool { return r.Up && r.StatusCode == 200 })
	if host := <-hosts; host != "localhost" {
		t.Errorf("Host %q", host)
	}
	of.Check = "tcp"
	_, results = start(t, of, false)
	await(t, results, "up", func(r Result) bool { return r.Up })
	_ = server.Close()
	await(t, results, "down", func(r Result) bool { return !r.Up })
}

// An address with a zone serves requests; in the text of a URL its % began an
// escape, and every check failed. The zone is no part of the Host header.
func TestAddressesWithAZoneAreChecked(t *testing.T) {
	req, err := Target{Check: "http", Addr: "[fe80::1%eth0]:8080", Path: "//health"}.request(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sent strings.Builder
	if err := req.Write(&sent); err != nil {
		t.Fatal(err)
	}
	if req.URL.Host != "[fe80::1%eth0]:8080" || !strings.HasPrefix(sent.String(), "GET //health HTTP/1.1\r\nHost: [fe80::1]:8080\r\n") {
		t.Errorf("sent to %s: %q", req.URL.Host, sent.String())
	}
}

// A check without a descriptor says nothing about the instance: it made all of them unhealthy.
func TestOwnShortageIsNoVerdict(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	for _, kind := range []string{"http", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			tg := target(server.Listener.Addr().String())
			tg.Check, tg.Rise, tg.Fall = kind, 1, 1
			results, short := make(chan Result, 1000), make(chan string, 1000)
			p := New(Config{OnResult: func(r Result) { results <- r }, OnShort: func(what string) { short <- what }, AllowDown: func(Target) bool { return true }})
			p.Set([]Target{tg})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- p.Run(ctx) }()
			defer func() { cancel(); <-done }()
			await(t, results, "up", func(r Result) bool { return r.Up })
			var limit syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				t.Fatal(err)
			}
			none := limit
			none.Cur = 3
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				p.Check("s", "i")
				<-short
			}
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				t.Fatal(err)
			}
			await(t, results, "another check", func(r Result) bool {
				if !r.Up || r.Changed && !r.OK {
					t.Fatalf("the instance was found down: %+v", r)
				}
				return len(short) == 0
			})
		})
	}
}

func TestEventCheckTakesOutAtOnceWhereAllowed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tg := target(listener.Addr().String())
	tg.Check, tg.Path, tg.Interval, tg.Fall = "tcp", "", time.Second, 100
	p, results := start(t, tg, true)
	await(t, results, "up", func(r Result) bool { return r.Up })
	listener.Close()
	p.Check("s", "i")
	r := await(t, results, "down by event", func(r Result) bool { return r.Event })
	if r.Up || !r.Changed || r.Body != "connection refused" {
		t.Fatalf("got up %v changed %v %q", r.Up, r.Changed, r.Body)
	}
}
