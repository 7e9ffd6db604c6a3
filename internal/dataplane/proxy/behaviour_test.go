package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// raw starts an instance that answers by script, and a proxy before it.
func raw(t *testing.T, script func(*upstreamtest.Session), edit func(*Config, *dispatch.Route)) (*bench, *upstreamtest.Raw) {
	t.Helper()
	r := upstreamtest.NewRaw(t, script)
	return run(t, []string{r.Addr}, edit), r
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
	c := b.dial()
	var all strings.Builder
	for i := range 50 {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		case 1:
			fmt.Fprintf(&all, "\r\nPOST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", i)
		case 2:
			fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: v\r\n\r\n", i)
		}
	}
	go func() { _, _ = io.WriteString(c, all.String()) }()
	for i := range 50 {
		_, body := c.response("GET")
		if want := fmt.Sprintf(" /%d a ", i); !strings.Contains(body, want) || i%3 > 0 && !strings.HasSuffix(body, "3\nabc") {
			t.Fatalf("reply %d: %q", i, body)
		}
	}
}

func TestRequestBehindLargeChunkedBodyIsNotLost(t *testing.T) {
	b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
	c := b.dial()
	var all strings.Builder
	all.WriteString("POST /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 20 {
		all.WriteString("1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n")
	}
	all.WriteString("0\r\n\r\n")
	for i := range 3 {
		fmt.Fprintf(&all, "GET /after/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
	}
	go func() { _, _ = io.WriteString(c, all.String()) }()
	if _, body := c.response("POST"); len(body) < 20*0x1000 {
		t.Fatalf("%d bytes came back", len(body))
	}
	for i := range 3 {
		if _, body := c.response("GET"); body != fmt.Sprintf("GET /after/%d a 0\n", i) {
			t.Fatalf("reply %d: %q", i, body)
		}
	}
}

func TestHeadAndEmptyStatusesHaveNoBody(t *testing.T) {
	replies := map[string]string{
		"/head": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"/204":  "HTTP/1.1 204 No Content\r\n\r\n",
		"/304":  "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n",
		"/get":  upstreamtest.OK,
	}
	b, r := raw(t, func(s *upstreamtest.Session) {
		for req := s.Request(); req != nil; req = s.Request() {
			s.Write(replies[req.URL.Path])
		}
	}, nil)
	c := b.dial()
	for _, m := range []string{"HEAD /head", "GET /204", "GET /304", "GET /get"} {
		c.send(m + " HTTP/1.1\r\nHost: a\r\n\r\n")
		res, body := c.response(m[:strings.IndexByte(m, ' ')])
		switch m {
		case "HEAD /head":
			if res.ContentLength != 5 {
				t.Errorf("%s: Content-Length %d", m, res.ContentLength)
			}
		case "GET /get":
			if body != "ok" {
				t.Errorf("%s: %q", m, body)
			}
		}
	}
	if n := r.Connections(); n != 1 {
		t.Errorf("%d connections to the instance, want 1: none of these ends it", n)
	}
}

func TestResponseFramings(t *testing.T) {
	long := strings.Repeat("abcdefgh", 20000)
	cases := []struct {
		name, reply, want string
		close             bool // the instance closes behind it
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", false},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", "abc", false},
		{"long by length", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), long, false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;e=\"q\"\r\nbc\r\n0\r\nX: y\r\n\r\n", "abc", false},
		{"long chunked", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n3\r\nend\r\n0\r\n\r\n", len(long), long), long + "end", false},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nabc", "abc", true},
		{"long until close", "HTTP/1.1 200 OK\r\n\r\n" + long, long, true},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nabc", "abc", true},
		{"empty until close", "HTTP/1.1 200 OK\r\n\r\n", "", true},
		{"empty chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false},
	}
	for _, tc := range cases {
		for _, drip := range []bool{false, true} {
			if drip && len(tc.want) > 1000 {
				continue
			}
			t.Run(fmt.Sprintf("%s/drip=%v", tc.name, drip), func(t *testing.T) {
				b, _ := raw(t, func(s *upstreamtest.Session) {
					for s.Request() != nil {
						if drip {
							s.Drip(tc.reply, 1, 100*time.Microsecond)
						} else {
							s.Write(tc.reply)
						}
						if tc.close {
							return
						}
					}
				}, nil)
				c := b.dial()
				for range 2 {
					c.send(get)
					if res, body := c.response("GET"); res.StatusCode != 200 || body != tc.want {
						t.Fatalf("got %d and %d bytes, want %d", res.StatusCode, len(body), len(tc.want))
					}
				}
				// HTTP/1.0 knows no chunks: the body ends with its length or the connection.
				old := b.dial()
				old.send("GET / HTTP/1.0\r\n\r\n")
				res, body := old.response("GET")
				if body != tc.want || len(res.TransferEncoding) > 0 {
					t.Errorf("HTTP/1.0 client: %d bytes, transfer coding %v", len(body), res.TransferEncoding)
				}
				old.ended()
			})
		}
	}
}

