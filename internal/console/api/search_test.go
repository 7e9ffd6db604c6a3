package api_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A browser that drops its connection ends the search in the server, also while
// the broker lets it wait, and frees all that it held.
func TestASearchEndsWithItsConnection(t *testing.T) {
	c := kafkatest.New(t, "t:2")
	cfg := kafka.Default()
	cfg.Brokers = []string{c.Addr()}
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b, err := browse.New(browse.Config{Kafka: cfg, Admin: client, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s, err := records.NewSender(t.Context(), cfg, records.ProduceSpec{Topic: "t", Partition: -1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if err := s.Send(t.Context(), kafka.Record{Value: bytes.Repeat([]byte("x"), 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	started, handled := make(chan struct{}, 10), make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		api.New(api.Sources{Messages: b}, quiet).ServeHTTP(w, r)
		handled <- struct{}{}
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	ask := func(ctx context.Context, path string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/topics/t/"+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}
	ask(t.Context(), "search?limit=1") // what is made once is made
	<-started
	<-handled
	before := runtime.NumGoroutine()

	release, reached := make(chan struct{}), make(chan struct{}, 100)
	fake := c.Fake()
	fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		reached <- struct{}{}
		fake.SleepControl(func() { <-release })
		return nil, nil, false
	})
	for _, path := range []string{"search?order=oldest", "search", "export?order=oldest", "events?last=5"} {
		for len(reached) > 0 {
			<-reached
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { ask(ctx, path); close(done) }()
		<-started // a request that reaches the broker may be a late one of the search before
		<-reached
		left := time.Now()
		cancel()
		<-done
		select {
		case <-handled:
			t.Logf("%s: ended after %v", path, time.Since(left))
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it goes on", path)
		}
	}
	close(release)
	for range 6000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, slices.Clip(buf[:runtime.Stack(buf, true)]))
}
