package proxy

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/test/upstreamtest"
)

// nothingLeft waits until no request is under way, and checks that every counter of connections agrees with what is open.
func (b *bench) nothingLeft() {
	b.tb.Helper()
	eventually(b.tb, "all requests and client connections end", func() bool {
		return b.service.Active.Load() == 0 && b.p.Stats().ConnectionsOpen == 0
	})
	for _, l := range b.p.listeners.open {
		eventually(b.tb, "the listener counts no connection", func() bool { return l.conns.Load() == 0 })
	}
	eventually(b.tb, "no client is counted", func() bool {
		b.p.clients.mu.Lock()
		defer b.p.clients.mu.Unlock()
		return len(b.p.clients.of) == 0
	})
	for _, live := range b.lives {
		t := live.Transport.Load()
		if t == nil {
			continue
		}
		switch p := (*t).(type) {
		case *idlePool:
			eventually(b.tb, "only kept connections count", func() bool { return p.open.Load() == int64(p.len()) })
		case *muxPool:
			eventually(b.tb, "no stream is open", func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, k := range p.conns {
					if k.h2.Streams() > 0 || k.since.Load() == 0 {
						return false
					}
				}
				return true
			})
		}
	}
}

// moody is an instance with WebSockets that ends them in every way, also before the 101 and in the middle of it.
func moody(t *testing.T) string {
	return upstreamtest.NewRaw(t, func(s *upstreamtest.Session) {
		for {
			req := s.Request()
			if req == nil {
				return
			}
			how := rand.IntN(8)
			if req.Header.Get("Upgrade") == "" {
				how = 0
			}
			switch how {
			case 0:
				s.Write("HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-A: 1\r\n\r\n")
				continue
			case 1:
				s.Reset()
				return
			case 2:
				s.Write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + accept(req)[:20])
				return
			}
			s.Write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + accept(req))
			switch how {
			case 3:
				return
			case 4:
				s.Write(string(make([]byte, 300<<10)))
				s.Reset()
			case 5:
				_, _ = io.CopyN(s.Conn, s.Reader, 1000)
				s.Reset()
			default:
				_, _ = io.Copy(s.Conn, s.Reader)
			}
			return
		}
	}).Addr
}

// TestTunnelsThatEndInEveryWay: clients of both protocols, instances of both protocols, and every end of either side in
// every phase. Nothing may stay counted, and no request may hang.
func TestTunnelsThatEndInEveryWay(t *testing.T) {
	limits := func(leg dispatch.Leg) func(*Config, *dispatch.Route) {
		return func(c *Config, r *dispatch.Route) {
			c.MaxPerClient = 1000
			leg.MaxConnections = 1000
			r.Split[0].Leg, r.Retry = &leg, dispatch.Retry{}
		}
	}
	behind := runWith(t, false, []string{moody(t)}, func(c *Config, r *dispatch.Route) {
		limits(dispatch.Leg{})(c, r)
		c.Via = "behind"
	})
	for name, b := range map[string]*bench{
		"HTTP/1.1": run(t, []string{moody(t)}, limits(dispatch.Leg{})),
		"HTTP/2":   run(t, []string{behind.addr}, limits(dispatch.Leg{HTTP2: true})),
	} {
		t.Run(name, func(*testing.T) {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 15 {
						oldClient(b)
						newClient(b)
					}
				})
			}
			all.Wait()
			b.nothingLeft()
		})
	}
	behind.stop()
}

// oldClient opens a WebSocket over HTTP/1.1 and ends it somehow.
func oldClient(b *bench) {
	c := b.dial()
	defer c.abort()
	if _, err := io.WriteString(c, wsOpen); err != nil || rand.IntN(4) == 0 {
		return
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 || rand.IntN(4) == 0 {
		return
	}
	_, _ = c.Write(make([]byte, rand.IntN(200<<10)))
	if rand.IntN(2) == 0 {
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c.r)
	}
}

// newClient opens four WebSockets on one connection of HTTP/2, ends each somehow, and then perhaps the connection.
func newClient(b *bench) {
	f := b.frames()
	defer f.nc.Close()
	for i := range uint32(4) {
		id := 2*i + 1
		f.request(id, rand.IntN(8) == 0, connect("websocket")...)
		for range rand.IntN(3) {
			_ = f.WriteData(id, false, make([]byte, 1000))
		}
		switch rand.IntN(4) {
		case 0:
			_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
		case 1:
			_ = f.WriteData(id, true, nil)
		}
	}
	_ = f.nc.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(50)) * time.Millisecond))
	for {
		if _, err := f.ReadFrame(); err != nil {
			return
		}
	}
}