func TestHTTP10ClientMayKeepItsConnection(t *testing.T) {
	b, r := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	c := b.dial()
	for range 2 {
		c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if res, body := c.response("GET"); body != "ok" || res.Header.Get("Connection") != "keep-alive" {
			t.Fatalf("got %q with %v", body, res.Header)
		}
	}
	c.send("GET / HTTP/1.0\r\n\r\n")
	c.response("GET")
	c.ended()
	if got := string(r.Received()[0]); !strings.Contains(got, "\r\nHost: "+b.addr+"\r\n") {
		t.Errorf("without a Host the address that was connected to stands for it:\n%s", got)
	}
}

func TestContinueIsGivenBeforeTheBody(t *testing.T) {
	for _, size := range []int{10, 100 << 10} {
		b := run(t, []string{upstreamtest.NewHTTP(t, http.HandlerFunc(upstreamtest.Echo))}, nil)
		c := b.dial()
		c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: %d\r\n\r\n", size))
		if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		if line, _ := c.r.ReadString('\n'); line != "\r\n" {
			t.Fatalf("got %q", line)
		}
		c.send(strings.Repeat("x", size))
		if _, body := c.response("POST"); !strings.Contains(body, fmt.Sprintf(" %d\n", size)) {
			t.Fatalf("got %.100q", body)
		}
	}
}

func TestUnknownExpectationGets417(t *testing.T) {
	b, r := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\nContent-Length: 1\r\n\r\n")
	if res, _ := c.response("POST"); res.StatusCode != 417 {
		t.Errorf("got %d", res.StatusCode)
	}
	c.ended()
	if r.Connections() != 0 {
		t.Error("the instance was bothered")
	}
}

func TestEarlyReplyIsReadWhileUploading(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) {
		if s.Head() {
			s.Write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
			s.Hang()
		}
	}, nil)
	c := b.dial()
	c.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	stop := make(chan struct{})
	go func() { // keeps sending until the connection breaks
		defer close(stop)
		block := make([]byte, 64<<10)
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}()
	res, body := c.response("POST")
	if res.StatusCode != 413 || body != "big" || !res.Close {
		t.Errorf("got %d %q close %v", res.StatusCode, body, res.Close)
	}
	<-stop
	eventually(t, "the instance's connection is closed, not kept", func() bool { return r.Open() == 0 })
	got := b.entries()
	if len(got) != 1 || got[0].Status != 413 {
		t.Errorf("access log %+v", got)
	}
}

func TestInterimResponses(t *testing.T) {
	early := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	t.Run("passed on", func(t *testing.T) {
		b, _ := raw(t, upstreamtest.Always("HTTP/1.1 100 Continue\r\n\r\n"+early+upstreamtest.OK), nil)
		c := b.dial()
		c.send(get)
		res, _ := c.response("GET")
		if res.StatusCode != 103 || res.Header.Get("Link") == "" {
			t.Fatalf("got %d %v, want the early hints", res.StatusCode, res.Header)
		}
		if res, body := c.response("GET"); res.StatusCode != 200 || body != "ok" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	})
	t.Run("not to HTTP/1.0", func(t *testing.T) {
		b, _ := raw(t, upstreamtest.Always(early+upstreamtest.OK), nil)
		c := b.dial()
		c.send("GET / HTTP/1.0\r\n\r\n")
		if res, body := c.response("GET"); res.StatusCode != 200 || body != "ok" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	})
	t.Run("a flood is a bad response", func(t *testing.T) {
		b, _ := raw(t, upstreamtest.Always(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2000)+upstreamtest.OK), nil)
		c := b.dial()
		c.send(get)
		if res, _ := c.response("GET"); res.StatusCode != 502 {
			t.Fatalf("got %d", res.StatusCode)
		}
	})
}

