package proxy

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/test/porttest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const unavailable503 = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

// waiting retries a 503 after a wait.
func waiting(wait time.Duration) func(*Config, *dispatch.Route) {
	return func(_ *Config, r *dispatch.Route) {
		r.Retry.OnStatus.Add(503, 503)
		r.Retry.Backoff = backoff.Policy{Base: wait, Max: wait}
	}
}

func TestARetryAfterItsBackoff(t *testing.T) {
	refused := porttest.Refused(t)
	busy := upstreamtest.NewRaw(t, upstreamtest.Always(unavailable503))
	ok := upstreamtest.NewRaw(t, upstreamtest.Always(upstreamtest.OK))
	b := run(t, []string{refused, busy.Addr, ok.Addr}, waiting(time.Millisecond))
	c := b.dial()
	for range 3 {
		c.send(get)
		if res, body := c.response("GET"); res.StatusCode != 200 || body != "ok" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	}
	for _, e := range b.entries() {
		if e.Attempts != 3 || !slices.Equal(e.Retried, []string{"connect-refused", "503"}) || e.Instance != "s-2" {
			t.Errorf("access log %+v", e)
		}
	}
	if n := b.service.Traffic("all").Load().Retries; n[dispatch.RetriedConnect] != 3 || n[dispatch.RetriedStatus] != 3 {
		t.Errorf("counted %v", n)
	}
}

// firstTryOnly finds no instance for a retry.
type firstTryOnly struct{ inTurn }

func (f firstTryOnly) Choose(p *upstream.Pool, a *upstream.Ask) int {
	if a.NTried > 0 {
		return -1
	}
	return f.inTurn.Choose(p, a)
}

// The response that a retry would replace is kept while the retry waits.
func TestTheFirstResponseIsPassedOnIfNoInstanceIsLeft(t *testing.T) {
	busy := upstreamtest.NewRaw(t, upstreamtest.Always("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"))
	other := upstreamtest.NewRaw(t, upstreamtest.Always(upstreamtest.OK))
	b := run(t, []string{busy.Addr, other.Addr}, waiting(time.Millisecond))
	pool := *b.service.Pool()
	pool.Policy = firstTryOnly{}
	b.service.Swap(&pool)
	c := b.dial()
	c.send(get)
	if res, body := c.response("GET"); res.StatusCode != 503 || body != "busy" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
}

func TestAClientLeavesWhileARetryWaits(t *testing.T) {
	start := func(t *testing.T) (*bench, *upstreamtest.Raw) {
		busy := upstreamtest.NewRaw(t, upstreamtest.Always(unavailable503))
		other := upstreamtest.NewRaw(t, upstreamtest.Always(upstreamtest.OK))
		return run(t, []string{busy.Addr, other.Addr}, waiting(time.Hour)), other
	}
	left := func(t *testing.T, b *bench, other *upstreamtest.Raw, status int) {
		eventually(t, "the retry gives its place back", func() bool { return b.service.Retry.Load() == 0 && b.service.Active.Load() == 0 })
		got := b.entries()
		if len(got) != 1 || got[0].Status != status || got[0].Attempts != 1 || other.Connections() != 0 || b.lives[0].Errors.Load() != 1 {
			t.Errorf("log %+v, %d connections to the other instance, %d errors", got, other.Connections(), b.lives[0].Errors.Load())
		}
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		b, other := start(t)
		c := b.dial()
		c.send(get)
		eventually(t, "the retry waits", func() bool { return b.service.Retry.Load() == 1 })
		c.abort()
		left(t, b, other, 499)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		b, other := start(t)
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
		eventually(t, "the retry waits", func() bool { return b.service.Retry.Load() == 1 })
		cancel()
		take(t, "the client's error", done)
		left(t, b, other, 499)
	})
	t.Run("the proxy stops", func(t *testing.T) {
		b, other := start(t)
		c := b.dial()
		c.send(get)
		eventually(t, "the retry waits", func() bool { return b.service.Retry.Load() == 1 })
		b.stop()
		left(t, b, other, 503)
	})
}

func TestAGRPCStatusIsRetried(t *testing.T) {
	status := func(code string) string {
		addr, _ := h2Instance(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", code)
		})
		return addr
	}
	b := runMux(t, []string{status("14"), status("8"), status("0")}, func(_ *Config, r *dispatch.Route) {
		r.Retry.OnGRPC = 1<<14 | 1<<8
		r.Retry.Backoff = backoff.Policy{Base: time.Millisecond, Max: time.Millisecond}
	})
	client, url := b.h2Client("/")
	req, _ := http.NewRequest("POST", url, http.NoBody)
	req.Header.Set("Content-Type", "application/grpc")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = readAll(t, res.Body)
	if got := res.Header.Get("Grpc-Status"); got != "0" {
		t.Errorf("grpc-status %q", got)
	}
	got := b.entries()
	if len(got) != 1 || !slices.Equal(got[0].Retried, []string{"grpc-status 14", "grpc-status 8"}) || b.lives[0].Fails.Load() != 1 || b.lives[1].Fails.Load() != 1 || b.lives[2].Fails.Load() != 0 {
		t.Errorf("log %+v, failures %d %d %d", got, b.lives[0].Fails.Load(), b.lives[1].Fails.Load(), b.lives[2].Fails.Load())
	}
	if n := b.service.Traffic("all").Load().Retries[dispatch.RetriedGRPC]; n != 2 {
		t.Errorf("%d retries are counted", n)
	}
}

func TestRetryAfterOfA503RestsItsInstance(t *testing.T) {
	busy := upstreamtest.NewRaw(t, upstreamtest.Always(unavailable503))
	ok := upstreamtest.NewRaw(t, upstreamtest.Always(upstreamtest.OK))
	b := run(t, []string{busy.Addr, ok.Addr}, func(_ *Config, r *dispatch.Route) {
		r.Retry.OnStatus.Add(503, 503)
		r.Retry.MaxRetryAfter = time.Hour
	})
	c := b.dial()
	before := b.p.cfg.Now()
	c.send(get)
	if res, _ := c.response("GET"); res.StatusCode != 200 {
		t.Fatalf("got %d", res.StatusCode)
	}
	after := b.p.cfg.Now()
	if until := b.lives[0].RestsUntil(); until < before+int64(time.Second) || until > after+int64(time.Second) {
		t.Errorf("rests until %d, asked between %d and %d for a second", until, before, after)
	}
}
