package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
)

// frames is a client of HTTP/2 that sends whatever a test wants.
type frames struct {
	*http2.Framer
	tb  testing.TB
	nc  net.Conn
	buf bytes.Buffer
	enc *hpack.Encoder
}

func (b *bench) frames() *frames {
	b.tb.Helper()
	c := b.dial()
	f := &frames{tb: b.tb, nc: c.Conn}
	if b.tls {
		cfg := identity().client.Clone()
		cfg.NextProtos = []string{"h2"}
		f.nc = tls.Client(c.tcp, cfg)
	}
	f.Framer = http2.NewFramer(f.nc, f.nc)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.AllowIllegalWrites = true
	f.enc = hpack.NewEncoder(&f.buf)
	if _, err := io.WriteString(f.nc, http2.ClientPreface); err != nil {
		b.tb.Fatal(err)
	}
	f.must(f.WriteSettings())
	return f
}

func (f *frames) must(err error) {
	f.tb.Helper()
	if err != nil {
		f.tb.Fatal(err)
	}
}

// block encodes fields: name, value, name, value.
func (f *frames) block(fields ...string) []byte {
	f.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.must(f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(f.buf.Bytes())
}

// get is the pseudo-headers of a request, followed by fields.
func get2(fields ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a.example"}, fields...)
}

// request sends a request head.
func (f *frames) request(id uint32, end bool, fields ...string) {
	f.tb.Helper()
	block := f.block(fields...)
	const most = 16 << 10
	first := block[:min(len(block), most)]
	f.must(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: len(block) <= most, BlockFragment: first}))
	for block = block[len(first):]; len(block) > 0; {
		part := block[:min(len(block), most)]
		block = block[len(part):]
		f.must(f.WriteContinuation(id, len(block) == 0, part))
	}
}

// next reads frames until one of the types that end or answer something arrives; nil at the end of the connection.
func (f *frames) next() http2.Frame {
	f.tb.Helper()
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				f.tb.Fatal("waited in vain for a frame")
			}
			return nil
		}
		switch fr := fr.(type) {
		case *http2.GoAwayFrame, *http2.RSTStreamFrame, *http2.MetaHeadersFrame:
			return fr
		case *http2.DataFrame:
			if len(fr.Data()) > 0 {
				f.must(f.WriteWindowUpdate(0, uint32(len(fr.Data()))))
			}
		}
	}
}

// outcome says in a word what the next frame is.
func (f *frames) outcome() string {
	f.tb.Helper()
	switch fr := f.next().(type) {
	case *http2.GoAwayFrame:
		return "goaway " + fr.ErrCode.String()
	case *http2.RSTStreamFrame:
		return "reset " + fr.ErrCode.String()
	case *http2.MetaHeadersFrame:
		return fr.PseudoValue("status")
	}
	return "end"
}

// Each flood ends the connection with a reason before it costs much.
func TestHTTP2Floods(t *testing.T) {
	slow := make(chan struct{})
	instance := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-slow }))
	defer instance.Close()
	defer close(slow)
	const calm = "goaway ENHANCE_YOUR_CALM"
	for name, tc := range map[string]struct {
		want  string
		flood func(f *frames, i int) error
	}{
		"requests cancelled at once": {calm, func(f *frames, i int) error {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndStream: true, EndHeaders: true, BlockFragment: f.block(get2()...)}); err != nil {
				return err
			}
			return f.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		}},
		"pings":    {calm, func(f *frames, _ int) error { return f.WritePing(false, [8]byte{}) }},
		"settings": {calm, func(f *frames, _ int) error { return f.WriteSettings() }},
		"priorities": {calm, func(f *frames, i int) error {
			return f.WritePriority(uint32(2*i+3), http2.PriorityParam{StreamDep: 1, Weight: 1})
		}},
		"unknown frames": {calm, func(f *frames, _ int) error { return f.WriteRawFrame(99, 0, 0, nil) }},
		"empty data": {calm, func(f *frames, i int) error {
			if i == 0 {
				f.request(1, false, get2()...)
			}
			return f.WriteData(1, false, nil)
		}},
		"window updates": {calm, func(f *frames, i int) error {
			if i == 0 {
				f.request(1, true, get2()...)
			}
			return f.WriteWindowUpdate(1, 1)
		}},
		"empty continuations": {calm, func(f *frames, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(get2()...)})
			}
			return f.WriteContinuation(1, false, nil)
		}},
		"a header block without an end": {calm, func(f *frames, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.block(get2()...)})
			}
			return f.WriteContinuation(1, false, f.block("a", strings.Repeat("x", 5000)))
		}},
		"requests above the limit": {calm, func(f *frames, i int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndStream: true, EndHeaders: true, BlockFragment: f.block(get2()...)})
		}},
	} {
		b := run(t, []string{instance.Listener.Addr().String()}, nil)
		f := b.frames()
		got := make(chan string, 1)
		go func() {
			for {
				switch w := f.outcome(); w {
				case "reset REFUSED_STREAM":
				default:
					got <- w
					return
				}
			}
		}()
		var w string
		for i := 0; w == "" && i < 100_000; i++ {
			if tc.flood(f, i) != nil {
				break
			}
			select {
			case w = <-got:
			default:
			}
		}
		if w == "" {
			w = take(t, "the client's error", got)
		}
		if w != tc.want && w != "end" { // the reset of the connection may overtake the reason
			t.Errorf("%s: got %s, want %s", name, w, tc.want)
		}
		eventually(t, name+": the connection is closed", func() bool { return b.p.Stats().ConnectionsOpen == 0 })
		b.stop()
	}
}

