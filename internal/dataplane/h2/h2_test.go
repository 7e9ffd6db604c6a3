package h2

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const testTimeout = 2 * time.Minute

// decoded decodes what the encoder wrote.
func decoded(tb testing.TB, block []byte) (out []hpack.HeaderField) {
	tb.Helper()
	d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { out = append(out, f) })
	if _, err := d.Write(block); err != nil {
		tb.Fatalf("%x: %v", block, err)
	}
	if err := d.Close(); err != nil {
		tb.Fatalf("%x: %v", block, err)
	}
	return out
}

func TestEveryStatusCanBeEncoded(t *testing.T) {
	for status := 100; status < 1000; status++ {
		got := decoded(t, AppendStatus(nil, status))
		want := []byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}
		if len(got) != 1 || got[0].Name != ":status" || got[0].Value != string(want) {
			t.Fatalf("%d: got %v", status, got)
		}
	}
}

func TestEveryNameOfTheStaticTable(t *testing.T) {
	for name := range staticNames {
		if got := decoded(t, AppendField(nil, strings.ToUpper(name), "v")); len(got) != 1 || got[0].Name != name || got[0].Value != "v" {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func FuzzAppendField(f *testing.F) {
	f.Add("content-type", "text/plain")
	f.Add("X-A", strings.Repeat("v", 200))
	f.Add(strings.Repeat("n", 127), strings.Repeat("v", 127))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, name, value string) {
		got := decoded(t, AppendField(nil, name, value))
		if len(got) != 1 || got[0].Value != value {
			t.Fatalf("got %q", got)
		}
		want := []byte(name)
		for i, c := range want {
			if c >= 'A' && c <= 'Z' {
				want[i] = c + 'a' - 'A'
			}
		}
		if got[0].Name != string(want) {
			t.Fatalf("got the name %q, want %q", got[0].Name, want)
		}
	})
}

// What a client puts into a field stays in that field: the text of the head has exactly one line for each field, and the
// parser of HTTP/1.1 reads it to its end or refuses it.
func FuzzHead(f *testing.F) {
	f.Add("GET", "/", "a.example", "accept", "*/*", "cookie", "a=1")
	f.Add("GET", "/ HTTP/1.1\r\nX: 1", "a", "b", "c\r\n\r\nGET /secret HTTP/1.1", "te", "trailers")
	f.Add("POST", "/x?y", "a:8080", "content-length", "5", "transfer-encoding", "chunked")
	f.Add("CONNECT", "", "a:1", "host", "b", "a b", "c")
	f.Add("OPTIONS", "*", "a", "x_y", "1", "content-length", "0")
	f.Fuzz(func(t *testing.T, method, path, authority, name1, value1, name2, value2 string) {
		h := head{limit: 16 << 10}
		h.reset(false)
		lines := 2 // the request line and the empty line
		fields := []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}, {Name: ":authority", Value: authority}, {Name: name1, Value: value1}, {Name: name2, Value: value2}}
		if method == "CONNECT" {
			fields = append(fields[:1], fields[3:]...)
		}
		for _, field := range fields {
			h.add(field)
		}
		if h.finish(false) != "" {
			return
		}
		if authority != "" || name1 == "host" && value1 != "" || name2 == "host" && value2 != "" {
			lines++
		}
		cookies := 0
		for _, n := range []string{name1, name2} {
			switch n {
			case "host":
			case "cookie":
				cookies++
			default:
				lines++
			}
		}
		if cookies > 0 && len(h.cookie) > 0 {
			lines++
		}
		if got := bytes.Count(h.text, []byte("\n")); got != lines {
			t.Fatalf("%d lines, want %d: %q", got, lines, h.text)
		}
		if bytes.Count(h.text, []byte("\r\n")) != lines || !bytes.HasSuffix(h.text, []byte("\r\n\r\n")) && lines > 1 {
			t.Fatalf("lines of %q", h.text)
		}
		var req h1.Request
		lim := h1.Limits{}.WithDefaults()
		n, bad := req.Parse(h.text, &lim)
		if bad == nil && n != len(h.text) {
			t.Fatalf("the parser read %d of %d bytes: %q", n, len(h.text), h.text)
		}
		if bad == nil && (req.Body == h1.ByChunks || string(req.Method()) != method) {
			t.Fatalf("framing %v, method %q: %q", req.Body, req.Method(), h.text)
		}
	})
}

// pipe is a transport over net.Pipe.
type pipe struct{ net.Conn }

func (pipe) Buffered() int { return 0 }

