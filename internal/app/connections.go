package app

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
)

// Limits on the connections of one web listener. Over HTTP/1.1, a page uses at most six connections; a trusted proxy
// forwards those of many clients.
const (
	mostConnections = 1024
	eachConnections = 256 // per address; for IPv6, per /64 prefix
)

// limited limits the concurrent connections of a listener, in total and per address. It closes connections over the
// limit. On a listener without TLS, it first writes a refusal.
type limited struct {
	net.Listener
	quota   *quota.Quota
	trusted []netip.Prefix // proxies that connect for many clients
	plain   bool           // no TLS: a refusal can be written in plain text
}

func limit(l net.Listener, trusted []netip.Prefix, plain bool) *limited {
	return &limited{Listener: l, quota: quota.New(mostConnections, eachConnections), trusted: trusted, plain: plain}
}

// Accept returns the next connection within the limits. It blocks until there is one.
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

// refuseTime limits the write of a refusal: its few bytes fit in the socket's buffer.
const refuseTime = 100 * time.Millisecond

func (l *limited) refuse(c net.Conn, why error) {
	defer c.Close()
	if !l.plain {
		return
	}
	p := problem.Problem{Code: problem.Busy, Error: "too many connections are open", Hint: "wait a moment"}
	if why == quota.ErrShare {
		p = problem.Problem{Code: problem.Limited, Error: "too many connections are open from this address", Hint: "close some connections; add a proxy that serves many clients to console.trustedProxies"}
	}
	text, _ := json.Marshal(p) // three strings: no error
	_ = c.SetWriteDeadline(time.Now().Add(refuseTime))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		p.Code.Status(), http.StatusText(p.Code.Status()), len(text), text)
}

// peerOf returns the remote address of a connection, or the zero Addr if it has none.
func peerOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// counted is a connection that releases its place in the limit when it is closed.
type counted struct {
	net.Conn
	release func()
}

// Close closes the connection and releases its place in the limit.
func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}
