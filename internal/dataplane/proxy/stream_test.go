package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// TestBothDirectionsStream: each chunk comes back before the next is sent.
func TestBothDirectionsStream(t *testing.T) {
	b, _ := raw(t, func(s *upstreamtest.Session) {
		if !s.Head() {
			return
		}
		s.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		in := httputil.NewChunkedReader(s.Reader)
		buf := make([]byte, 100)
		for {
			n, err := in.Read(buf)
			if n > 0 {
				s.Write(fmt.Sprintf("%x\r\n%s\r\n", n, buf[:n]))
			}
			if err != nil {
				s.Write("0\r\n\r\n")
				return
			}
		}
	}, nil)
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		word := fmt.Sprintf("word %d", i)
		c.send(fmt.Sprintf("%x\r\n%s\r\n", len(word), word))
		got := make([]byte, len(word))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != word {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	c.send("0\r\n\r\n")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
}

// TestSlowReaderStopsTheInstance: what is between them is bounded by buffers,
// ours and the kernel's, not by the size of the body.
func TestSlowReaderStopsTheInstance(t *testing.T) {
	const size = 256 << 20
	var accepted atomic.Int64
	b, _ := raw(t, func(s *upstreamtest.Session) {
		s.Head()
		s.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
		block := make([]byte, 256<<10)
		for sent := 0; sent < size; sent += len(block) {
			if _, err := s.Conn.Write(block); err != nil {
				return
			}
			accepted.Add(int64(len(block)))
		}
	}, nil)
	c := b.dial()
	c.send(get)
	last, still := int64(-1), 0
	eventually(t, "the instance is stopped", func() bool {
		now := accepted.Load()
		if now == last && now > 0 {
			still++
		} else {
			last, still = now, 0
		}
		return still > 20
	})
	if last > size/4 {
		t.Errorf("%d MB were taken from the instance for a client that reads nothing", last>>20)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

func TestClientThatLeavesWithinTheReply(t *testing.T) {
	for _, how := range []string{"while the instance is silent", "while bytes flow"} {
		t.Run(how, func(t *testing.T) {
			b, r := raw(t, func(s *upstreamtest.Session) {
				s.Head()
				s.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
				for how == "while bytes flow" {
					if !s.Write("5\r\nhello\r\n") {
						return
					}
				}
				s.Hang()
			}, func(c *Config, _ *dispatch.Route) { c.HalfCloseTimeout = soon })
			c := b.dial()
			c.send(get)
			if _, err := io.ReadFull(c.r, make([]byte, 20)); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			eventually(t, "the instance is let go", func() bool { return r.Open() == 0 })
			if got := b.entries(); len(got) != 1 || got[0].Failure != "client-gone" || b.lives[0].Errors.Load() != 0 {
				t.Errorf("log %+v, instance's errors %d", got, b.lives[0].Errors.Load())
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) { c.MaxBody = 1000 })
	big := strings.Repeat("x", 100000)
	for name, request := range map[string]string{
		"by length":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
		"chunked at once":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + big[:2000] + "\r\n0\r\n\r\n",
		"chunked, streamed": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n" + strings.Repeat("10\r\n0123456789abcdef\r\n", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			c := b.dial()
			go func() { _, _ = io.WriteString(c, request) }()
			if res, _ := c.response("POST"); res.StatusCode != 413 || !res.Close {
				t.Errorf("got %d, close %v", res.StatusCode, res.Close)
			}
		})
	}
	c := b.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + big[:1000])
	if res, _ := c.response("POST"); res.StatusCode != 200 {
		t.Errorf("a body of the limit got %d", res.StatusCode)
	}
}

func TestRefusedHeadExplainsNothing(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), func(c *Config, _ *dispatch.Route) {
		c.ExplainFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	for range 20 { // the state of an exchange is reused
		c := b.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\nX-Smartlb-Explain: 1\r\n\r\n")
		if res, _ := c.response("GET"); res.Header.Get("X-Smartlb-Decision") == "" {
			t.Fatal("no decision")
		}
		c.send("GET / HTTP/1.1\r\n\r\n")
		if res, _ := c.response("GET"); res.StatusCode != 400 || res.Header.Get("X-Smartlb-Decision") != "" {
			t.Fatalf("got %d with %v", res.StatusCode, res.Header)
		}
	}
}

// TestStorm: many clients and an instance that both misbehave at random. Nothing
// may be left behind, every request is in the log, and no one gets another's
// reply.
func TestStorm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var script atomic.Uint64
	wild := func(s *upstreamtest.Session) {
		rng := rand.New(rand.NewPCG(seed, script.Add(1)))
		for req := s.Request(); req != nil; req = s.Request() {
			body := req.RequestURI + strings.Repeat("x", rng.IntN(3)*rng.IntN(30000))
			switch rng.IntN(12) {
			case 0:
				s.Reset()
				return
			case 1:
				return
			case 2:
				s.Write("garbage\r\n\r\n")
				return
			case 3:
				s.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body)+10, body))
				return
			case 4:
				s.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body))
			case 5:
				s.Write("HTTP/1.1 200 OK\r\n\r\n" + body)
				return
			case 6:
				s.Drip(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(req.RequestURI), req.RequestURI), 7, 0)
			default:
				s.Write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			}
		}
	}
	one, two := upstreamtest.NewRaw(t, wild), upstreamtest.NewRaw(t, wild)
	before := openFiles()
	b := run(t, []string{one.Addr, two.Addr}, nil)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(1000+w)))
			for i := 0; i < 60; {
				nc := b.dial()
				br := nc.r
				for open := true; open && i < 60; i++ {
					open = stormExchange(t, nc, br, rng, fmt.Sprintf("/%d/%d/", w, i))
				}
				_ = nc.Close()
			}
		})
	}
	wg.Wait()
	eventually(t, "all connections are closed", func() bool { return b.p.Stats().ConnectionsOpen == 0 })
	got := b.entries()
	if s := b.p.Stats(); uint64(len(got)) != s.Requests || s.AccessLogDropped != 0 {
		t.Errorf("%d lines for %d requests", len(got), s.Requests)
	}
	one.CloseConnections()
	two.CloseConnections()
	if before >= 0 {
		eventually(t, "all files are closed", func() bool { return openFiles() <= before })
	}
}

// stormExchange sends one request, perhaps badly, and reports whether the
// connection goes on.
func stormExchange(t *testing.T, nc net.Conn, br *bufio.Reader, rng *rand.Rand, target string) bool {
	body := strings.Repeat("y", rng.IntN(2)*rng.IntN(60000))
	var request string
	if rng.IntN(2) == 0 {
		request = fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
	} else if len(body) > 0 {
		request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", target, len(body), body)
	} else {
		request = fmt.Sprintf("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
	}
	leave := rng.IntN(10) == 0
	if leave {
		request = request[:rng.IntN(len(request))]
	}
	if _, err := io.WriteString(nc, request); err != nil || leave {
		return false
	}
	if rng.IntN(15) == 0 {
		return false // without waiting for the reply
	}
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Errorf("%s: no reply: %v", target, err)
		return false
	}
	got, err := io.ReadAll(res.Body)
	if res.StatusCode == 200 && !strings.HasPrefix(string(got), target) {
		t.Errorf("%s: got another's reply: %.60q", target, got)
	}
	return err == nil && !res.Close
}

// openFiles counts this process's file descriptors, -1 where that is unknown.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}
