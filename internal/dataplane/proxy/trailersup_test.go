package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// summed is a body that sets a trailer when it has been read.
type summed struct {
	io.Reader
	trailer http.Header
	n       int
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if s.n += n; err == io.EOF {
		s.trailer.Set("X-Sum", fmt.Sprint(s.n))
		s.trailer.Set("Authorization", "secret")
	}
	return n, err
}

// Clients and instances of net/http: what a client sends after a body reaches the instance over either protocol, however
// long the body is.
func TestTrailersOfRequestsReachInstances(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		announced := fmt.Sprint(r.Header["Trailer"], len(r.TransferEncoding))
		if r.ProtoMajor == 2 {
			announced = "h2"
		}
		_, _ = fmt.Fprintf(w, "%d %v %v %s %d", n, err, r.Trailer, announced, r.ContentLength)
	})
	one := httptest.NewServer(handler)
	t.Cleanup(one.Close)
	two, _ := h2Instance(t, handler)
	for _, to := range []struct {
		addr  string
		http2 bool
	}{{one.Listener.Addr().String(), false}, {two, true}} {
		b := run(t, []string{to.addr}, func(_ *Config, r *dispatch.Route) { r.Split[0].Leg = &dispatch.Leg{HTTP2: to.http2} })
		client1, url := b.http("/")
		client2, url2 := b.h2Client("/")
		for _, size := range []int{0, 5, 3 << 20} {
			for _, tc := range []struct {
				client *http.Client
				url    string
				length bool
			}{{client1, url, false}, {client2, url2, false}, {client2, url2, true}} {
				body := &summed{Reader: strings.NewReader(strings.Repeat("x", size)), trailer: http.Header{"X-Sum": nil, "Authorization": nil}}
				req, err := http.NewRequest("POST", tc.url, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Trailer = body.trailer
				req.ContentLength = -1
				if tc.length {
					if size == 0 {
						continue
					}
					req.ContentLength = int64(size)
				}
				res, err := tc.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got := readAll(t, res.Body)
				want := fmt.Sprintf("%d <nil> map[X-Sum:[%d]] [] 1 -1", size, size)
				if to.http2 {
					want = fmt.Sprintf("%d <nil> map[X-Sum:[%d]] h2 -1", size, size)
				}
				if tc.length { // the length stays: HTTP/1.1 has no trailers then
					want = fmt.Sprintf("%d <nil> map[] [] 0 %d", size, size)
					if to.http2 {
						want = fmt.Sprintf("%d <nil> map[X-Sum:[%d]] h2 %d", size, size, size)
					}
				}
				if got != want {
					t.Errorf("%s to HTTP/2 %v, with length %v: got %q, want %q", res.Proto, to.http2, tc.length, got, want)
				}
			}
		}
		b.stop()
	}
}

// A whole upload with trailers is retried with them, once, on another instance.
func TestARetriedUploadTakesItsTrailersAlong(t *testing.T) {
	for _, http2Client := range []bool{false, true} {
		for _, http2Leg := range []bool{false, true} {
			t.Run(fmt.Sprintf("client=%v instance=%v", http2Client, http2Leg), func(t *testing.T) {
				var seen [2]atomic.Value
				var instances []string
				for i := range seen {
					handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						body, err := io.ReadAll(r.Body)
						seen[i].Store(fmt.Sprintf("%s %v %v", body, err, r.Trailer))
						w.WriteHeader([]int{503, 200}[i])
					})
					addr, _ := h2Instance(t, handler)
					if !http2Leg {
						s := httptest.NewServer(handler)
						t.Cleanup(s.Close)
						addr = s.Listener.Addr().String()
					}
					instances = append(instances, addr)
				}
				b := run(t, instances, func(_ *Config, r *dispatch.Route) {
					r.Split[0].Leg = &dispatch.Leg{HTTP2: http2Leg}
					r.Retry.OnStatus.Add(503, 503)
				})
				if http2Client {
					f := b.frames()
					// All frames at once: the proxy finds the request whole. Otherwise it may send it before its end, and does not repeat it.
					f.put(1, "hello", "x-sum", "5")
					if got := f.outcome(); got != "200" && got != "503" {
						t.Fatalf("got %s", got)
					}
				} else {
					c := b.dial()
					c.send("PUT / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")
					if res, _ := c.response("PUT"); res.StatusCode != 200 {
						t.Fatalf("got %d", res.StatusCode)
					}
				}
				tries := b.entries()[0].Attempts
				for i := range seen[:tries] {
					if got := seen[i].Load(); got != "hello <nil> map[X-Sum:[5]]" {
						t.Errorf("instance %d of %d got %v", i, tries, got)
					}
				}
			})
		}
	}
}

// put sends a whole PUT with trailers in one write.
func (f *frames) put(id uint32, body string, trailers ...string) {
	f.tb.Helper()
	var all strings.Builder
	w := http2.NewFramer(&all, nil)
	head := []string{":method", "PUT", ":scheme", "http", ":path", "/", ":authority", "a.example"}
	for i := 0; i < len(trailers); i += 2 {
		head = append(head, "trailer", trailers[i])
	}
	f.must(w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: f.block(head...)}))
	f.must(w.WriteData(id, false, []byte(body)))
	f.must(w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: f.block(trailers...)}))
	_, err := io.WriteString(f.nc, all.String())
	f.must(err)
}

