package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// h2Client returns a client of net/http that speaks HTTP/2 only, and the address of a path.
func (b *bench) h2Client(path string) (*http.Client, string) {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	scheme := "http://"
	if b.tls {
		tr.Protocols.SetHTTP2(true)
		tr.TLSClientConfig = identity().client.Clone()
		scheme = "https://"
	} else {
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	b.tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: testTimeout}, scheme + b.addr + path
}

// echo is an instance that describes the request in its answer.
func echo(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Seen", fmt.Sprint(r.Header))
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		if r.URL.Path == "/large" {
			_, _ = w.Write(bytes.Repeat([]byte("smartlb "), 1<<20))
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestHTTP2(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			b := runWith(t, secure, []string{echo(t)}, nil)
			client, url := b.h2Client("/users?q=1")
			large := strings.Repeat("x", 3<<20)
			for _, tc := range []struct {
				method, path, body string
				length             bool
			}{
				{method: "GET"}, {method: "HEAD"}, {method: "DELETE"},
				{method: "POST", body: "hello", length: true}, {method: "POST", body: "hello"}, {method: "POST"},
				{method: "PUT", body: large, length: true}, {method: "PUT", body: large},
			} {
				var body io.Reader
				if tc.body != "" {
					body = strings.NewReader(tc.body)
					if !tc.length {
						body = io.MultiReader(body)
					}
				}
				req, err := http.NewRequest(tc.method, url, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Add("Cookie", "a=1")
				req.Header.Add("Cookie", "b=2")
				req.Header.Set("X-Forwarded-For", "192.0.2.7")
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got := readAll(t, res.Body)
				if res.ProtoMajor != 2 || res.StatusCode != 200 || tc.method != "HEAD" && got != tc.body {
					t.Errorf("%s with %d bytes: got HTTP/%d %d with %d bytes", tc.method, len(tc.body), res.ProtoMajor, res.StatusCode, len(got))
				}
				seen := res.Header.Get("X-Seen")
				proto := "http"
				if secure {
					proto = "https"
				}
				for _, want := range []string{"Cookie:[a=1; b=2]", "Via:[2.0 smartlb]", "X-Forwarded-For:[127.0.0.1]", "X-Forwarded-Proto:[" + proto + "]"} {
					if !strings.Contains(seen, want) {
						t.Errorf("%s: the instance got %s without %s", tc.method, seen, want)
					}
				}
				if res.Header.Get("X-Method") != tc.method || res.Header.Get("X-Host") != b.addr || res.Header.Get("Date") == "" || res.Header.Get("X-Request-Id") == "" {
					t.Errorf("%s: got %v", tc.method, res.Header)
				}
			}
			client, url = b.h2Client("/large")
			res, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, res.Body); len(got) != 8<<20 {
				t.Errorf("got %d bytes, want 8 MiB", len(got))
			}
			for _, e := range b.entries() {
				if e.Status != 200 || e.Instance != "s-0" || e.Protocol != "HTTP/2.0" {
					t.Errorf("log: %+v", e)
				}
			}
		})
	}
}

// echoMany sends n requests to an instance that echoes, the given number at a time, by the clients in turn. Each must get
// its own body back.
func echoMany(t *testing.T, n, atOnce int, url string, clients ...*http.Client) {
	t.Helper()
	var wg sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range n {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			want := strings.Repeat(fmt.Sprint(i, " "), 1+i%300)
			res, err := clients[i%len(clients)].Post(url, "text/plain", strings.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if string(body) != want || err != nil {
				t.Errorf("request %d: got %d bytes, %v", i, len(body), err)
			}
		})
	}
	wg.Wait()
}

// A thousand requests on one connection, 50 at a time: each gets its own response.
func TestHTTP2AtTheSameTime(t *testing.T) {
	b := run(t, []string{echo(t)}, nil)
	client, url := b.h2Client("/")
	echoMany(t, 1000, 50, url, client)
	if s := b.p.Stats(); s.ConnectionsOpen != 1 || s.Requests != 1000 {
		t.Errorf("got %d connections, %d requests", s.ConnectionsOpen, s.Requests)
	}
}

