package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/compress"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// compressing runs the proxy with a route that compresses what handler answers; the instance speaks HTTP/1.1 or HTTP/2.
func compressing(t *testing.T, http2 bool, handler http.HandlerFunc) *bench {
	t.Helper()
	addr := ""
	if http2 {
		addr, _ = h2Instance(t, handler)
	} else {
		addr = upstreamtest.NewHTTP(t, handler)
	}
	return run(t, []string{addr}, func(_ *Config, r *dispatch.Route) {
		r.Split[0].Leg = &dispatch.Leg{HTTP2: http2}
		r.Actions = &action.Actions{Compression: &compress.Policy{
			Codings: []compress.Coding{compress.Zstd, compress.Brotli, compress.Gzip}, Types: compress.Types{"text/*", "application/json"}, MinSize: 100,
		}}
	})
}

// decoded is a reader of what a client gets.
func decoded(t *testing.T, res *http.Response) io.Reader {
	t.Helper()
	switch res.Header.Get("Content-Encoding") {
	case "":
		return res.Body
	case "gzip":
		r, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	case "br":
		return brotli.NewReader(res.Body)
	case "zstd":
		r, err := zstd.NewReader(res.Body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Fatalf("Content-Encoding: %s", res.Header.Get("Content-Encoding"))
	return nil
}

// ask sends a request. Fields are lines.
func ask(t *testing.T, do *http.Client, method, url string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	res, err := do.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Bodies of each size and framing, compressible or not, arrive as the instance sent them.
func TestCompressedBodiesAreWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	text := bytes.Repeat([]byte("a line that comes again and again\n"), 1<<15)
	handler := func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		body := text[:n]
		if r.URL.Query().Has("noise") {
			body = noise[:n]
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if r.URL.Query().Has("chunked") {
			w.(http.Flusher).Flush()
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		_, _ = w.Write(body)
	}
	for _, http2 := range []bool{false, true} {
		b := compressing(t, http2, handler)
		for protocol, client := range b.clientsOf("/") {
			do, url := client()
			for _, coding := range []string{"zstd", "br", "gzip"} {
				for _, n := range []int{0, 1, 99, 100, 5000, 70000, 1 << 20} {
					for _, kind := range []string{"&x", "&noise", "&chunked", "&noise&chunked"} {
						res := ask(t, do, "GET", fmt.Sprintf("%s?n=%d%s", url, n, kind), "Accept-Encoding: "+coding)
						want := text[:n]
						if strings.Contains(kind, "noise") {
							want = noise[:n]
						}
						applied := res.Header.Get("Content-Encoding") == coding
						got, err := io.ReadAll(decoded(t, res))
						if err != nil || !bytes.Equal(got, want) {
							t.Fatalf("%s, instance with HTTP/2 %v, %s, %d bytes%s: got %d bytes, %v", protocol, http2, coding, n, kind, len(got), err)
						}
						if left, err := io.ReadAll(res.Body); err != nil || len(left) > 0 {
							t.Fatalf("%s%s: %d surplus bytes, %v", coding, kind, len(left), err)
						}
						_ = res.Body.Close()
						if applied != (n >= 100 || strings.Contains(kind, "chunked")) && n > 0 {
							t.Errorf("%s: %d bytes%s: compressed %v", protocol, n, kind, applied)
						}
						if applied && res.ContentLength != -1 {
							t.Errorf("Content-Length %d", res.ContentLength)
						}
					}
				}
			}
		}
		b.stop()
		s := b.p.Stats()
		if s.Compressed[compress.Gzip] == 0 || s.Compressed[compress.Brotli] == 0 || s.Compressed[compress.Zstd] == 0 || s.Uncompressed != 0 {
			t.Errorf("counted %v, %d", s.Compressed, s.Uncompressed)
		}
	}
}

func TestHeadsOfCompressedResponses(t *testing.T) {
	body := strings.Repeat("0123456789", 20)
	const tag = `"v1"`
	for _, row := range []struct {
		name, method   string
		request        []string
		status         int
		response       []string
		encoding, vary string
		etag, ranges   string
		length         int64
	}{
		{"a page", "GET", []string{"Accept-Encoding: gzip"}, 200, nil, "gzip", "Accept-Encoding", `W/"v1"`, "", -1},
		{"a client of identity", "GET", []string{"Accept-Encoding: identity"}, 200, nil, "", "Accept-Encoding", tag, "bytes", 200},
		{"a client that refuses", "GET", []string{"Accept-Encoding: gzip;q=0, identity"}, 200, nil, "", "Accept-Encoding", tag, "bytes", 200},
		{"Vary is joined", "GET", []string{"Accept-Encoding: br"}, 200, []string{"Vary: Origin"}, "br", "Origin, Accept-Encoding", `W/"v1"`, "", -1},
		{"Vary is there", "GET", []string{"Accept-Encoding: br"}, 200, []string{"Vary: accept-encoding"}, "br", "accept-encoding", `W/"v1"`, "", -1},
		{"an error page", "GET", []string{"Accept-Encoding: zstd"}, 404, nil, "zstd", "Accept-Encoding", `W/"v1"`, "", -1},
		{"identity", "GET", []string{"Accept-Encoding: gzip"}, 200, []string{"Content-Encoding: identity"}, "gzip", "Accept-Encoding", `W/"v1"`, "", -1},
		{"compressed before", "GET", []string{"Accept-Encoding: gzip"}, 200, []string{"Content-Encoding: br"}, "br", "", tag, "bytes", 200},
		{"another type", "GET", []string{"Accept-Encoding: gzip"}, 200, []string{"Content-Type: video/mp4"}, "", "", tag, "bytes", 200},
		{"no-transform of the instance", "GET", []string{"Accept-Encoding: gzip"}, 200, []string{"Cache-Control: no-transform"}, "", "", tag, "bytes", 200},
		{"no-transform of the client", "GET", []string{"Accept-Encoding: gzip", "Cache-Control: no-transform"}, 200, nil, "", "Accept-Encoding", tag, "bytes", 200},
		{"a range", "GET", []string{"Accept-Encoding: gzip", "Range: bytes=0-199"}, 206, []string{"Content-Range: bytes 0-199/400"}, "", "", tag, "bytes", 200},
		{"a digest", "GET", []string{"Accept-Encoding: gzip"}, 200, []string{"Content-Digest: sha-256=:AA==:"}, "", "", tag, "bytes", 200},
		{"HEAD", "HEAD", []string{"Accept-Encoding: gzip"}, 200, nil, "gzip", "Accept-Encoding", `W/"v1"`, "", -1},
		{"HEAD of another client", "HEAD", nil, 200, nil, "", "Accept-Encoding", tag, "bytes", 200},
		{"204", "GET", []string{"Accept-Encoding: gzip"}, 204, nil, "", "", tag, "bytes", 0},
		{"304 for a compressed copy", "GET", []string{"Accept-Encoding: gzip", `If-None-Match: W/"v1"`}, 304, nil, "", "Accept-Encoding", `W/"v1"`, "bytes", 0},
		{"304 for another copy", "GET", []string{"Accept-Encoding: gzip", `If-None-Match: "v1"`}, 304, nil, "", "", tag, "bytes", 0},
	} {
		handler := func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/plain")
			h.Set("Etag", tag)
			h.Set("Accept-Ranges", "bytes")
			if row.status != 204 && row.status != 304 {
				h.Set("Content-Length", strconv.Itoa(len(body)))
			}
			for _, f := range row.response {
				name, value, _ := strings.Cut(f, ": ")
				h.Set(name, value)
			}
			w.WriteHeader(row.status)
			if row.status != 204 && row.status != 304 && r.Method != "HEAD" {
				_, _ = io.WriteString(w, body)
			}
		}
		b := compressing(t, false, handler)
		for protocol, client := range b.clientsOf("/") {
			do, url := client()
			res := ask(t, do, row.method, url, row.request...)
			if row.encoding != "br" || len(row.response) == 0 || row.response[0] != "Content-Encoding: br" {
				got, err := io.ReadAll(decodedIf(t, res, row.method == "GET"))
				if want := body; err != nil || row.length != 0 && row.method == "GET" && string(got) != want {
					t.Errorf("%s, %s: body %q, %v", row.name, protocol, got, err)
				}
			}
			_ = res.Body.Close()
			h := res.Header
			if got, want := fmt.Sprint(res.StatusCode, h["Content-Encoding"], strings.Join(h["Vary"], ", "), h["Etag"], strings.Join(h["Accept-Ranges"], ", ")),
				fmt.Sprint(row.status, some(row.encoding), row.vary, []string{row.etag}, row.ranges); got != want {
				t.Errorf("%s, %s: got %s, want %s", row.name, protocol, got, want)
			}
			if row.length != 0 && res.ContentLength != row.length {
				t.Errorf("%s, %s: Content-Length %d, want %d", row.name, protocol, res.ContentLength, row.length)
			}
		}
		b.stop()
	}
}

func some(s string) []string {
	if s == "" {
		return []string{}
	}
	return []string{s}
}

func decodedIf(t *testing.T, res *http.Response, on bool) io.Reader {
	if !on {
		return res.Body
	}
	return decoded(t, res)
}

// A stream of events is compressed, and each event arrives before the next one is sent.
func TestEventsAreCompressedAndNotDelayed(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		next := make(chan struct{})
		b := compressing(t, http2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 5 {
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
			}
		})
		for protocol, client := range b.clientsOf("/") {
			do, url := client()
			for _, coding := range []string{"zstd", "br", "gzip"} {
				res := ask(t, do, "GET", url, "Accept-Encoding: "+coding)
				if res.Header.Get("Content-Encoding") != coding {
					t.Fatalf("got %v", res.Header)
				}
				r := decoded(t, res)
				for i := range 5 {
					want := fmt.Sprintf("data: %d\n\n", i)
					got := make([]byte, len(want))
					if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
						t.Fatalf("%s, %s: got %q, %v", protocol, coding, got, err)
					}
					next <- struct{}{}
				}
				if left, err := io.ReadAll(r); err != nil || len(left) > 0 {
					t.Errorf("%s, %s: surplus %q, %v", protocol, coding, left, err)
				}
				_ = res.Body.Close()
			}
		}
		b.stop()
	}
}

