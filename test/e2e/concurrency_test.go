package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Limits of requests in flight and their queue through the real process, on HTTP/1.1, HTTP/2 and gRPC: no instance gets
// more than its limit, requests of normal priority go first, and a reload without limits lets all in.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	var most, now atomic.Int64
	free := make(chan struct{})
	var order sync.Map
	var turn atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		order.Store(r.URL.Path, turn.Add(1))
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		<-free
	})
	instance := serveH2C(t, true, handler)
	var once sync.Once
	release := func() { once.Do(func() { close(free) }) }
	defer release()
	text := func(limits string) string {
		return fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes:
  - {name: r, service: s%s}
services:
  - {id: s, protocol: h2c, instances: [{id: i, address: %q}]%s}
`, map[bool]string{true: ", priority: header:X-Priority"}[limits != ""], instance.Listener.Addr(), limits)
	}
	file := mustWrite(t, text(", concurrency: {perInstance: 1, queue: 4, queueTimeout: 5m}"))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	base := "http://" + p.Address("web")
	clients := map[string]*http.Client{}
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		defer tr.CloseIdleConnections()
		clients[name] = &http.Client{Transport: tr}
	}
	ask := func(name, path string, headers ...string) (*http.Response, string) {
		req, _ := http.NewRequest("POST", base+path, nil)
		for _, h := range headers {
			k, v, _ := strings.Cut(h, ": ")
			req.Header.Set(k, v)
		}
		res, err := clients[name].Do(req)
		if err != nil {
			t.Error(err)
			return &http.Response{Header: http.Header{}}, ""
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}
	waiting := func(n float64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%v requests wait", n), func() bool {
			return metric(t, p.Address("admin"), `smartlb_service_queue_waiting{service="s"}`) == n
		})
	}
	var wg sync.WaitGroup
	send := func(name, path string, want int, headers ...string) {
		wg.Go(func() {
			if res, body := ask(name, path, headers...); res.StatusCode != want {
				t.Errorf("%s: got %d %s, want %d", path, res.StatusCode, body, want)
			}
		})
	}
	send("HTTP/1.1", "/first", 200)
	eventually(t, "the instance is busy", func() bool { return now.Load() == 1 })
	for i, path := range []string{"/low1", "/low2", "/low3"} {
		want := 200
		if path == "/low3" {
			want = 503 // gives its place to /normal2
		}
		send([]string{"HTTP/1.1", "HTTP/2"}[i%2], path, want, "X-Priority: low")
		waiting(float64(i + 1))
	}
	send("HTTP/2", "/normal1", 200)
	waiting(4)
	send("HTTP/1.1", "/normal2", 200)
	eventually(t, "a low request loses its place", func() bool {
		return metric(t, p.Address("admin"), `smartlb_service_queue_refused_total{reason="full",service="s"}`) == 1
	})
	res, body := ask("HTTP/1.1", "/low4", "X-Priority: low")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "queue-full") {
		t.Errorf("got %d %v %s", res.StatusCode, res.Header, body)
	}
	if res, _ := ask("HTTP/2", "/shop.Catalog/List", "Content-Type: application/grpc", "TE: trailers", "X-Priority: low"); res.Header.Get("Grpc-Status") != "14" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, res.Header)
	}
	if n := metric(t, p.Address("admin"), `smartlb_service_in_flight{service="s"}`); n != 1 {
		t.Errorf("%v requests are in flight", n)
	}
	if out, errs, code := smartlb(t, "services", "--admin", p.Address("admin")); code != 0 || !strings.Contains(out, "1 of 1, 4 waiting") {
		t.Errorf("smartlb services: %d %s\n%s", code, errs, out)
	}
	release()
	wg.Wait()
	at := func(path string) int64 {
		n, _ := order.Load(path)
		v, _ := n.(int64)
		return v
	}
	for i, path := range []string{"/first", "/normal1", "/normal2", "/low1", "/low2"} {
		if at(path) != int64(i+1) {
			t.Errorf("%s came at place %d, want %d", path, at(path), i+1)
		}
	}
	if most.Load() != 1 {
		t.Errorf("the instance had %d requests at the same time", most.Load())
	}
	if n := metric(t, p.Address("admin"), `smartlb_service_queue_duration_seconds_count{service="s"}`); n != 4 {
		t.Errorf("%v waits were measured", n)
	}

	// Without limits, all that wait are let in.
	if err := os.WriteFile(file, []byte(text("")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the limit is gone", func() bool {
		return !strings.Contains(scrape(t, p.Address("admin")), "smartlb_service_queue_waiting{")
	})
}

// A service with two workers gets requests of 16 clients, which is more than its highest limit: the limit is lowered, and no
// request is refused, because the queue has places for all.
func TestAdaptiveConcurrency(t *testing.T) {
	t.Parallel()
	workers := make(chan struct{}, 2)
	instance := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		workers <- struct{}{}
		time.Sleep(20 * time.Millisecond)
		<-workers
	}))
	defer instance.Close()
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: r, service: s}]
services: [{id: s, instances: [{id: i, address: %q}], concurrency: {limit: 12, queueTimeout: 5m, adaptive: {min: 1}}}]
`, instance.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--admin", "127.0.0.1:0", "--data", t.TempDir())
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for i := range 16 {
		wg.Go(func() {
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tr.Protocols.SetHTTP1(i%2 == 0)
			tr.Protocols.SetUnencryptedHTTP2(i%2 == 1)
			defer tr.CloseIdleConnections()
			c := &http.Client{Transport: tr, Timeout: time.Minute}
			for !stop.Load() {
				res, err := c.Get("http://" + p.Address("web"))
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode != 200 {
					t.Errorf("got %d", res.StatusCode)
				}
			}
		})
	}
	const limit = `smartlb_service_concurrency_limit{service="s"}`
	eventually(t, "the limit is lowered", func() bool { n := metric(t, p.Address("admin"), limit); return n > 0 && n < 7 })
	stop.Store(true)
	wg.Wait()
	if n := metric(t, p.Address("admin"), limit); n < 1 || n > 12 {
		t.Errorf("limit %v", n)
	}
}
