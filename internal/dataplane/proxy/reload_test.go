package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// change replaces how the proxy speaks to the instances, as a reload does.
func (b *bench) change(leg dispatch.Leg) {
	b.tb.Helper()
	route := *b.route
	route.Split = []dispatch.Share{{Service: b.service, Weight: 1, Leg: &leg, Traffic: b.service.Traffic("all")}}
	routes, err := router.Compile([]router.Rule[*dispatch.Route]{{Name: "all", Path: "/", Kind: router.Prefix, Value: &route}})
	if err != nil {
		b.tb.Fatal(err)
	}
	b.p.d.(*dispatch.Dispatcher).Swap(&dispatch.Table{Revision: "2", Routes: routes, Names: "all"})
}

func (b *bench) pools() int {
	b.p.pools.mu.Lock()
	defer b.p.pools.mu.Unlock()
	return len(b.p.pools.list)
}

// A reload may replace the pool of an instance, for example by another number of idle connections. The connections of the
// old pool are still connections of the instance until they end, and none of them is kept.
func TestTheLimitOfAnInstanceHoldsAcrossReloads(t *testing.T) {
	release := make(chan struct{})
	addr := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, "ok")
	}))
	b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{MaxConnections: 1} })
	first, second := b.dial(), b.dial()
	first.send(get)
	eventually(t, "the first request is under way", func() bool { return b.p.Stats().UpstreamDials == 1 })
	for i := range 20 {
		b.change(dispatch.Leg{MaxConnections: 1, MaxIdle: 10 + i})
		second.send(get)
		if res, body := second.response("GET"); res.StatusCode != 503 {
			t.Fatalf("a second connection after %d reloads: %d %q", i+1, res.StatusCode, body)
		}
	}
	close(release)
	if res, _ := first.response("GET"); res.StatusCode != 200 {
		t.Errorf("the first request: %d", res.StatusCode)
	}
	second.send(get)
	if res, body := second.response("GET"); res.StatusCode != 200 {
		t.Errorf("after the first connection: %d %q", res.StatusCode, body)
	}
	eventually(t, "the replaced pools are removed", func() bool { return b.pools() == 1 })
}

// A connection that names its client counts too. After a reload, the client's own old connection must not be what keeps it
// from making a new one.
func TestAReloadReplacesTheConnectionOfAClient(t *testing.T) {
	b := run(t, []string{announced(t, nil)}, func(_ *Config, r *dispatch.Route) {
		r.Split[0].Leg = &dispatch.Leg{ProxyProtocol: proxyproto.V1, MaxConnections: 1}
	})
	c := b.dial()
	for i := range 3 {
		b.change(dispatch.Leg{ProxyProtocol: proxyproto.V1, MaxConnections: 1, MaxIdle: 10 + i})
		for range 2 {
			c.send(get)
			if res, body := c.response("GET"); res.StatusCode != 200 {
				t.Fatalf("after %d reloads: %d %q", i+1, res.StatusCode, body)
			}
		}
	}
	if n := b.p.Stats().UpstreamDials; n != 3 {
		t.Errorf("%d connections, want one after each reload", n)
	}
}

// The time that a connection to an instance may be idle holds for connections of one client too: the instance may be
// closing the connection when the request arrives.
func TestAConnectionOfAClientIsNotUsedAfterItsTime(t *testing.T) {
	for keep, want := range map[time.Duration]uint64{1: 3, time.Hour: 1} {
		b := run(t, []string{announced(t, nil)}, func(_ *Config, r *dispatch.Route) {
			r.Split[0].Leg = &dispatch.Leg{ProxyProtocol: proxyproto.V2, MaxConnections: 1, KeepTimeout: keep}
		})
		c := b.dial()
		for range 3 {
			c.send(get)
			if res, body := c.response("GET"); res.StatusCode != 200 {
				t.Fatalf("%d %q", res.StatusCode, body)
			}
		}
		if n := b.p.Stats().UpstreamDials; n != want {
			t.Errorf("%d connections with a time of %v, want %d", n, keep, want)
		}
	}
}

