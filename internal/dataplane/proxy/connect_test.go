package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// connect is the head of an extended CONNECT (RFC 8441).
func connect(protocol string, fields ...string) []string {
	return append([]string{":method", "CONNECT", ":protocol", protocol, ":scheme", "http", ":path", "/ws", ":authority", "a.example", "sec-websocket-version", "13"}, fields...)
}

// echoing is an instance of HTTP/1.1 with WebSockets: it says hello, then sends back what it gets, then says bye.
func echoing(t *testing.T) *upstreamtest.Raw {
	return upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		req := s.Request()
		if req == nil || req.Method != "GET" || req.URL.Path != "/ws" || req.Header.Get("Upgrade") != "websocket" || len(req.Header.Get("Sec-Websocket-Key")) != 24 {
			s.Write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		s.Write(strings.Replace(accept(req), "\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n", 1) + "hello")
		_, _ = io.Copy(s.Conn, s.Reader)
		s.Write("bye")
	})
}

func TestWebSocketOverHTTP2(t *testing.T) {
	r := echoing(t)
	b := run(t, []string{r.Addr}, nil)
	f := b.frames()
	settings, err := f.ReadFrame()
	f.must(err)
	if v, ok := settings.(*http2.SettingsFrame).Value(http2.SettingEnableConnectProtocol); !ok || v != 1 {
		t.Errorf("SETTINGS_ENABLE_CONNECT_PROTOCOL %d, %v", v, ok)
	}
	f.request(1, false, connect("websocket", "sec-websocket-key", "x", "sec-websocket-protocol", "chat")...)
	head, ok := f.next().(*http2.MetaHeadersFrame)
	if !ok || head.PseudoValue("status") != "200" || head.StreamEnded() {
		t.Fatalf("%+v", head)
	}
	got := map[string]string{}
	for _, field := range head.RegularFields() {
		got[field.Name] = field.Value
	}
	if got["sec-websocket-protocol"] != "chat" || got["sec-websocket-accept"] != "" || got["upgrade"] != "" || got["connection"] != "" {
		t.Errorf("fields %v", got)
	}
	big := bytes.Repeat([]byte("0123456789"), 3000)
	f.must(f.WriteData(1, false, big[:16000]))
	f.must(f.WriteData(1, true, big[16000:]))
	var back []byte
	for ended := false; !ended; {
		fr, err := f.ReadFrame()
		f.must(err)
		switch fr := fr.(type) {
		case *http2.DataFrame:
			back = append(back, fr.Data()...)
			ended = fr.StreamEnded()
			if n := uint32(len(fr.Data())); n > 0 {
				f.must(f.WriteWindowUpdate(0, n))
				f.must(f.WriteWindowUpdate(1, n))
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("%v", fr)
		}
	}
	if want := "hello" + string(big) + "bye"; string(back) != want {
		t.Errorf("%d bytes, want %d", len(back), len(want))
	}
	eventually(t, "the tunnel ends", func() bool { return r.Open() == 0 && b.service.Active.Load() == 0 })
	f.request(3, true, get2()...) // the client's connection goes on
	if got := f.outcome(); got != "502" && got != "400" {
		t.Errorf("the next request: %s", got)
	}
	e := b.entries()
	slices.SortFunc(e, func(a, b entry) int { return a.Status - b.Status }) // both requests end at the same time
	if len(e) != 2 || e[0].Status != 200 || e[0].Protocol != "HTTP/2.0" || e[0].BytesIn != int64(len(big)) || e[0].BytesOut != int64(len(back)) {
		t.Errorf("access log %+v", e)
	}
}

// What is not a tunnel afterwards must not look like one: a 2xx would.
func TestExtendedConnectsThatDoNotBecomeTunnels(t *testing.T) {
	for name, tc := range map[string]struct {
		head  []string
		reply string
		want  string
	}{
		"the instance answers":       {connect("websocket"), upstreamtest.OK, "502"},
		"the instance refuses":       {connect("websocket"), "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"},
		"without proof":              {connect("websocket"), "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "502"},
		"another HTTP":               {connect("h2c"), upstreamtest.OK, "501"},
		"not a protocol":             {connect("a,b"), upstreamtest.OK, "501"},
		"without a name":             {connect(""), upstreamtest.OK, "reset PROTOCOL_ERROR"},
		"a name with a space":        {connect("web socket"), upstreamtest.OK, "reset PROTOCOL_ERROR"},
		"a name with a line":         {connect("a\r\nx: y"), upstreamtest.OK, "reset PROTOCOL_ERROR"},
		"without an authority":       {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/"}, upstreamtest.OK, "reset PROTOCOL_ERROR"},
		"without a path":             {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a"}, upstreamtest.OK, "reset PROTOCOL_ERROR"},
		"a protocol without CONNECT": {get2(":protocol", "websocket")[:10], upstreamtest.OK, "reset PROTOCOL_ERROR"},
		"with a length":              {connect("websocket", "content-length", "5"), upstreamtest.OK, "400"},
		"CONNECT":                    {[]string{":method", "CONNECT", ":authority", "a:80"}, upstreamtest.OK, "501"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, upstreamtest.Always(tc.reply), nil)
			f := b.frames()
			f.request(1, false, tc.head...)
			if got := f.outcome(); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if tc.want == "502" && strings.Contains(tc.reply, "200 OK") && b.lives[0].Errors.Load() != 0 {
				t.Error("an instance that answers an Upgrade without one is charged")
			}
		})
	}
}

func TestAnotherProtocolIsTunnelledOverHTTP2(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) {
		if req := s.Request(); req == nil || req.Header.Get("Upgrade") != "tcp" || req.Header.Get("Sec-Websocket-Key") != "" {
			return
		}
		s.Write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		_, _ = io.Copy(s.Conn, s.Reader)
	}, nil)
	f := b.frames()
	f.request(1, false, connect("tcp")...)
	if got := f.outcome(); got != "200" {
		t.Fatal(got)
	}
	f.must(f.WriteData(1, true, []byte("bytes")))
	for {
		fr, err := f.ReadFrame()
		f.must(err)
		if d, ok := fr.(*http2.DataFrame); ok {
			if string(d.Data()) != "bytes" {
				t.Errorf("%q", d.Data())
			}
			return
		}
	}
}

