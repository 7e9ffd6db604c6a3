package app

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/control/access"
)

// Bounds of the connections of one web listener. A page takes six at most over
// HTTP/1.1; a trusted proxy brings those of many.
const (
	mostConnections = 1024
	eachConnections = 256 // of one address, of IPv6 the first 64 bits
)

// limited accepts so many connections at once, each address its share. Others
// are told so where they can be, and closed.
type limited struct {
	net.Listener
	quota   *quota.Quota
	trusted []netip.Prefix // peers that stand for many
	plain   bool           // no TLS: a refusal can be written
}

func limit(l net.Listener, trusted []netip.Prefix, plain bool) *limited {
	return &limited{Listener: l, quota: quota.New(mostConnections, eachConnections), trusted: trusted, plain: plain}
}

// Accept waits for a connection that is within the limit.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := peerOf(c)
		release, err := l.quota.Take(access.Neighbourhood(peer), access.Within(l.trusted, peer))
		if err == nil {
			return &counted{c, release}, nil
		}
		l.refuse(c, err)
	}
}

// refuseTime bounds a refusal: its few bytes fit the socket's buffer.
const refuseTime = 100 * time.Millisecond

func (l *limited) refuse(c net.Conn, why error) {
	defer c.Close()
	if !l.plain {
		return
	}
	status, text := http.StatusServiceUnavailable, `{"error":"too many connections are open","hint":"wait a moment"}`
	if why == quota.ErrShare {
		status, text = http.StatusTooManyRequests, `{"error":"too many connections are open from this address","hint":"close some connections; add a proxy that serves many clients to console.trustedProxies"}`
	}
	_ = c.SetWriteDeadline(time.Now().Add(refuseTime))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
}

// peerOf is the address of a connection's other end; zero where it has none.
func peerOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// counted is a connection that gives back its place when it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close closes the connection and gives back its place.
func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}