// A body that the instance does not end must not look complete to the client.
func TestABrokenBodyStaysBrokenWhenCompressed(t *testing.T) {
	b := compressing(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	for protocol, client := range b.clientsOf("/") {
		do, url := client()
		for _, coding := range []string{"zstd", "br", "gzip"} {
			res := ask(t, do, "GET", url, "Accept-Encoding: "+coding)
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%s, %s: the body has an end", protocol, coding)
			}
			_ = res.Body.Close()
		}
	}
	b.stop()
}

// HTTP/1.0 has no chunks.
func TestClientsThatGetNoCompression(t *testing.T) {
	b := compressing(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	})
	for _, request := range []string{"GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		c := b.dial()
		c.send(request)
		res, body := c.response("GET")
		if res.Header.Get("Content-Encoding") != "" || body != strings.Repeat("x", 1000) || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v %q", request, res.Header, body)
		}
	}
	b.stop()
}

// A route that lets no instance compress still knows what the client accepts. With all encoders in use, responses pass
// unchanged and are counted.
func TestAllEncodersInUse(t *testing.T) {
	accepted := make(chan string, 10)
	addr := upstreamtest.NewHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Etag", `"v1"`)
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	}))
	b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) {
		r.Actions = &action.Actions{
			Request:     headersOf(t, nil, nil, []string{"Accept-Encoding"}),
			Compression: &compress.Policy{Codings: []compress.Coding{compress.Gzip}, Types: compress.Types{"text/plain"}},
		}
	})
	asked := 0
	for protocol, client := range b.clientsOf("/") {
		do, url := client()
		for _, busy := range []bool{false, true, false} {
			eventually(t, "the request before has given its encoder back", func() bool { return strings.Count(b.log.String(), "\n") == asked })
			asked++
			var taken []*compress.Encoder
			for busy {
				e := b.p.encoders.Get(compress.Gzip)
				if e == nil {
					break
				}
				taken = append(taken, e)
			}
			before := b.p.Stats().Uncompressed
			res := ask(t, do, "GET", url, "Accept-Encoding: gzip")
			body, err := io.ReadAll(decoded(t, res))
			_ = res.Body.Close()
			for _, e := range taken {
				b.p.encoders.Put(e)
			}
			want, tag := "gzip", `W/"v1"`
			if busy {
				want, tag = "", `"v1"`
			}
			if h := res.Header; err != nil || string(body) != strings.Repeat("x", 1000) || h.Get("Content-Encoding") != want || h.Get("Etag") != tag || h.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s, busy %v: %v, %d bytes, %v", protocol, busy, h, len(body), err)
			}
			if counted := b.p.Stats().Uncompressed > before; counted != busy {
				t.Errorf("%s: counted %v", protocol, counted)
			}
			if got := <-accepted; got != "" {
				t.Errorf("the instance got Accept-Encoding: %s", got)
			}
		}
	}
	b.stop()
}