// A client of HTTP/1.1 or HTTP/2 reaches a WebSocket behind an instance of HTTP/2, here another proxy.
func TestWebSocketToAnInstanceOfHTTP2(t *testing.T) {
	behind := runWith(t, false, []string{echoing(t).Addr}, func(c *Config, _ *dispatch.Route) { c.Via = "behind" })
	b := run(t, []string{behind.addr}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{HTTP2: true} })
	for range 2 {
		c := b.dial()
		c.send(wsOpen + "early")
		res, err := http.ReadResponse(c.r, nil)
		if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != wsAns || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Sec-Websocket-Protocol") != "chat" {
			t.Fatalf("%v %+v", err, res)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c.r); err != nil || string(got) != "helloearlybye" {
			t.Errorf("%q, %v", got, err)
		}
	}
	f := b.frames()
	f.request(1, false, connect("websocket")...)
	if got := f.outcome(); got != "200" {
		t.Error(got)
	}
	f.must(f.WriteRSTStream(1, http2.ErrCodeCancel))
	eventually(t, "the tunnel ends on both sides", func() bool {
		return b.service.Active.Load() == 0 && behind.service.Active.Load() == 0
	})
	if n := b.p.Stats().UpstreamDials; n != 1 {
		t.Errorf("%d connections to the instance, want one for all", n)
	}
	for _, e := range b.entries() { // what each client got
		if want := map[string]int{"HTTP/1.1": 101, "HTTP/2.0": 200}[e.Protocol]; e.Status != want {
			t.Errorf("the access log has status %d for a tunnel of %s, want %d", e.Status, e.Protocol, want)
		}
	}
}

// An instance of HTTP/2 may send the proof of HTTP/1.1 as well: the client gets one.
func TestTheProofOfAWebSocketIsSentOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		c := h2.New(unbuffered{nc}, h2.Config{HeadBytes: 4096, Now: func() int64 { return int64(time.Since(started)) }, Malformed: func(string) {}, Open: func(s *h2.Stream, _ []byte, _ bool) {
			wg.Go(func() {
				defer s.Close()
				_, _ = s.Write(h2.AppendField(h2.AppendStatus(nil, 200), "sec-websocket-accept", "of-the-instance"), []byte("bye"), true)
				_, _ = io.Copy(io.Discard, s)
			})
		}})
		_ = c.Serve()
	})
	b := runMux(t, []string{ln.Addr().String()}, nil)
	c := b.dial()
	c.send(wsOpen)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 || !slices.Equal(res.Header.Values("Sec-WebSocket-Accept"), []string{wsAns}) {
		t.Errorf("%v %+v", err, res)
	}
	_ = c.CloseWrite()
	if got, err := io.ReadAll(c.r); err != nil || string(got) != "bye" {
		t.Errorf("%q, %v", got, err)
	}
	b.stop()
}