// FuzzConn sends arbitrary frames to a connection that answers every request with its own body. Whatever arrives, the
// connection ends, and what it sends are valid frames.
// HEADERS with more padding than payload end the connection: their fields are missing in the HPACK table. A CONTINUATION
// after them once opened stream 0.
func TestTooMuchPaddingEndsTheConnection(t *testing.T) {
	block := []byte{0x82, 0x86, 0x84, 0x41, 0x01, 'a'} // GET http://a/
	for _, flags := range []http2.Flags{http2.FlagHeadersPadded, http2.FlagHeadersPadded | http2.FlagHeadersEndHeaders} {
		client, server := net.Pipe()
		_ = client.SetDeadline(time.Now().Add(testTimeout))
		opened := 0
		c := New(pipe{server}, Config{HeadBytes: 4096, MaxStreams: 4, Now: func() int64 { return 1 }, Malformed: func(string) {}, Open: func(*Stream, []byte, bool) { opened++ }})
		done := make(chan error, 1)
		go func() {
			done <- c.Serve()
			_ = server.Close()
		}()
		go func() {
			_, _ = io.WriteString(client, Preface)
			w := http2.NewFramer(client, nil)
			_ = w.WriteSettings()
			_ = w.WriteRawFrame(http2.FrameHeaders, flags, 1, []byte{9})
			if !flags.Has(http2.FlagHeadersEndHeaders) {
				_ = w.WriteContinuation(1, true, block)
			}
		}()
		var last http2.Frame
		r := http2.NewFramer(nil, client)
		for {
			f, err := r.ReadFrame()
			if err != nil {
				break
			}
			last = f
		}
		if g, ok := last.(*http2.GoAwayFrame); !ok || g.ErrCode != http2.ErrCodeProtocol {
			t.Errorf("flags %x: the last frame is %v, want GOAWAY with PROTOCOL_ERROR", flags, last)
		}
		if err := <-done; err == nil || opened != 0 {
			t.Errorf("flags %x: %v, %d requests", flags, err, opened)
		}
		_ = client.Close()
	}
}

func FuzzConn(f *testing.F) {
	var seed bytes.Buffer
	w := http2.NewFramer(&seed, nil)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "a"}} {
		_ = enc.WriteField(field)
	}
	_ = w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = w.WriteData(1, true, []byte("hello, world"))
	_ = w.WriteWindowUpdate(1, 100)
	_ = w.WritePing(false, [8]byte{1})
	_ = w.WriteRSTStream(1, http2.ErrCodeCancel)
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, input []byte) {
		client, server := net.Pipe()
		var wg sync.WaitGroup
		now := int64(1)
		c := New(pipe{server}, Config{
			HeadBytes: 4096, MaxStreams: 4, Now: func() int64 { return now },
			Malformed: func(string) {},
			Open: func(s *Stream, head []byte, tooLarge bool) {
				if !tooLarge && !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
					t.Errorf("head %q", head)
				}
				wg.Go(func() {
					defer s.Close()
					buf := make([]byte, 64)
					_, err := s.Write(AppendStatus(nil, 200), nil, false)
					for err == nil {
						var n int
						if n, err = s.Read(buf); err == nil {
							_, err = s.Write(nil, buf[:n], false)
						}
					}
					if err == io.EOF {
						_, _ = s.Write(nil, nil, true)
					}
				})
			},
		})
		wg.Go(func() {
			defer server.Close()
			_ = c.Serve()
		})
		wg.Go(func() {
			r := http2.NewFramer(nil, client)
			r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			for {
				_, err := r.ReadFrame()
				if err == io.EOF || err == io.ErrUnexpectedEOF || err == io.ErrClosedPipe {
					return
				}
				if err != nil {
					t.Errorf("the server sent: %v", err)
					_, _ = io.Copy(io.Discard, client)
					return
				}
			}
		})
		_ = client.SetWriteDeadline(time.Now().Add(testTimeout))
		_, _ = io.WriteString(client, Preface)
		_, _ = client.Write(input)
		_ = client.Close()
		wg.Wait()
	})
}

// FuzzClient answers two requests with arbitrary frames. Whatever arrives, the connection and the streams end, and what
// the client reads begins with a head that the parser of HTTP/1.1 accepts, or is nothing.
func FuzzClient(f *testing.F) {
	var seed bytes.Buffer
	w := http2.NewFramer(&seed, nil)
	_ = w.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 10})
	head := AppendField(AppendStatus(nil, 200), "content-type", "text/plain")
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: AppendStatus(nil, 103), EndHeaders: true})
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndHeaders: true})
	_ = w.WriteData(1, false, []byte("hello"))
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: AppendField(nil, "grpc-status", "0"), EndHeaders: true, EndStream: true})
	_ = w.WriteRSTStream(3, http2.ErrCodeRefusedStream)
	_ = w.WriteGoAway(1, http2.ErrCodeNo, nil)
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, input []byte) {
		client, server := net.Pipe()
		var wg sync.WaitGroup
		c := NewClient(pipe{client}, Config{HeadBytes: 4096, MaxStreams: 4, Now: func() int64 { return 1 }, Malformed: func(string) {}})
		wg.Go(func() {
			_, _ = io.Copy(io.Discard, server)
		})
		wg.Go(func() {
			defer client.Close()
			_ = c.Serve()
		})
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		request := AppendRequest(nil, []byte("GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"), "http")
		for range 2 {
			s := c.Open(false)
			if s == nil {
				continue
			}
			_, _ = s.Write(request, nil, true)
			wg.Go(func() {
				defer s.Close()
				var got []byte
				buf := make([]byte, 512)
				for {
					n, err := s.Read(buf)
					got = append(got, buf[:n]...)
					if err != nil {
						break
					}
				}
				if len(got) == 0 {
					return
				}
				var res h1.Response
				lim := h1.Limits{}.WithDefaults()
				if n, bad := res.Parse(got, false, false, &lim); n == 0 && bad == nil {
					t.Errorf("an incomplete head: %q", got)
				}
			})
		}
		_ = server.SetWriteDeadline(time.Now().Add(testTimeout))
		_, _ = server.Write(input)
		_ = server.Close()
		wg.Wait()
	})
}

