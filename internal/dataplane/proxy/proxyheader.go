package proxy

import (
	"errors"
	"net"
	"net/netip"

	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
)

// ProxyHeader says how the PROXY header of a client connection was read.
//
//revive:disable-next-line:exported // PROXY is the name of the protocol
type ProxyHeader uint8

// The ways in which the reading of a PROXY header ends.
const (
	ProxyHeaderDone      ProxyHeader = iota // the header names the client
	ProxyHeaderLocal                        // the header names no client: the connection is of the peer itself
	ProxyHeaderMissing                      // the connection begins with something else
	ProxyHeaderMalformed                    // the header is malformed
	ProxyHeaderLong                         // the header is above its bound
	ProxyHeaderCut                          // the peer closed the connection within the header
	ProxyHeaderLate                         // the header did not arrive in time
	ProxyHeaderLeft                         // the peer closed the connection without a byte, as health checks do
	NumProxyHeaders
)

var proxyHeaderNames = [NumProxyHeaders]string{"accepted", "local", "missing", "malformed", "too-long", "truncated", "timeout", "client-left"}

// String returns the name in logs and metrics.
func (h ProxyHeader) String() string { return proxyHeaderNames[h] }

// introduce reads the PROXY header, if the peer must send one, and takes the client's address from it. It reports
// whether the connection may continue. Bytes after the header stay in c.in, or become the first bytes of TLS.
func (c *conn) introduce() bool {
	if !contains(c.settings().ProxyFrom, c.peer) {
		return true
	}
	c.watch.arm(c.now+int64(c.settings().head), wakeClient)
	h, how := c.readProxyHeader()
	switch c.watch.disarm() {
	case 0:
	case firedCut:
		return false
	default:
		how = ProxyHeaderLate
	}
	c.now = c.p.cfg.Now()
	c.p.count.headers[how].Add(1)
	switch how {
	case ProxyHeaderDone:
		c.setPeer(h.Source)
		c.target = &h.Target
	case ProxyHeaderLocal:
	case ProxyHeaderLeft:
		return false
	default:
		if c.p.mayNote(c.now) {
			c.p.cfg.Log.Info("a connection was closed because of its PROXY header", "peer", c.peer.String(), "listener", c.l.name(), "reason", how.String())
		}
		return false
	}
	if c.secure != nil {
		c.secure.before, c.in = c.in, lease{pool: c.p.small}
	}
	return true
}

// readProxyHeader reads the header and drops it from c.in.
func (c *conn) readProxyHeader() (h proxyproto.Header, how ProxyHeader) {
	length, received := 0, 0
	for length == 0 {
		n, err := c.wire.fill(&c.in)
		received += n
		switch {
		case err != nil && received == 0: // the end of the stream, or a reset
			return h, ProxyHeaderLeft
		case err != nil:
			return h, ProxyHeaderCut
		}
		h, length, err = proxyproto.Parse(c.in.bytes())
		switch {
		case errors.Is(err, proxyproto.ErrMissing):
			return h, ProxyHeaderMissing
		case errors.Is(err, proxyproto.ErrTooLong):
			return h, ProxyHeaderLong
		case err != nil:
			return h, ProxyHeaderMalformed
		}
	}
	for { // extensions need not fit into the buffer
		n := min(length, c.in.len())
		c.in.drop(n)
		if length -= n; length == 0 {
			break
		}
		if _, err := c.wire.fill(&c.in); err != nil {
			return h, ProxyHeaderCut
		}
	}
	if !h.Source.IsValid() {
		return h, ProxyHeaderLocal
	}
	return h, ProxyHeaderDone
}

// setPeer makes a the client's address, which all rules about addresses use.
func (c *conn) setPeer(a netip.AddrPort) {
	c.peer, c.port = a.Addr().Unmap().WithZone(""), a.Port()
	c.trusted = contains(c.p.cfg.TrustedProxies, c.peer)
	c.explain = contains(c.p.cfg.ExplainFrom, c.peer)
}

// proxyHeader returns the header that tells an instance the client of a connection, nil without a version. A client of a Unix
// socket has no address.
func (c *conn) proxyHeader(v proxyproto.Version) []byte {
	if v == proxyproto.None {
		return nil
	}
	h := proxyproto.Header{Version: v}
	h.Source = netip.AddrPortFrom(c.peer, c.port)
	if c.target != nil {
		h.Target = *c.target
	} else if a, ok := c.wire.sock.LocalAddr().(*net.TCPAddr); ok {
		h.Target = a.AddrPort()
	}
	return h.Append(nil)
}
