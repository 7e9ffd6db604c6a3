package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
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

func (r *recorder) Header() http.Header                { return r.header }
func (r *recorder) WriteHeader(status int)             { r.status = status }
func (r *recorder) FlushError() error                  { return nil }
func (r *recorder) SetWriteDeadline(_ time.Time) error { return nil }
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
				return api.Overview{}, problem.Errorf(problem.Unavailable, "no broker")
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
	synctest.Test(t, func(_ *testing.T) {
		for _, target := range []string{"/api/v1/overview/events", "/api/v1/topics/alerts/events"} {
			r := &recorder{header: http.Header{}, broken: true}
			api.New(full(), quiet).ServeHTTP(r, httptest.NewRequest("GET", target, nil)) // returns by itself
		}
	})
}

func events(t *testing.T, d *description, path string, r *recorder) (names string, list []sent) {
	t.Helper()
	list = r.events(t)
	for _, e := range list {
		d.event(path, e.name, []byte(e.data))
		names += e.name + " "
	}
	return strings.TrimSpace(names), list
}

const (
	eventsPath = "/api/v1/topics/{topic}/events"
	searchPath = "/api/v1/topics/{topic}/search"
)

func TestLiveStreamIsAsDescribed(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src, asked := full(), make(chan browse.Query, 1)
		src.Messages = messages{live: func(ctx context.Context, q browse.Query, last int, out func(browse.Live) error, trouble func(error) error) error {
			if last != 20 {
				t.Errorf("last %d", last)
			}
			asked <- q
			err := errors.Join(out(browse.Live{Messages: []browse.Message{message(0), tombstone()}, Skipped: 3, Read: 5}), trouble(kafka.ErrSilent), out(browse.Live{Messages: []browse.Message{}}))
			<-ctx.Done()
			return err
		}}
		r, stop := stream(src, "/api/v1/topics/alerts/events?last=20&partitions=0,2&text=a")
		synctest.Wait()
		stop()
		if names, _ := events(t, d, eventsPath, r); names != "messages problem messages" {
			t.Errorf("events %s", names)
		}
		if q := <-asked; q.Topic != "alerts" || len(q.Partitions) != 2 {
			t.Errorf("asked for %+v", q)
		}
	})
}

func TestLiveStreamThatFailsSaysWhy(t *testing.T) {
	d := describe(t)
	synctest.Test(t, func(t *testing.T) {
		src := full()
		src.Messages = messages{live: func(context.Context, browse.Query, int, func(browse.Live) error, func(error) error) error {
			return admin.ErrNoTopic
		}}
		r, stop := stream(src, "/api/v1/topics/alerts/events")
		synctest.Wait()
		stop()
		if names, _ := events(t, d, eventsPath, r); names != "problem" {
			t.Errorf("events %s", names)
		}
	})
}

// whole asks for an event stream that ends by itself.
func whole(src api.Sources, target string) *recorder {
	r := &recorder{header: http.Header{}}
	api.New(src, quiet).ServeHTTP(r, httptest.NewRequest("GET", target, nil))
	return r
}

func TestSearchIsAsDescribed(t *testing.T) {
	d := describe(t)
	r := whole(full(), "/api/v1/topics/alerts/search?limit=2&seconds=3&where=size+%3E+1")
	names, list := events(t, d, searchPath, r)
	if names != "progress matches end" {
		t.Fatalf("events %s", names)
	}
	var end browse.End
	if err := json.Unmarshal([]byte(list[2].data), &end); err != nil || end.Limit != 2 || end.BudgetMs != 3000 || end.BudgetBytes != 64<<20 {
		t.Errorf("%+v %v", end, err)
	}
}

// What fails before anything was found answers as every call does; afterwards
// the stream says it.
func TestSearchThatFails(t *testing.T) {
	d := describe(t)
	for err, want := range map[error]int{
		fmt.Errorf("consume x: %w", admin.ErrNoTopic): 404, kafka.ErrSilent: 503, browse.ErrBusy: 503,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}: 503, errors.New("t: there is no partition 9, it has 3"): 400,
	} {
		src := full()
		src.Messages = messages{search: func(context.Context, browse.Query, browse.Found) (browse.End, error) { return browse.End{}, err }}
		status, h, body := call(src, "GET", "/api/v1/topics/t/search", "")
		if status != want {
			t.Errorf("%v: %d, want %d", err, status, want)
		}
		d.answer("GET", searchPath, status, h.Get("Content-Type"), body)
	}
	src := full()
	src.Messages = messages{search: func(_ context.Context, _ browse.Query, out browse.Found) (browse.End, error) {
		return browse.End{}, errors.Join(out.Matches([]browse.Message{tombstone()}), kafka.ErrSilent)
	}}
	r := whole(src, "/api/v1/topics/t/search")
	if names, _ := events(t, d, searchPath, r); names != "matches problem" {
		t.Errorf("events %s", names)
	}
}
