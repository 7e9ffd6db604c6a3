package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// h2Instance is an instance of net/http that speaks HTTP/2 without TLS only.
func h2Instance(t *testing.T, h http.HandlerFunc) (addr string, s *httptest.Server) {
	s = httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), s
}

// runMux starts a proxy in front of instances that speak HTTP/2.
func runMux(t *testing.T, instances []string, edit func(*Config, *dispatch.Route)) *bench {
	return run(t, instances, func(c *Config, r *dispatch.Route) {
		r.Split[0].Leg = &dispatch.Leg{HTTP2: true, GRPCFailures: dispatch.DefaultGRPCFailures}
		if edit != nil {
			edit(c, r)
		}
	})
}

func TestInstancesOfHTTP2(t *testing.T) {
	var conns sync.Map
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) {
		conns.Store(r.RemoteAddr, true)
		if r.ProtoMajor != 2 {
			t.Errorf("the instance got %s", r.Proto)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Seen", fmt.Sprint(r.Header))
		w.Header().Set("X-Host", r.Host)
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		case "/empty":
			w.WriteHeader(204)
			return
		case "/early":
			w.Header().Set("Link", "</a>; rel=preload")
			w.WriteHeader(103)
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write(body)
		w.Header().Set("X-Sum", fmt.Sprint(len(body)))
	})
	b := runMux(t, []string{addr}, nil)
	h1, url1 := b.http("")
	h2c, url2 := b.h2Client("")
	large := strings.Repeat("x", 3<<20)
	for name, client := range map[string]struct {
		*http.Client
		url string
	}{"HTTP/1.1": {h1, url1}, "HTTP/2.0": {h2c, url2}} {
		for _, path := range []string{"/", "/length", "/empty", "/early"} {
			for _, body := range []string{"", "hello", large} {
				for _, length := range []bool{true, false} {
					var r io.Reader = strings.NewReader(body)
					if !length {
						r = io.MultiReader(r)
					}
					req, _ := http.NewRequest("POST", client.url+path, r)
					req.Header.Set("TE", "trailers")
					res, err := client.Do(req)
					if err != nil {
						t.Fatalf("%s %s: %v", name, path, err)
					}
					got := readAll(t, res.Body)
					want, status := body, 200
					if path == "/empty" {
						want, status = "", 204
					}
					if got != want || res.StatusCode != status || res.Proto != name {
						t.Errorf("%s %s with %d bytes: %s %d %d bytes", name, path, len(body), res.Proto, res.StatusCode, len(got))
					}
					if path == "/" && body != "" && (name == "HTTP/2.0" || res.ContentLength < 0) && res.Trailer.Get("X-Sum") != fmt.Sprint(len(body)) {
						t.Errorf("%s %s with %d bytes: trailers %v", name, path, len(body), res.Trailer)
					}
					seen := res.Header.Get("X-Seen")
					if !strings.Contains(seen, "X-Forwarded-For:[127.0.0.1]") || !strings.Contains(seen, "Te:[trailers]") || res.Header.Get("X-Host") != b.addr {
						t.Errorf("the instance got %s, host %s", seen, res.Header.Get("X-Host"))
					}
				}
			}
		}
	}
	n := 0
	conns.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d connections to the instance, want 1", n)
	}
	for _, e := range b.entries() {
		if e.Why != "turn" || e.Attempts != 1 {
			t.Errorf("log: %+v", e)
		}
	}
}

// Many requests at the same time share few connections, whichever protocol their clients speak.
func TestManyRequestsToAnInstanceOfHTTP2(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	b := runMux(t, []string{addr}, nil)
	client, url := b.http("/")
	client2, _ := b.h2Client("/")
	echoMany(t, 2000, 250, url, client, client2)
	if s := b.p.Stats(); s.UpstreamDials > 6 {
		t.Errorf("%d connections to the instance", s.UpstreamDials)
	}
	client.CloseIdleConnections()
}

// Each way in which an instance of HTTP/2 can fail has the same consequences as with HTTP/1.1.
func TestFaultsOfInstancesOfHTTP2(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int
		why     string
		handler http.HandlerFunc
	}{
		"reset before the head": {502, dispatch.CodeUpstreamReset, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"reset in the body": {200, dispatch.CodeBodyBroken, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		"hang": {504, dispatch.CodeUpstreamTimeout, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"500":  {500, "turn", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
	} {
		addr, _ := h2Instance(t, tc.handler)
		b := runMux(t, []string{addr}, func(_ *Config, r *dispatch.Route) { r.Retry.PerTryTimeout = 300 * time.Millisecond })
		client, url := b.h2Client("/")
		res, err := client.Get(url)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != tc.status || (err != nil) != (tc.why == dispatch.CodeBodyBroken) {
			t.Errorf("%s: got %d, %v", name, res.StatusCode, err)
		}
		if got := b.entries(); len(got) != 1 || got[0].Why != tc.why {
			t.Errorf("%s: log %+v", name, got)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // an instance that speaks HTTP/1.1
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = c.Close()
		}
	}()
	b := runMux(t, []string{ln.Addr().String()}, nil)
	client, url := b.h2Client("/")
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, res.Body); res.StatusCode != 502 {
		t.Errorf("an instance of HTTP/1.1: got %d %s", res.StatusCode, body)
	}
}

// An instance that leaves (GOAWAY) after every 20 requests of a connection loses none: another connection takes them.
func TestInstanceOfHTTP2ThatLeaves(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { leavingInstance(nc) })
		}
	})
	b := runMux(t, []string{ln.Addr().String()}, nil)
	client, url := b.h2Client("/")
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 100 {
				res, err := client.Post(url, "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				if body := readAll(t, res.Body); res.StatusCode != 200 || body != "hello" {
					t.Errorf("got %d %s", res.StatusCode, body)
				}
			}
		})
	}
	clients.Wait()
	if n := b.p.Stats().UpstreamDials; n < 20 {
		t.Errorf("%d connections", n)
	}
	b.stop()
}