// What an instance must not get in a head, it does not get in trailers either.
func TestTrailersOfRequestsThatDoNotPass(t *testing.T) {
	b, r := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.Listeners[0].Reserved = []string{"X-Client-Cert"} })
	names := []string{"X-Sum", "Content-Length", "Transfer-Encoding", "Host", "Authorization", "Cookie", "X-Forwarded-For", "X_Forwarded_For", "X-Client-Cert", "X.Client.Cert", "x_other", "Content.Type", "X-Named", "Via"}
	var fields []string
	lines := ""
	for _, n := range names {
		if n != "X-Named" { // HTTP/2 has no Connection
			fields = append(fields, strings.ToLower(n), "1")
		}
		lines += n + ": 1\r\n"
	}
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Named\r\nTrailer: " + strings.Join(names, ", ") + ", a b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + lines + "X-Late: 1\r\n\r\n")
	if res, _ := c.response("POST"); res.StatusCode != 200 {
		t.Errorf("got %d", res.StatusCode)
	}
	f := b.frames()
	f.put(1, "hello", fields...)
	_ = f.outcome()
	b.stop()
	got := string(slices.Concat(r.Received()...))
	want := []string{"\r\nTrailer: X-Sum\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"}
	for _, w := range want {
		if !strings.Contains(strings.ToLower(got), strings.ToLower(w)) {
			t.Errorf("the instance did not get %q:\n%s", w, got)
		}
	}
	for _, n := range append(names[1:], "X-Late") {
		if strings.Contains(strings.ToLower(got), strings.ToLower(n)+": 1\r\n") {
			t.Errorf("the instance got the trailer %s:\n%s", n, got)
		}
	}
}

// Trailers above the limits end the request: an instance must not take a part of them for all.
func TestLargeTrailersOfRequests(t *testing.T) {
	b, r := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	f := b.frames()
	f.request(1, false, append(get2(), "trailer", "x-sum")...)
	f.request(1, true, "x-sum", strings.Repeat("x", 14<<10), "x-sum", strings.Repeat("x", 14<<10))
	if got := f.outcome(); got != "reset PROTOCOL_ERROR" {
		t.Errorf("HTTP/2: got %s", got)
	}
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: " + strings.Repeat("x", 5000) + "\r\n\r\n")
	if res, _ := c.response("POST"); res.StatusCode != 400 {
		t.Errorf("HTTP/1.1: got %d", res.StatusCode)
	}
	b.stop()
	if got := string(slices.Concat(r.Received()...)); strings.Contains(got, "X-Sum: x") {
		t.Errorf("the instance got %.300s", got)
	}
}

// A request of HTTP/2 that ends before its Content-Length must not look whole because trailers may follow.
func TestAShortBodyWithTrailersIsNotWhole(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	f := b.frames()
	for i, length := range []string{"10", "100000"} {
		id := uint32(2*i + 1)
		f.request(id, false, ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a.example", "content-length", length, "trailer", "x-sum")
		f.must(f.WriteData(id, false, []byte("hello")))
		f.request(id, true, "x-sum", "5")
		if got := f.outcome(); got != "reset PROTOCOL_ERROR" {
			t.Errorf("length %s: got %s", length, got)
		}
	}
	for _, e := range b.entries() {
		if e.Status == 200 {
			t.Errorf("a part was answered: %+v", e)
		}
	}
}

// An instance may add trailers to the fields of the head: a client cannot bring back a field that the route sets or removes.
func TestTrailersCannotReplaceTheFieldsOfARoute(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, r.Header["X-Client"], r.Trailer["X-Client"], r.Trailer["X_client"], r.Trailer["X-Debug"], r.Trailer["X-Sum"])
	})
	one := httptest.NewServer(handler)
	t.Cleanup(one.Close)
	two, _ := h2Instance(t, handler)
	for addr, http2 := range map[string]bool{one.Listener.Addr().String(): false, two: true} {
		b := run(t, []string{addr}, func(_ *Config, r *dispatch.Route) {
			r.Split[0].Leg = &dispatch.Leg{HTTP2: http2}
			r.Actions = &action.Actions{Request: headersOf(t, []string{"X-Client: ${client}"}, nil, []string{"X-Debug"})}
		})
		for name, of := range b.clientsOf("/") {
			client, url := of()
			req, err := http.NewRequest("POST", url, io.MultiReader(strings.NewReader("body")))
			if err != nil {
				t.Fatal(err)
			}
			req.Trailer = http.Header{"X-Client": {"forged"}, "X_client": {"forged"}, "X-Debug": {"1"}, "X-Sum": {"4"}}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := readAll(t, res.Body), "[127.0.0.1] [] [] [] [4]"; got != want {
				t.Errorf("%s, instance with HTTP/2 %v: the instance got %s, want %s", name, http2, got, want)
			}
		}
	}
}
