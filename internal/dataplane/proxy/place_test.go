package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

// busy starts an instance that holds each request until release, and a proxy that sends it one at a time.
func busy(t *testing.T, waiting int, wait time.Duration) (b *bench, release func(), served *atomic.Int64) {
	free, served := make(chan struct{}), new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		served.Add(1)
		select {
		case <-free:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	var once sync.Once
	release = func() { once.Do(func() { close(free) }) }
	t.Cleanup(release) // before the server closes
	b = run(t, []string{s.Listener.Addr().String()}, func(_ *Config, r *dispatch.Route) {
		r.Split[0].Leg = &dispatch.Leg{QueueTimeout: wait}
		r.Retry = dispatch.Retry{}
	})
	b.service.Gate.Set(guard.Limits{Running: 1, Waiting: waiting})
	return b, release, served
}

func (b *bench) waiting(n int) {
	b.tb.Helper()
	eventually(b.tb, "requests wait", func() bool { return b.service.Gate.Counts().Waiting == n })
}

func TestRequestsWaitInTheQueue(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		b, release, served := busy(t, 3, testTimeout)
		client, url := b.clientsOf("/")[protocol]()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				res, err := client.Post(url, "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				if _ = readAll(t, res.Body); res.StatusCode != 200 {
					t.Errorf("%s: got %d", protocol, res.StatusCode)
				}
			})
		}
		b.waiting(3)
		eventually(t, "the instance is busy", func() bool { return served.Load() == 1 })
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || !strings.Contains(body, "503 queue-full: ") {
			t.Errorf("%s: got %d %v %s", protocol, res.StatusCode, res.Header, body)
		}
		if n := served.Load(); n != 1 {
			t.Errorf("%s: the instance got %d requests", protocol, n)
		}
		release()
		wg.Wait()
		if c := b.service.Gate.Counts(); c.Queued != 3 || c.Entered != 4 {
			t.Errorf("%s: %+v", protocol, c)
		}
		eventually(t, "three of five lines of the access log have queue_ms", func() bool {
			text := b.log.String()
			return strings.Count(text, "\n") == 5 && strings.Count(text, `,"queue_ms":`) == 3
		})
	}
}

func TestAWaitEndsAtItsTimeout(t *testing.T) {
	b, _, served := busy(t, 3, soon)
	first := b.dial()
	first.send(get)
	eventually(t, "the instance is busy", func() bool { return served.Load() == 1 })
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		client, url := b.clientsOf("/")[protocol]()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); res.StatusCode != 503 || !strings.Contains(body, "503 queue-timeout: ") {
			t.Errorf("%s: got %d %s", protocol, res.StatusCode, body)
		}
	}
	if l := b.lives[0]; l.Errors.Load() != 0 || served.Load() != 1 {
		t.Errorf("the instance has %d errors and got %d requests", l.Errors.Load(), served.Load())
	}
}

// A client that leaves gives its place in the queue back.
func TestAClientLeavesTheQueue(t *testing.T) {
	b, release, served := busy(t, 2, testTimeout)
	first := b.dial()
	first.send(get)
	eventually(t, "the instance is busy", func() bool { return served.Load() == 1 })
	second := b.dial()
	second.send(get)
	b.waiting(1)
	second.abort()
	b.waiting(0)
	client, url := b.h2Client("/")
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	done := make(chan error, 1)
	go func() {
		_, err := client.Do(req) //nolint:bodyclose // it fails
		done <- err
	}()
	b.waiting(1)
	cancel()
	if err := take(t, "the client's error", done); err == nil {
		t.Error("an answer after the client left")
	}
	b.waiting(0)
	release()
	if res, _ := first.response("GET"); res.StatusCode != 200 {
		t.Errorf("got %d", res.StatusCode)
	}
	eventually(t, "two lines say that the client left", func() bool { return strings.Count(b.log.String(), `"why":"client-gone"`) == 2 })
	if n := served.Load(); n != 1 {
		t.Errorf("the instance got %d requests", n)
	}
}

// A drain serves the requests that wait; when its time is over, it cuts them.
func TestADrainServesTheQueue(t *testing.T) {
	b, release, served := busy(t, 2, testTimeout)
	clients := []*client{b.dial(), b.dial()}
	for i, c := range clients {
		c.send(get)
		eventually(t, "the requests came", func() bool { return int(served.Load())+b.service.Gate.Counts().Waiting == i+1 })
	}
	drained := make(chan error, 1)
	go func() { drained <- b.p.Drain(t.Context()) }()
	eventually(t, "the proxy drains", b.p.draining.Load)
	release()
	for _, c := range clients {
		if res, _ := c.response("GET"); res.StatusCode != 200 {
			t.Errorf("got %d", res.StatusCode)
		}
	}
	if err := take(t, "the end of the drain", drained); err != nil {
		t.Error(err)
	}

	b, _, served = busy(t, 2, testTimeout)
	one, two := b.dial(), b.dial()
	one.send(get)
	eventually(t, "the instance is busy", func() bool { return served.Load() == 1 })
	two.send(get)
	b.waiting(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = b.p.Drain(ctx)
	if _, err := io.ReadAll(two.r); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	b.waiting(0)
}