// leavingInstance serves a connection with this project's own server, and sends GOAWAY in the 20th request.
func leavingInstance(nc net.Conn) {
	var wg sync.WaitGroup
	var c *h2.Conn
	n := 0
	c = h2.New(unbuffered{nc}, h2.Config{HeadBytes: 4096, Now: func() int64 { return int64(time.Since(started)) }, Malformed: func(string) {}, Open: func(s *h2.Stream, _ []byte, _ bool) {
		n++
		last := n == 20
		wg.Go(func() {
			defer s.Close()
			if last {
				c.GoAway()
			}
			body := make([]byte, 5)
			if _, err := io.ReadFull(s, body); err == nil {
				_, _ = s.Write(h2.AppendStatus(nil, 200), body, true)
			}
		})
	}})
	_ = c.Serve()
	_ = nc.Close()
	wg.Wait()
}

var started = time.Now()

type unbuffered struct{ net.Conn }

func (unbuffered) Buffered() int { return 0 }

// A service that changes its protocol keeps its instances.
func TestAServiceThatChangesItsProtocol(t *testing.T) {
	live := upstream.NewLive("s", "i", "127.0.0.1:1", 1, 0)
	b := run(t, nil, nil)
	one, two := b.p.pools.of(live, kind{}), b.p.pools.of(live, kind{http2: true})
	if _, ok := one.(*idlePool); !ok {
		t.Errorf("got %T", one)
	}
	if _, ok := two.(*muxPool); !ok {
		t.Errorf("got %T", two)
	}
	if b.p.pools.of(live, kind{http2: true}) != two {
		t.Error("the pool was made again")
	}
	if _, ok := b.p.pools.of(live, kind{}).(*idlePool); !ok {
		t.Error("the service does not go back")
	}
}

func TestGRPCTexts(t *testing.T) {
	for in, want := range map[string]time.Duration{"1S": time.Second, "100m": 100 * time.Millisecond, "99999999H": 0, "5": 0, "": 0, "x1S": 0, "1s": 0, "123456789S": 0, "2M": 2 * time.Minute, "0n": 1, "-1S": 0, "7u": 7 * time.Microsecond} {
		if got := grpcTimeout([]byte(in)); got != want {
			t.Errorf("grpc-timeout %q: got %v, want %v", in, got, want)
		}
	}
	for in, want := range map[string]bool{"application/grpc": true, "application/grpc+proto": true, "application/grpc;x=1": true, "application/grpc-web": false, "text/plain": false, "application/grp": false} {
		if got := isGRPC([]byte(in)); got != want {
			t.Errorf("%q: got %v", in, got)
		}
	}
	if got := grpcMessage("50 % of ü\n"); !bytes.Equal(got, []byte("50 %25 of %C3%BC%0A")) {
		t.Errorf("got %s", got)
	}
}

// A connection serves many requests without a body: their responses must not count as frames that carry nothing.
func TestAConnectionToAnInstanceOfHTTP2Lasts(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-End")
		if r.URL.Path == "/empty" {
			w.WriteHeader(204)
			return
		}
		_, _ = io.WriteString(w, "hello")
		w.Header().Set("X-End", "1")
	})
	b := runMux(t, []string{addr}, nil)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			client, url := b.h2Client([]string{"/", "/empty"}[i%2])
			for range 2000 {
				res, err := client.Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				_ = readAll(t, res.Body)
				if res.StatusCode >= 300 {
					t.Errorf("got %d", res.StatusCode)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := b.p.Stats(); s.UpstreamDials != 1 || s.UpstreamResent != 0 {
		t.Errorf("%d connections, %d requests sent again", s.UpstreamDials, s.UpstreamResent)
	}
}

// Clients that do not read their responses do not stop those of other clients on the same connection to the instance.
func TestSlowClientsDoNotStopOthers(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "small")
		} else {
			for range 64 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
	})
	b := runMux(t, []string{addr}, nil)
	for range 3 {
		f := b.frames()
		for i := range 25 {
			f.request(uint32(2*i+1), true, ":method", "GET", ":scheme", "http", ":path", "/large", ":authority", "a.example")
		}
	}
	eventually(t, "75 responses have begun", func() bool { return b.lives[0].InFlight.Load() == 75 })
	time.Sleep(300 * time.Millisecond) // the responses fill every buffer on their way
	client, url := b.h2Client("/small")
	for range 100 {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = readAll(t, res.Body)
	}
	if n := b.p.Stats().UpstreamDials; n != 1 {
		t.Errorf("%d connections", n)
	}
}