// An instance that takes nothing of a request must not keep the request, and the proxy, for ever: neither if it is removed
// meanwhile, nor inside TLS, where a write that waits keeps the connection from being closed in order.
func TestAnInstanceOfHTTP2ThatStopsReading(t *testing.T) {
	ca := certtest.New(t, "instances")
	caFile, _ := certtest.Files(t, t.TempDir(), "ca", ca.PEM(), nil)
	secure := &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}, NextProtos: []string{"h2"}}
	for name, tc := range map[string]struct {
		tls     *tls.Config
		removed bool
	}{"removed": {nil, true}, "TLS": {secure, false}, "TLS, removed": {secure, true}} {
		t.Run(name, func(t *testing.T) {
			addr, began := stopsReading(t, tc.tls)
			b := runMux(t, []string{addr}, func(c *Config, _ *dispatch.Route) { c.BodyTimeout = 2 * time.Second })
			if tc.tls != nil {
				b.secured(certs.ClientConfig{CA: caFile, Protocol: "h2"})
			}
			c := b.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx")
			take(t, "the request", began)
			if tc.removed {
				b.lives[0].Retire()
			}
			piece := make([]byte, 64<<10)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for {
					if _, err := c.Write(piece); err != nil {
						return
					}
				}
			}()
			res, err := http.ReadResponse(c.r, nil)
			if err != nil || res.StatusCode != 504 && res.StatusCode != 502 {
				t.Errorf("%v %+v", err, res)
			}
			c.abort()
			take(t, "the end of the body", sent)
			if tc.removed {
				eventually(t, "the pool is removed", func() bool { return b.pools() == 0 })
			}
		})
	}
}

// A shortage of descriptors closes the connections of HTTP/2 that are idle. The next ones are kept as before.
func TestConnectionsOfHTTP2AreKeptAfterAShortage(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	b := runMux(t, []string{addr}, nil)
	c := b.dial()
	ask := func() {
		c.send(get)
		if res, _ := c.response("GET"); res.StatusCode != 200 {
			t.Fatalf("%d", res.StatusCode)
		}
		eventually(t, "the connection to the instance is idle", func() bool { return b.p.Stats().IdleUpstream == 1 })
	}
	ask()
	if !b.p.pools.shed() {
		t.Error("no connection was closed")
	}
	eventually(t, "it is closed", func() bool { return b.p.Stats().IdleUpstream == 0 })
	for range 3 {
		ask()
	}
	if n := b.p.Stats().UpstreamDials; n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// An instance may answer before it reads the request body, and refuse the body when it arrives: net/http resets the stream
// with NO_ERROR, and then with STREAM_CLOSED. The response is whole all the same.
func TestAResetAfterAWholeResponseOfHTTP2(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeStreamClosed, http2.ErrCodeCancel} {
		nc, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		go answersAndResets(nc, code)
		b := runMux(t, []string{nc.Addr().String()}, nil)
		c := b.dial()
		for range 3 {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
			if res, body := c.response("POST"); res.StatusCode != 200 || body != "ok" {
				t.Errorf("%v: %d %q", code, res.StatusCode, body)
			}
		}
		for _, e := range b.entries() {
			if e.Failure != "" {
				t.Errorf("%v: %+v", code, e)
			}
		}
	}
}

// answersAndResets answers each request with a head, then with a body and a reset in one write.
func answersAndResets(ln net.Listener, code http2.ErrCode) {
	nc, err := ln.Accept()
	if err != nil {
		return
	}
	defer nc.Close()
	_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
	out := bufio.NewWriter(nc)
	f := http2.NewFramer(out, nc)
	_ = f.WriteSettings()
	_ = out.Flush()
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			return
		}
		if fr.Header().Type != http2.FrameHeaders {
			continue
		}
		id := fr.Header().StreamID
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: h2.AppendStatus(nil, 200)})
		_ = out.Flush()
		time.Sleep(20 * time.Millisecond) // usually, the proxy waits for the body then
		_ = f.WriteData(id, true, []byte("ok"))
		_ = f.WriteRSTStream(id, code)
		_ = out.Flush()
	}
}