// An instance of HTTP/2 that accepts connections and sends no settings keeps a WebSocket waiting. A client that leaves
// meanwhile is noticed; for the others the request becomes a plain one after the time to connect.
func TestAWebSocketWaitsForTheSettingsOfItsInstance(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // the kernel accepts, and no process reads
	wait := func(connect time.Duration) *bench {
		return runMux(t, []string{ln.Addr().String()}, func(_ *Config, r *dispatch.Route) {
			r.Split[0].Leg.ConnectTimeout = connect
			r.Retry = dispatch.Retry{}
		})
	}
	b := wait(testTimeout)
	c, f := b.dial(), b.frames()
	c.send(wsOpen)
	f.request(1, false, connect("websocket")...)
	eventually(t, "both wait", func() bool { return b.service.Active.Load() == 2 })
	c.abort()
	f.must(f.WriteRSTStream(1, http2.ErrCodeCancel))
	eventually(t, "both are noticed", func() bool { return b.service.Active.Load() == 0 })
	for _, e := range b.entries() {
		if e.Status != 499 || b.lives[0].Errors.Load() != 0 {
			t.Errorf("%+v, %d errors of the instance", e, b.lives[0].Errors.Load())
		}
	}
	b = wait(100 * time.Millisecond)
	c = b.dial()
	c.send(wsOpen)
	nc, err := ln.Accept() // of the first proxy
	for range 2 {
		if err != nil {
			t.Fatal(err)
		}
		if got := firstRequest(nc); got != "" {
			if got != "GET" {
				t.Errorf("got %s", got)
			}
			return
		}
		nc, err = ln.Accept()
	}
	t.Error("no request arrived")
}

// firstRequest reads frames until one begins a request, and returns its method; "" at the end of the connection.
func firstRequest(nc net.Conn) string {
	defer nc.Close()
	if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
		return ""
	}
	fr := http2.NewFramer(nc, nc)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return ""
		}
		if head, ok := f.(*http2.MetaHeadersFrame); ok {
			return head.PseudoValue("method")
		}
	}
}

// An instance of HTTP/2 that has no extended CONNECT gets a plain request, and answers it as it likes.
func TestAnInstanceOfHTTP2WithoutExtendedConnect(t *testing.T) {
	addr, _ := h2Instance(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.Header.Get("Upgrade") != "" {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		w.WriteHeader(426)
	})
	b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{HTTP2: true} })
	c := b.dial()
	c.send(wsOpen)
	if res, _ := c.response("GET"); res.StatusCode != 426 {
		t.Errorf("%d", res.StatusCode)
	}
}

func TestTunnelsOverHTTP2AreCountedWhenAStopCutsThem(t *testing.T) {
	b := run(t, []string{echoing(t).Addr}, nil)
	f := b.frames()
	f.request(1, false, connect("websocket")...)
	if got := f.outcome(); got != "200" {
		t.Fatal(got)
	}
	ctx, cancel := cancelled()
	defer cancel()
	err := b.p.Drain(ctx)
	if cut, ok := err.(*CutError); !ok || cut.Requests != 1 || cut.Tunnels != 1 {
		t.Errorf("%v", err)
	}
}

// An answer to an authority is no tunnel.
func TestAnExtendedConnectToTheAddressOfAChallenge(t *testing.T) {
	var challenges certs.Challenges
	challenges.Set([]certs.Challenge{{Name: "a.example", Type: certs.HTTP01, Token: "token", KeyAuthorization: "token.print"}})
	b := runWith(t, false, []string{upstreamtest.NewRaw(t, upstreamtest.Always("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).Addr}, func(c *Config, _ *dispatch.Route) { c.Challenges = &challenges })
	f := b.frames()
	head := connect("websocket")
	head[7] = "/.well-known/acme-challenge/token"
	f.request(1, false, head...)
	if got := f.outcome(); got != "403" {
		t.Errorf("got %s, want the answer of the instance", got)
	}
}
