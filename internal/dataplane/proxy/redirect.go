package proxy

import (
	"bytes"
	"net/http"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// hostUnknown refuses a request that names no host to which it could be redirected (HTTP/1.0). The address of the
// listener is not sent instead: clients need not know it.
var hostUnknown = &h1.Error{Status: 400, Class: h1.ClassTarget, Reason: "no Host field, so there is no https URL to redirect to"}

// redirect answers with the https URL of the request: its authority, which the parser has checked, without its port, and
// its target as the proxy would forward it. The target always follows the authority, so no target leads to another host.
//
// GET and HEAD get 301, which every client knows. Other methods get 308, because a client may change POST to GET after a
// 301 (RFC 9110 §15.4.2, §15.4.9). The body of a request is not read: a client that waits for 100 does not send it in
// the clear.
func (c *conn) redirect(e *exchange, port int) (keep bool) {
	host := e.req.Host()
	if len(host) == 0 {
		c.refuseHead(e, hostUnknown)
		return false
	}
	c.p.count.redirects.Add(1)
	c.identify(e)
	e.used = e.head
	e.body.Start(e.req.Body, e.req.Length)
	keep = c.mayKeep(e)

	status := http.StatusPermanentRedirect
	if m := string(e.req.Method()); m == "GET" || m == "HEAD" {
		status = http.StatusMovedPermanently
	}
	c.countOwn(status)
	e.line = appendURL(e.line[:0], host, port, &e.req)
	keep = c.sendOwn(e, own{status: status, keep: keep, location: e.line}, nil)
	c.logLine(e, nil, status, "redirect-to-https")
	if !keep && c.mayHaveUnread(e) {
		c.linger()
	}
	return keep
}

// appendURL appends the https URL of a request for host, which may have a port.
func appendURL(dst, host []byte, port int, req *h1.Request) []byte {
	if colon := bytes.LastIndexByte(host, ':'); colon > bytes.LastIndexByte(host, ']') {
		host = host[:colon]
	}
	dst = append(append(dst, "https://"...), host...)
	if port != 443 {
		dst = appendInt(append(dst, ':'), int64(port))
	}
	start := len(dst)
	if dst = req.AppendTarget(dst); dst[start] == '*' { // OPTIONS * applies to the host as a whole
		dst = append(dst[:start], '/')
	}
	return dst
}
