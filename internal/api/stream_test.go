package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/api"
)

// recorder is a connection: it takes what is flushed, or fails as a peer does
// that has gone.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	status int
	body   bytes.Buffer
	broken bool
}

func (r *recorder) Header() http.Header                 { return r.header }
func (r *recorder) WriteHeader(status int)              { r.status = status }
func (r *recorder) FlushError() error                   { return nil }
func (r *recorder) SetWriteDeadline(at time.Time) error { return nil }
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return 0, errors.New("broken pipe")
	}
	return r.body.Write(b)
}

type sent struct{ name, data string }

func (r *recorder) events(t *testing.T) (out []sent) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for block := range strings.SplitSeq(strings.TrimSuffix(r.body.String(), "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(block, "\n")
		if block == "" {
			continue
		}
		if !ok || !strings.HasPrefix(name, "event: ") || !strings.HasPrefix(data, "data: ") || strings.Contains(data, "\n") {
			t.Errorf("not an event: %q", block)
		}
		out = append(out, sent{strings.TrimPrefix(name, "event: "), strings.TrimPrefix(data, "data: ")})
	}
	return out
}

// stream asks for an event stream within the bubble; stop ends the request and
// waits for the handler.
func stream(src api.Sources, target string) (r *recorder, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	request := httptest.NewRequestWithContext(ctx, "GET", target, nil)
	r = &recorder{header: http.Header{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		api.New(src, quiet).ServeHTTP(r, request)
	}()
	return r, func() { cancel(); <-done }
}

func TestOverviewStreamBeginsWithAllAndGoesOnWithChanges(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src := full()
		var fail atomic.Bool
		src.Overview = func(context.Context) (api.Overview, error) {
			if fail.Load() {
				return api.Overview{}, api.ErrUnavailable
			}
			return overview(), nil
		}
		r, stop := stream(src, "/api/v1/overview/events")
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		fail.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		fail.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		stop()
		var names []string
		for _, e := range r.events(t) {
			names = append(names, e.name)
			d.event("/api/v1/overview/events", e.name, []byte(e.data))
		}
		if got, want := strings.Join(names, " "), "overview changes changes problem overview"; got != want {
			t.Errorf("events %s, want %s", got, want)
		}
		if r.header.Get("Content-Type") != "text/event-stream" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", r.header)
		}
	})
}

func TestStreamEndsWhenThePeerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, target := range []string{"/api/v1/overview/events", "/api/v1/topics/alerts/events"} {
			r := &recorder{header: http.Header{}, broken: true}
			api.New(full(), quiet).ServeHTTP(r, httptest.NewRequest("GET", target, nil)) // returns by itself
		}
	})
}

type batch struct {
	Messages []api.Message
	Skipped  int
}

func batches(t *testing.T, d *description, r *recorder) (out []batch) {
	t.Helper()
	for _, e := range r.events(t) {
		d.event("/api/v1/topics/{topic}/events", e.name, []byte(e.data))
		var b batch
		if err := json.Unmarshal([]byte(e.data), &b); err != nil {
			t.Error(err)
		}
		out = append(out, b)
	}
	return out
}

func TestTailShowsMessagesAndCountsWhatItSkips(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src, lasts := full(), make(chan int, 1)
		src.Tail = func(ctx context.Context, _ string, last int, f func([]api.Message)) error {
			lasts <- last
			f([]api.Message{message(0), message(1)})
			time.Sleep(time.Second)
			for i := range 10 { // 1000 messages at once: 50 may be shown in a quarter of a second
				many := make([]api.Message, 100)
				for j := range many {
					many[j] = message(int64(2 + 100*i + j))
				}
				f(many)
			}
			<-ctx.Done()
			return nil
		}
		r, stop := stream(src, "/api/v1/topics/alerts/events?last=9999")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		stop()
		if last := <-lasts; last != 500 {
			t.Errorf("last %d, want it cut to 500", last)
		}
		var shown, skipped int
		var newest int64
		for _, b := range batches(t, d, r) {
			if len(b.Messages) > 50 {
				t.Errorf("%d messages at once", len(b.Messages))
			}
			shown, skipped = shown+len(b.Messages), skipped+b.Skipped
			for _, m := range b.Messages {
				newest = max(newest, m.Offset)
			}
		}
		if shown+skipped != 1002 || newest != 1001 {
			t.Errorf("%d shown, %d skipped, newest %d: want every message of 1002 shown or counted, and the newest shown", shown, skipped, newest)
		}
	})
}

func TestQuietTailSaysSomethingEachFiveSeconds(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src := full()
		src.Tail = func(ctx context.Context, _ string, _ int, _ func([]api.Message)) error { <-ctx.Done(); return nil }
		r, stop := stream(src, "/api/v1/topics/alerts/events")
		time.Sleep(16 * time.Second)
		synctest.Wait()
		stop()
		if got := batches(t, d, r); len(got) != 3 {
			t.Errorf("%d events in 16 s, want 3", len(got))
		}
	})
}

func TestTailThatFailsSaysWhy(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src := full()
		src.Tail = func(context.Context, string, int, func([]api.Message)) error { return api.ErrUnavailable }
		r, stop := stream(src, "/api/v1/topics/alerts/events")
		synctest.Wait()
		stop()
		events := r.events(t)
		if len(events) != 1 || events[0].name != "problem" {
			t.Fatalf("events %v", events)
		}
		d.event("/api/v1/topics/{topic}/events", "problem", []byte(events[0].data))
	})
}