// A client that asks for a large response and takes nothing holds bounded memory and loses the request in time.
func TestHTTP2ClientThatTakesNothing(t *testing.T) {
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	}))
	defer instance.Close()
	b := run(t, []string{instance.Listener.Addr().String()}, func(c *Config, _ *dispatch.Route) { c.BodyTimeout = 300 * time.Millisecond })
	f := b.frames()
	f.request(1, true, get2()...)
	for _, want := range []string{"200", "reset INTERNAL_ERROR"} {
		fr := f.outcomeWithoutWindow()
		if fr != want {
			t.Fatalf("got %s, want %s", fr, want)
		}
	}
	got := b.entries()
	if len(got) != 1 || got[0].Why != dispatch.CodeClientSlow || got[0].BytesOut > 1<<20 {
		t.Errorf("log: %+v", got)
	}
}

// outcomeWithoutWindow is outcome of a client that never opens its windows.
func (f *frames) outcomeWithoutWindow() string {
	f.tb.Helper()
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			f.tb.Fatal(err)
		}
		switch fr := fr.(type) {
		case *http2.RSTStreamFrame:
			return "reset " + fr.ErrCode.String()
		case *http2.MetaHeadersFrame:
			return fr.PseudoValue("status")
		case *http2.GoAwayFrame:
			return "goaway " + fr.ErrCode.String()
		}
	}
}

// A client that cancels is noticed, and neither it nor the instance is charged with a failure of the instance.
func TestHTTP2CancelledRequest(t *testing.T) {
	came, ended := make(chan struct{}), make(chan struct{})
	instance := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
		close(ended)
	}))
	defer instance.Close()
	b := run(t, []string{instance.Listener.Addr().String()}, nil)
	f := b.frames()
	f.request(1, true, get2()...)
	take(t, "the request", came)
	f.must(f.WriteRSTStream(1, http2.ErrCodeCancel))
	take(t, "the end of the request", ended)
	eventually(t, "the exchange ends", func() bool { return b.service.Active.Load() == 0 })
	got := b.entries()
	if len(got) != 1 || got[0].Why != dispatch.CodeClientGone {
		t.Errorf("log: %+v", got)
	}
}

// An instance that breaks off inside a body: the client must not take it for whole.
func TestHTTP2BrokenResponse(t *testing.T) {
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer instance.Close()
	b := run(t, []string{instance.Listener.Addr().String()}, nil)
	f := b.frames()
	f.request(1, true, get2()...)
	for _, want := range []string{"200", "reset INTERNAL_ERROR"} {
		if got := f.outcome(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := b.entries(); len(got) != 1 || got[0].Why != dispatch.CodeBodyBroken {
		t.Errorf("log: %+v", got)
	}
}

// A drain tells the client, lets its request finish and closes the connection.
func TestHTTP2Drain(t *testing.T) {
	came, answer := make(chan struct{}), make(chan struct{})
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(came)
		<-answer
		_, _ = io.WriteString(w, "done")
	}))
	defer instance.Close()
	b := run(t, []string{instance.Listener.Addr().String()}, nil)
	f := b.frames()
	f.request(1, true, get2()...)
	take(t, "the request", came)
	drained := make(chan error, 1)
	go func() { drained <- b.p.Drain(t.Context()) }()
	if got := f.outcome(); got != "goaway NO_ERROR" {
		t.Errorf("got %s", got)
	}
	f.request(3, true, get2()...)
	if got := f.outcome(); got != "reset REFUSED_STREAM" {
		t.Errorf("a request after GOAWAY: got %s", got)
	}
	close(answer)
	if got := f.outcome(); got != "200" {
		t.Errorf("the request in flight: got %s", got)
	}
	if got := f.outcome(); got != "end" {
		t.Errorf("after the last response: got %s", got)
	}
	if err := take(t, "the end of the drain", drained); err != nil {
		t.Error(err)
	}
}

// Connections without requests, or with half a head, end in time.
func TestHTTP2IdleConnections(t *testing.T) {
	b := run(t, nil, func(c *Config, _ *dispatch.Route) {
		c.IdleTimeout, c.HeadTimeout = 300*time.Millisecond, 300*time.Millisecond
	})
	idle := b.frames()
	half := b.frames()
	half.must(half.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: half.block(get2()...)}))
	used := b.frames()
	used.request(1, true, get2()...)
	if got := used.outcome(); got != "502" && got != "503" {
		t.Errorf("got %s", got)
	}
	for name, f := range map[string]*frames{"idle": idle, "half a head": half, "used": used} {
		if got := f.outcome(); got != "goaway NO_ERROR" {
			t.Errorf("%s: got %s", name, got)
		}
		if got := f.outcome(); got != "end" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// The preface is one only at the start of a connection in the clear.
func TestPrefaceInTheWrongPlace(t *testing.T) {
	b := runWith(t, false, []string{echo(t)}, nil)
	c := b.dial()
	c.send(get)
	c.response("GET")
	c.send(http2.ClientPreface)
	if res, body := c.response("GET"); res.StatusCode != 400 || !strings.Contains(body, "HTTP/2 preface") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	b = runWith(t, true, []string{echo(t)}, nil)
	c = b.dial()
	c.send(http2.ClientPreface)
	if res, body := c.response("GET"); res.StatusCode != 400 || !strings.Contains(body, "HTTP/2 preface") {
		t.Errorf("without ALPN: got %d %q", res.StatusCode, body)
	}
}