func TestHTTP2OwnReplies(t *testing.T) {
	b := run(t, []string{"127.0.0.1:1"}, func(_ *Config, r *dispatch.Route) { r.Retry.Attempts = 0 })
	client, url := b.h2Client("/")
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res.Body); res.StatusCode != 502 || !strings.Contains(body, "upstream-connect") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
}

// A drain lets the responses in flight arrive whole, whichever stream sends the last frames.
func TestHTTP2DrainLosesNoFrame(t *testing.T) {
	answer := make(chan struct{})
	came := make(chan struct{}, 20)
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		came <- struct{}{}
		<-answer
		_, _ = w.Write(make([]byte, 20_000))
	}))
	defer instance.Close()
	b := run(t, []string{instance.Listener.Addr().String()}, nil)
	client, url := b.h2Client("/")
	var wg sync.WaitGroup
	for range cap(came) {
		wg.Go(func() {
			res, err := client.Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			if body := readAll(t, res.Body); len(body) != 20_000 {
				t.Errorf("got %d bytes", len(body))
			}
		})
	}
	for range cap(came) {
		take(t, "a request", came)
	}
	drained := make(chan error, 1)
	go func() { drained <- b.p.Drain(t.Context()) }()
	close(answer)
	wg.Wait()
	client.CloseIdleConnections()
	if err := take(t, "the end of the drain", drained); err != nil {
		t.Error(err)
	}
}

// Redirects and HSTS are the same for both protocols.
func TestHTTP2RedirectAndHSTS(t *testing.T) {
	b := runWith(t, false, []string{echo(t)}, func(c *Config, _ *dispatch.Route) { c.Listeners[0].HTTPSPort = 8443 })
	client, url := b.h2Client("/a?b=c")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for method, want := range map[string]int{"GET": 301, "POST": 308} {
		req, _ := http.NewRequest(method, url, nil)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); res.StatusCode != want || body != "" || res.Header.Get("Location") != "https://127.0.0.1:8443/a?b=c" {
			t.Errorf("%s: got %d %v %q", method, res.StatusCode, res.Header, body)
		}
	}
	b = runWith(t, true, []string{echo(t)}, func(c *Config, _ *dispatch.Route) { c.Listeners[0].HSTS = "max-age=60" })
	client, url = b.h2Client("/")
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = readAll(t, res.Body)
	if got := res.Header.Values("Strict-Transport-Security"); len(got) != 1 || got[0] != "max-age=60" {
		t.Errorf("got %v", got)
	}
}

// TestTenThousandWaitingStreams: 100 connections with 100 requests each wait for an instance. Others are served meanwhile,
// the memory is bounded, and nothing is left when the clients go.
func TestTenThousandWaitingStreams(t *testing.T) {
	addr, _ := h2Instance(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
		}
	})
	b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) {
		r.Split[0].Leg, r.Retry = &dispatch.Leg{HTTP2: true}, dispatch.Retry{}
	})
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	clients := make([]*frames, 100)
	for i := range clients {
		clients[i] = b.frames()
		for id := uint32(1); id < 200; id += 2 {
			clients[i].request(id, true, ":method", "GET", ":scheme", "http", ":path", "/wait", ":authority", "a.example")
		}
	}
	eventually(t, "all requests wait", func() bool { return b.service.Active.Load() == 10_000 })
	c := b.dial()
	c.send(get)
	if res, body := c.response("GET"); res.StatusCode != 200 {
		t.Errorf("another client got %d %s; log %s", res.StatusCode, body, b.log)
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	// Clients and instance are in this process too, with two goroutines for each request.
	if each := (during.HeapInuse + during.StackInuse - before.HeapInuse - before.StackInuse) / 10_000; each > 64<<10 {
		t.Errorf("%d bytes for each waiting request", each)
	} else {
		t.Logf("%d bytes for each waiting request, its client and its instance", each)
	}
	clients[0].request(201, true, get2()...)
	if got := clients[0].outcome(); got != "reset REFUSED_STREAM" {
		t.Errorf("request 101 of a connection: %s", got)
	}
	for _, f := range clients {
		_ = f.nc.Close()
	}
	eventually(t, "all requests end", func() bool { return b.service.Active.Load() == 0 })
}
