package proxy

// NTLM and Negotiate authenticate a connection, not a request (RFC 4559 §6): the instance treats every request on the
// connection as from the same user. The proxy therefore binds such a connection to the client connection that
// authenticated. It never goes to the idle pool, and it ends with the client connection.

// pin binds u to this client connection. Only one connection is kept: a client that uses a second such instance on the
// same connection must authenticate again.
func (c *conn) pin(u *upstreamConn) {
	if c.pinned != nil {
		c.pinned.close()
	}
	u.bound, u.fresh = true, false
	c.pinned = u
}

// takePinned returns the bound connection if it belongs to pool's instance, otherwise nil.
func (c *conn) takePinned(pool *idlePool) *upstreamConn {
	u := c.pinned
	if u == nil || u.pool != pool {
		return nil
	}
	c.pinned = nil
	if pool.live.Retired() {
		u.close()
		return nil
	}
	return u
}

// unpin closes the bound connection.
func (c *conn) unpin() {
	if c.pinned != nil {
		c.pinned.close()
		c.pinned = nil
	}
}
