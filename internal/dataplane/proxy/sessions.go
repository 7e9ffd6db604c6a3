package proxy

import "github.com/smartlb/smartlb/internal/dataplane/h2"

// private keeps responses with a session out of shared caches, which would give the session to other clients.
const private = "private"

// sessionCookie returns the value of the Set-Cookie field for the response, empty if the client needs none. It is valid
// until e.value is used again.
func (c *conn) sessionCookie(e *exchange) []byte {
	if !e.x.WantsSessionCookie() {
		return nil
	}
	e.value = e.x.AppendSessionCookie(e.value[:0], c.clientScheme(e) == "https")
	return e.value
}

// appendSession appends the fields that bind the client to its instance, as lines of HTTP/1.1.
func (c *conn) appendSession(out []byte, e *exchange) []byte {
	v := c.sessionCookie(e)
	if len(v) == 0 {
		return out
	}
	out = append(append(out, "Set-Cookie: "...), v...)
	return append(out, "\r\nCache-Control: "+private+"\r\n"...)
}

// appendSessionFields is appendSession for HTTP/2.
func (c *conn) appendSessionFields(out []byte, e *exchange) []byte {
	v := c.sessionCookie(e)
	if len(v) == 0 {
		return out
	}
	return h2.AppendField(h2.AppendField(out, "set-cookie", v), "cache-control", private)
}