func TestForwardedFieldsFromStrangersAreReplaced(t *testing.T) {
	const spoof = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n" +
		"X-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Request-Id: mine\r\nX-Smartlb-Explain: 1\r\n\r\n"
	seen := func(t *testing.T, edit func(*Config, *dispatch.Route)) (http.Header, http.Header, []entry) {
		heads := make(chan http.Header, 1)
		b, _ := raw(t, func(s *upstreamtest.Session) {
			for req := s.Request(); req != nil; req = s.Request() {
				heads <- req.Header
				s.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-Id: theirs\r\nX-Smartlb-Decision: forged\r\n\r\n")
			}
		}, edit)
		c := b.dial()
		c.send(spoof)
		res, _ := c.response("GET")
		return <-heads, res.Header, b.entries()
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	scheme := "http"
	if *overTLS {
		scheme = "https"
	}
	t.Run("stranger", func(t *testing.T) {
		up, down, log := seen(t, nil)
		for name, want := range map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": scheme, "X-Forwarded-Host": "a.example",
			"X-Forwarded-Port": "", "Forwarded": "", "X-Real-Ip": "", "X_forwarded_for": "", "X-Smartlb-Explain": "",
		} {
			if got := up.Get(name); got != want || len(up.Values(name)) > 1 {
				t.Errorf("%s: %q, want %q", name, up.Values(name), want)
			}
		}
		id := up.Get("X-Request-Id")
		if len(id) != 32 || len(down.Values("X-Request-Id")) != 1 || down.Get("X-Request-Id") != id || log[0].RequestID != id {
			t.Errorf("request id: instance %q, client %q, log %q", id, down.Values("X-Request-Id"), log[0].RequestID)
		}
		if down.Get("X-Smartlb-Decision") != "" {
			t.Error("an instance forged a decision")
		}
	})
	t.Run("trusted", func(t *testing.T) {
		up, down, log := seen(t, func(c *Config, _ *dispatch.Route) { c.TrustedProxies = loopback })
		for name, want := range map[string]string{
			"X-Forwarded-For": "6.6.6.6, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "X-Forwarded-Port": "1",
			"Forwarded": "for=6.6.6.6", "X-Real-Ip": "6.6.6.6", "X_forwarded_for": "", "X-Request-Id": "mine",
		} {
			if got := up.Get(name); got != want || len(up.Values(name)) > 1 {
				t.Errorf("%s: %q, want %q", name, up.Values(name), want)
			}
		}
		if down.Get("X-Request-Id") != "mine" || log[0].Client != "6.6.6.6" {
			t.Errorf("client sees %q, log says client %q", down.Get("X-Request-Id"), log[0].Client)
		}
	})
	t.Run("explained", func(t *testing.T) {
		_, down, _ := seen(t, func(c *Config, _ *dispatch.Route) { c.ExplainFrom = loopback })
		if got := down.Values("X-Smartlb-Decision"); len(got) != 1 || !strings.Contains(got[0], `"instance":"s-0"`) {
			t.Errorf("decision %q", got)
		}
	})
}

