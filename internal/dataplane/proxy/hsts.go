package proxy

import "github.com/smartlb/smartlb/internal/dataplane/h1"

// Fields of responses that the proxy writes itself.
var (
	always     = h1.Set(h1.RequestID)
	insideHSTS = always | h1.Set(h1.TransportSecurity)
)

// hsts returns the value of Strict-Transport-Security for this connection, "" if the proxy sends none. It is never sent in
// the clear (RFC 6797 §7.2).
func (c *conn) hsts() string {
	if c.secure == nil {
		return ""
	}
	return c.l.set.Load().HSTS
}

// responseDrop returns the fields of an instance's response that the proxy replaces.
func (c *conn) responseDrop() h1.Kinds {
	if c.hsts() != "" {
		return insideHSTS
	}
	return always
}

// appendHSTS appends Strict-Transport-Security if the listener has it.
func (c *conn) appendHSTS(dst []byte) []byte {
	v := c.hsts()
	if v == "" {
		return dst
	}
	dst = append(append(dst, "Strict-Transport-Security: "...), v...)
	return append(dst, "\r\n"...)
}
