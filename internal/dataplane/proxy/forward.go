package proxy

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

const maxRequestID = 128

// identify sets the request id of the exchange and the address of its client.
func (c *conn) identify(e *exchange) {
	e.client = c.peer
	if own := c.l.set.Load().RequestID; own == KeepID || own == KeepTrustedID && c.trusted {
		if v, ok := e.req.Header("x-request-id"); ok && validID(v) {
			e.id = append(e.id[:0], v...)
		}
	}
	if c.trusted {
		c.findClient(e)
	}
	if len(e.id) == 0 {
		e.id = appendID(e.id[:0])
	}
}

// appendID appends 32 hexadecimal digits from the runtime's random generator. Ids must be unique, not secret, and this
// generator makes no system call.
func appendID(dst []byte) []byte {
	var b [16]byte
	for i := 0; i < 2; i++ {
		v := rand.Uint64()
		for j := 0; j < 8; j++ {
			b[i*8+j] = byte(v >> (8 * j))
		}
	}
	return hex.AppendEncode(dst, b[:])
}

// validID accepts only characters that are safe in every log and header.
func validID(v []byte) bool {
	if len(v) == 0 || len(v) > maxRequestID {
		return false
	}
	for _, b := range v {
		ok := b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' ||
			b == '-' || b == '_' || b == '.' || b == ':' || b == '/' || b == '+' || b == '='
		if !ok {
			return false
		}
	}
	return true
}

// findClient reads X-Forwarded-For from the right and skips trusted proxies. The first address that is not a trusted
// proxy is the client. Any sender could have written the addresses to the left of it.
func (c *conn) findClient(e *exchange) {
	for i := e.req.Len() - 1; i >= 0; i-- {
		_, value, kind := e.req.Field(i)
		if kind != h1.ForwardedFor {
			continue
		}
		for len(value) > 0 {
			item := value
			if comma := bytes.LastIndexByte(value, ','); comma >= 0 {
				item, value = value[comma+1:], value[:comma]
			} else {
				value = nil
			}
			a, err := netip.ParseAddr(string(bytes.TrimSpace(item)))
			if err != nil {
				return
			}
			e.client = a.Unmap().WithZone("")
			if !contains(c.p.cfg.TrustedProxies, e.client) {
				return
			}
		}
	}
}

func (e *exchange) wantsExplain() bool {
	v, ok := e.req.Header("x-smartlb-explain")
	return ok && string(v) == "1"
}

// Fields that are replaced in requests. The proxy always replaces the fields that it writes itself (ours). If the peer
// is not trusted, it also removes the fields that only a trusted proxy may set.
var (
	ours      = h1.Set(h1.ForwardedFor, h1.ForwardedProto, h1.ForwardedHost, h1.RequestID)
	untrusted = ours | h1.Set(h1.Forwarded)
)

// buildRequest writes the request for the instance: the head and the part of the body that is in the client's buffer. It
// returns false if the route makes no valid path of the request's path.
func (c *conn) buildRequest(e *exchange) bool {
	drop := untrusted
	if c.trusted {
		drop = ours
	}
	out, ok := c.appendHead(e, drop)
	if !ok {
		return false
	}
	out = c.appendClientCert(out, e)
	out = append(out, "X-Forwarded-For: "...)
	if c.trusted {
		out = e.appendJoined(out, h1.ForwardedFor)
	}
	out = c.peer.AppendTo(out)
	out = append(out, "\r\nX-Forwarded-Proto: "...)
	if v, ok := e.trustedValue(c, "x-forwarded-proto"); ok {
		out = append(out, v...)
	} else {
		out = append(out, c.scheme()...)
	}
	out = append(out, "\r\nX-Forwarded-Host: "...)
	if v, ok := e.trustedValue(c, "x-forwarded-host"); ok {
		out = append(out, v...)
	} else {
		out = append(out, e.req.Host()...)
	}
	out = append(out, "\r\nX-Request-Id: "...)
	out = append(out, e.id...)
	out = append(out, "\r\n"...)
	out = c.appendTrace(out, e)
	out = append(out, "Via: "...)
	out = append(out, c.front.protocol(e)[len("HTTP/"):]...)
	out = append(out, ' ')
	out = append(out, c.p.cfg.Via...)
	out = append(out, "\r\n"...)
	if e.announces() {
		out = append(out, e.trailerUp...)
	}
	if !e.leg.HTTP2 && e.wantsTrailers() && len(e.req.Upgrade()) == 0 {
		out = append(out, "TE: trailers\r\nConnection: TE\r\n"...) // RFC 9110 §10.1.4
	}
	out = append(out, "\r\n"...)
	e.headEnd = len(out)
	if e.chunkedUp() {
		out = h1.AppendChunk(out, e.first)
		if e.body.Done() {
			out = e.appendBodyEnd(out)
		}
	} else {
		out = append(out, e.first...)
	}
	e.out = out
	return true
}

// scheme returns the scheme by which the client connected.
func (c *conn) scheme() string {
	if c.secure != nil {
		return "https"
	}
	return "http"
}

// clientScheme returns the scheme that the client uses, which a trusted peer may name.
func (c *conn) clientScheme(e *exchange) string {
	if v, ok := e.trustedValue(c, "x-forwarded-proto"); ok && (string(v) == "http" || string(v) == "https") {
		return string(v)
	}
	return c.scheme()
}

// appendJoined appends the values of all fields of a kind, each followed by ", ".
func (e *exchange) appendJoined(dst []byte, want h1.Kind) []byte {
	for i := range e.req.Len() {
		if _, value, kind := e.req.Field(i); kind == want && len(value) > 0 {
			dst = append(dst, value...)
			dst = append(dst, ", "...)
		}
	}
	return dst
}

func (e *exchange) trustedValue(c *conn, name string) ([]byte, bool) {
	if !c.trusted {
		return nil, false
	}
	v, ok := e.req.Header(name)
	return v, ok && len(v) > 0
}