func TestHopByHopFieldsEndHere(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) {
		if s.Head() {
			s.Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-End: 2\r\n\r\nok")
		}
	}, nil)
	c := b.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\nTrailer: X\r\n" +
		"Proxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-Kept:   spaced  \r\n\r\n")
	res, _ := c.response("GET")
	upHead := string(r.Received()[0])
	for _, name := range []string{"connection", "x-secret", "keep-alive", "te:", "trailer", "proxy-", "upgrade", "http2-settings"} {
		if strings.Contains(strings.ToLower(upHead), "\n"+name) {
			t.Errorf("%s was passed on:\n%s", name, upHead)
		}
	}
	if !strings.Contains(upHead, "\r\nX-Kept: spaced\r\n") {
		t.Errorf("X-Kept is lost or unclean:\n%s", upHead)
	}
	for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authenticate", "Connection"} {
		if v := res.Header.Get(name); v != "" {
			t.Errorf("response field %s: %q was passed on", name, v)
		}
	}
	if res.Header.Get("X-End") != "2" || res.Close {
		t.Errorf("got %v, close %v: the instance's close is not the client's", res.Header, res.Close)
	}
	c.send(get) // the client's connection lives
	eventually(t, "a second connection to the instance", func() bool { return r.Connections() == 2 })
}

func TestOwnReplies(t *testing.T) {
	b := run(t, nil, nil)
	c := b.dial()
	c.send(get)
	res, body := c.response("GET")
	if want := "smartlb: 503 no-instance: service s has no instances configured\nrequest " + res.Header.Get("X-Request-Id") + "\n"; res.StatusCode != 503 || body != want {
		t.Errorf("got %d %q, want %q", res.StatusCode, body, want)
	}
	c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + get)
	if res, _ := c.response("HEAD"); res.StatusCode != 503 || res.ContentLength <= 0 {
		t.Errorf("HEAD: %d, length %d", res.StatusCode, res.ContentLength)
	}
	if res, _ := c.response("GET"); res.StatusCode != 503 {
		t.Errorf("behind HEAD: %d", res.StatusCode)
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = New(Config{Listeners: []Listener{{Name: "web", Addr: ln.Addr().String()}}}, dispatch.New(dispatch.Config{}))
	if err == nil || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(err.Error(), "web") {
		t.Errorf("got %v, want the listener and its address", err)
	}
}

func TestConnectionCap(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.MaxConnections = 2 })
	one, two := b.dial(), b.dial()
	for _, c := range []*client{one, two} {
		c.send(get)
		c.response("GET")
	}
	three := b.dial()
	if b.tls { // there is no answer before a handshake, and none is made
		if _, err := three.Read(make([]byte, 1)); err == nil {
			t.Error("a connection above the limit got bytes")
		}
	} else if res, _ := three.response("GET"); res.StatusCode != 503 {
		t.Errorf("got %d", res.StatusCode)
	}
	_ = one.Close()
	eventually(t, "room again", func() bool { return b.p.Stats().ConnectionsOpen == 1 })
	four := b.dial()
	four.send(get)
	if res, _ := four.response("GET"); res.StatusCode != 200 {
		t.Errorf("got %d", res.StatusCode)
	}
	if n := b.p.Stats().Refused; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
}

// A refusal in the log without its target could not be told from any other.
func TestLogOfARefusalShowsTheTarget(t *testing.T) {
	long := "/" + strings.Repeat("x", 9000)
	b := run(t, nil, nil)
	for _, target := range []string{"/a%zz\"", "/public/..%2fadmin", "ftp://a/b", long} {
		c := b.dial()
		c.send("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		c.response("GET")
	}
	got := map[string]bool{}
	for _, e := range b.entries() {
		got[e.Target] = true
	}
	for _, want := range []string{"/a%zz\"", "/public/..%2fadmin", "ftp://a/b", long[:1024] + "..."} {
		if !got[want] {
			t.Errorf("no refusal of %q", want[:min(len(want), 40)])
		}
	}
}

func TestListenerMayRefuseEncodedCharacters(t *testing.T) {
	for reject, want := range map[bool]int{false: 200, true: 400} {
		b, r := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.Listeners[0].RejectEncoded = reject })
		c := b.dial()
		c.send("GET /group%2fproject/%41%0a HTTP/1.1\r\nHost: a\r\n\r\n")
		if res, _ := c.response("GET"); res.StatusCode != want {
			t.Errorf("reject %v: got %d, want %d", reject, res.StatusCode, want)
		}
		if want == 200 && !strings.HasPrefix(string(r.Received()[0]), "GET /group%2fproject/%41%0a HTTP/1.1\r\n") {
			t.Errorf("the instance got %q", r.Received()[0])
		}
	}
}