// A connection of HTTP/2 that this proxy closes takes no further request: a request on it would fail, and the instance would
// be charged.
func TestNoRequestIsMadeOnAConnectionThatIsBeingClosed(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	b := runMux(t, []string{addr}, nil)
	c := b.dial()
	for i := range 100 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
		if res, body := c.response("POST"); res.StatusCode != 200 {
			t.Fatalf("request %d: %d %q", i, res.StatusCode, body)
		}
		eventually(t, "the connection to the instance is idle", func() bool { return b.p.Stats().IdleUpstream == 1 })
		b.p.pools.expire(1 << 62)
		pool := (*b.lives[0].Transport.Load()).(*muxPool)
		pool.mu.Lock()
		if len(pool.conns) > 0 {
			t.Errorf("request %d: a closed connection is listed", i)
		}
		pool.mu.Unlock()
	}
	if n := b.p.Stats().UpstreamDials; n != 100 {
		t.Errorf("%d connections", n)
	}
}

// The end of Run does not wait for such an instance.
func TestAStopDoesNotWaitForAnInstanceThatStopsReading(t *testing.T) {
	addr, began := stopsReading(t, nil)
	b := runMux(t, []string{addr}, func(c *Config, _ *dispatch.Route) { c.BodyTimeout = time.Hour })
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx")
	take(t, "the request", began)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		piece := make([]byte, 64<<10)
		for {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}()
	pool := (*b.lives[0].Transport.Load()).(*muxPool)
	stuck := int64(0)
	eventually(t, "a write waits", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		before := stuck
		stuck = pool.conns[0].writing.Load()
		return stuck > 0 && stuck == before
	})
	if e := b.entries(); len(e) != 1 || e[0].Failure != dispatch.Stopped.String() {
		t.Errorf("%+v", e)
	}
	take(t, "the end of the body", sent)
}

// stopsReading is an instance of HTTP/2 with large windows that reads no more than the head of a request. began is closed
// when it has read that head.
func stopsReading(t *testing.T, secure *tls.Config) (addr string, began chan struct{}) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	began, over := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(over) })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		if secure != nil {
			nc = tls.Server(nc, secure)
		}
		_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(nc, nc)
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
		_ = f.WriteWindowUpdate(0, 1<<30)
		for {
			fr, err := f.ReadFrame()
			if err != nil {
				return
			}
			if fr.Header().Type == http2.FrameHeaders {
				close(began)
				<-over
				return
			}
		}
	}()
	return ln.Addr().String(), began
}

// A WebSocket waits for the settings of its instance. An instance that is removed meanwhile still gets the request.
func TestARequestThatWaitsForTheSettingsOfARemovedInstance(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	asked, removed := make(chan struct{}), make(chan struct{})
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		_, _ = io.ReadFull(nc, make([]byte, len(http2.ClientPreface)))
		close(asked)
		<-removed
		f := http2.NewFramer(nc, nc)
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		for {
			fr, err := f.ReadFrame()
			if err != nil {
				return
			}
			if fr.Header().Type == http2.FrameHeaders {
				_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: fr.Header().StreamID, EndHeaders: true, BlockFragment: h2.AppendStatus(nil, 200)})
				_ = f.WriteData(fr.Header().StreamID, true, []byte("hello"))
			}
		}
	}()
	b := runMux(t, []string{ln.Addr().String()}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg.ConnectTimeout = testTimeout })
	c := b.dial()
	c.send(wsOpen)
	take(t, "the request", asked)
	pool := (*b.lives[0].Transport.Load()).(*muxPool)
	eventually(t, "the request has a place on the connection", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.conns) == 1 && pool.conns[0].h2.Streams() == 1
	})
	b.lives[0].Retire()
	close(removed)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("%v %+v", err, res)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c.r); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}
