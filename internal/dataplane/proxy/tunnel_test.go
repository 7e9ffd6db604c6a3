package proxy

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

const (
	wsKey  = "dGhlIHNhbXBsZSBub25jZQ==" // the example of RFC 6455 §1.3, with its answer
	wsAns  = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	wsOpen = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wsKey + "\r\n\r\n"
)

// accept answers an opening handshake as RFC 6455 §4.2.2 wants it.
func accept(req *http.Request) string {
	h := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(h[:]) + "\r\n\r\n"
}

func TestWebSocketIsCopiedBothWays(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) {
		req := s.Request()
		if req == nil || req.Header.Get("Connection") != "Upgrade" || req.Header.Get("Upgrade") != "websocket" {
			return
		}
		s.Write(accept(req) + "hello") // bytes right behind the head
		_, _ = io.Copy(s.Conn, s.Reader)
		s.Write("bye")
	}, nil)
	c := b.dial()
	big := bytes.Repeat([]byte("0123456789"), 100000)
	c.send(wsOpen + "early") // before the 101 is seen
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != wsAns || res.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("%v %+v", err, res)
	}
	go func() {
		_, _ = c.Write(big)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c.r)
	if want := "helloearly" + string(big) + "bye"; err != nil || string(got) != want {
		t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
	}
	eventually(t, "both ends are closed", func() bool { return r.Open() == 0 && b.p.Stats().ConnectionsOpen == 0 })
	if e := b.entries(); len(e) != 1 || e[0].Status != 101 || e[0].BytesIn != int64(len(big)+5) || e[0].BytesOut != int64(len(got)) {
		t.Errorf("access log %+v", e)
	}
}

func TestUpgradeNeedsProof(t *testing.T) {
	good := accept(&http.Request{Header: http.Header{"Sec-Websocket-Key": {wsKey}}})
	for name, tc := range map[string]struct{ request, reply string }{
		"no accept":     {wsOpen, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"},
		"wrong accept":  {wsOpen, strings.Replace(good, "s3p", "S3p", 1)},
		"other upgrade": {wsOpen, strings.Replace(good, "websocket", "h2c", 1)},
		"no connection": {wsOpen, strings.Replace(good, "Connection: Upgrade\r\n", "", 1)},
		"with a length": {wsOpen, strings.Replace(good, "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 1)},
		"not asked":     {get, good},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := raw(t, upstreamtest.Always(tc.reply), nil)
			c := b.dial()
			c.send(tc.request)
			if res, _ := c.response("GET"); res.StatusCode != 502 {
				t.Errorf("got %d", res.StatusCode)
			}
			eventually(t, "the connection is not kept", func() bool { return r.Open() == 0 })
		})
	}
}

func TestRefusedUpgradeStaysHTTP(t *testing.T) {
	b, _ := raw(t, upstreamtest.Always(upstreamtest.OK), nil)
	c := b.dial()
	c.send(wsOpen + get)
	for range 2 {
		if res, body := c.response("GET"); res.StatusCode != 200 || body != "ok" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	}
}

func TestSilentTunnelEnds(t *testing.T) {
	b, r := raw(t, func(s *upstreamtest.Session) {
		s.Write(accept(s.Request()))
		s.Hang()
	}, func(c *Config, _ *dispatch.Route) { c.TunnelTimeout = 100 * time.Millisecond })
	c := b.dial()
	c.send(wsOpen)
	if _, err := http.ReadResponse(c.r, nil); err != nil {
		t.Fatal(err)
	}
	c.ended()
	eventually(t, "the instance's side, too", func() bool { return r.Open() == 0 })
}

func TestTunnelEndsWithEitherSide(t *testing.T) {
	for _, side := range []string{"client", "instance", "drain"} {
		t.Run(side, func(t *testing.T) {
			open := make(chan struct{}) // a reset may take along an answer that was not read before
			b, r := raw(t, func(s *upstreamtest.Session) {
				s.Write(accept(s.Request()))
				if side == "instance" {
					<-open
					s.Reset()
				}
				s.Hang()
			}, nil)
			tell := sync.OnceFunc(func() { close(open) })
			t.Cleanup(tell)
			c := b.dial()
			c.send(wsOpen)
			if _, err := http.ReadResponse(c.r, nil); err != nil {
				t.Fatal(err)
			}
			tell()
			switch side {
			case "client":
				_ = c.tcp.SetLinger(0)
				_ = c.Close()
			case "drain":
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
				defer cancel()
				if err := b.p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			}
			eventually(t, "both ends are closed", func() bool { return r.Open() == 0 && b.p.Stats().ConnectionsOpen == 0 })
		})
	}
}

// kubectl asks for SPDY/3.1 and docker for tcp, both with POST: they were answered as if they had not asked.
func TestAnyProtocolIsTunnelledWhereTheInstanceAgrees(t *testing.T) {
	for _, tc := range []struct{ request, wants string }{
		{"POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n", "SPDY/3.1"},
		{"POST /attach HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: text/plain\r\n\r\n", "tcp"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nconnection: upgrade\r\nupgrade: my-protocol\r\n\r\n", "my-protocol"},
	} {
		t.Run(tc.wants, func(t *testing.T) {
			b, _ := raw(t, func(s *upstreamtest.Session) {
				req := s.Request()
				if req == nil || req.Header.Get("Connection") != "Upgrade" || req.Header.Get("Upgrade") != tc.wants {
					return
				}
				s.Write("HTTP/1.1 101 UPGRADED\r\nConnection: upgrade\r\nUpgrade: " + tc.wants + "\r\n\r\n")
				_, _ = io.Copy(s.Conn, s.Reader)
			}, nil)
			c := b.dial()
			c.send(tc.request)
			res, err := http.ReadResponse(c.r, nil)
			if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != tc.wants {
				t.Fatalf("%v %+v", err, res)
			}
			c.send("GET / is not HTTP here\r\n\r\n")
			_ = c.CloseWrite()
			if got, err := io.ReadAll(c.r); err != nil || string(got) != "GET / is not HTTP here\r\n\r\n" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// A 101 that answers another question than the client asked opens no tunnel.
func TestOnlyTheProtocolThatWasAskedForIsTunnelled(t *testing.T) {
	ask := func(upgrade string) string {
		return "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + "\r\n\r\n"
	}
	for name, tc := range map[string]struct{ request, upgrade string }{
		"not asked":                   {get, "tcp"},
		"another":                     {ask("tcp"), "SPDY/3.1"},
		"h2c":                         {ask("h2c"), "h2c"},
		"HTTP/2.0":                    {ask("HTTP/2.0"), "HTTP/2.0"},
		"TLS":                         {ask("TLS/1.0"), "TLS/1.0"},
		"websocket without its key":   {ask("websocket"), "websocket"},
		"a list":                      {ask("tcp, x"), "tcp"},
		"no Connection":               {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: tcp\r\n\r\n", "tcp"},
		"HTTP/1.0":                    {"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", "tcp"},
		"with a body that is ignored": {"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx", "h2c"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := raw(t, func(s *upstreamtest.Session) {
				s.Request()
				s.Write("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: " + tc.upgrade + "\r\n\r\n")
				s.Hang()
			}, nil)
			c := b.dial()
			c.send(tc.request)
			if res, body := c.response("GET"); res.StatusCode != 502 || !strings.Contains(body, dispatch.CodeUpstreamBad) {
				t.Errorf("got %d %q", res.StatusCode, body)
			}
		})
	}
}