// A stream that has sent nothing yet keeps its connection in use: the connection must neither be closed as idle, nor stay
// for ever because it never became idle.
func TestAStreamThatSentNothingCounts(t *testing.T) {
	idle := 0
	mine, other := net.Pipe()
	defer other.Close()
	go func() { _, _ = io.Copy(io.Discard, other) }()
	c := NewClient(pipe{mine}, Config{HeadBytes: 4096, Now: func() int64 { return 1 }, Idle: func() { idle++ }})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	one, two := c.Open(false), c.Open(false)
	if n := c.Streams(); n != 2 {
		t.Errorf("%d streams", n)
	}
	one.Close()
	if n := c.Streams(); n != 1 || idle != 0 {
		t.Errorf("%d streams, idle %d times", n, idle)
	}
	if _, err := two.Write(AppendRequest(nil, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "http"), nil, true); err != nil {
		t.Fatal(err)
	}
	two.Close()
	if n := c.Streams(); n != 0 || idle != 1 {
		t.Errorf("%d streams, idle %d times", n, idle)
	}
	c.Open(false).Close()
	if n := c.Streams(); n != 0 || idle != 2 {
		t.Errorf("%d streams, idle %d times", n, idle)
	}
	_ = mine.Close()
}

// What a client puts into an extended CONNECT stays in its field on both ways: as an Upgrade that the parser of HTTP/1.1
// accepts or refuses, and again as an extended CONNECT.
func FuzzExtendedConnect(f *testing.F) {
	f.Add("websocket", "/chat?x", "a.example", "sec-websocket-key", "x")
	f.Add("websocket", "*", "a:1", "sec-websocket-protocol", "chat, super")
	f.Add("connect-udp", "/x", "a", "content-length", "0")
	f.Add("a/1", "/ HTTP/1.1\r\nx: y", "a\r\nb: c", "upgrade", "websocket")
	f.Add("h2c", "/", "a", "host", "b")
	f.Fuzz(func(t *testing.T, protocol, path, authority, name, value string) {
		h := head{limit: 16 << 10}
		h.reset(false)
		for _, field := range []hpack.HeaderField{{Name: ":method", Value: "CONNECT"}, {Name: ":protocol", Value: protocol}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}, {Name: ":authority", Value: authority}, {Name: name, Value: value}} {
			h.add(field)
		}
		if h.finish(false) != "" {
			return
		}
		var req h1.Request
		lim := h1.Limits{}.WithDefaults()
		n, bad := req.Parse(h.text, &lim)
		if bad != nil {
			return
		}
		if n != len(h.text) {
			t.Fatalf("the head ends after %d bytes of %q", n, h.text)
		}
		if up := string(req.Upgrade()); string(req.Method()) != "GET" || up != "" && (up != protocol || req.Body != h1.NoBody || req.WebSocket != strings.EqualFold(protocol, "websocket")) {
			t.Fatalf("%s %q, body %v, WebSocket %v: %q", req.Method(), up, req.Body, req.WebSocket, h.text)
		}
		if req.Upgrade() == nil {
			return
		}
		got := map[string]string{}
		for _, field := range decoded(t, AppendConnect(nil, h1.AppendEnd(req.AppendHead(nil, 0)), req.Upgrade(), "http")) {
			if _, twice := got[field.Name]; twice && field.Name != name {
				t.Fatalf("%s twice", field.Name)
			}
			got[field.Name] = field.Value
		}
		if got[":method"] != "CONNECT" || got[":protocol"] != protocol || got[":path"] != string(req.AppendTarget(nil)) || got[":authority"] != string(req.Host()) || got["connection"]+got["upgrade"]+got["sec-websocket-key"] != "" {
			t.Fatalf("%v of %q", got, h.text)
		}
	})
}

// Trailers arrive before the bytes in front of them are read. They are none until then: who asks after each piece would take
// them again and again.
func TestTrailersCountAtTheEndOnly(t *testing.T) {
	s := &Stream{c: &Conn{}, in: []byte("ab"), trailers: []byte("x: y\r\n"), ended: true}
	for s.off = range 2 {
		if trailers, ok := s.End(); trailers != nil || ok {
			t.Errorf("with %d of 2 bytes read: %q, %v", s.off, trailers, ok)
		}
	}
	s.off = 2
	if trailers, ok := s.End(); string(trailers) != "x: y\r\n" || !ok {
		t.Errorf("at the end: %q, %v", trailers, ok)
	}
}
