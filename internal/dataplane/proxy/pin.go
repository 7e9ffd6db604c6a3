package proxy

// NTLM and Negotiate authenticate a connection, not a request (RFC 4559 §6): an
// instance takes everything that comes on it for the same user. Such a
// connection is bound to the connection of the client that authenticated, never
// goes to the idle pool, and ends with it.

// pin binds u to this client connection. One is kept: a client that talks to a
// second such instance on the same connection authenticates again.
func (c *conn) pin(u *upstreamConn) {
	if c.pinned != nil {
		c.pinned.close()
	}
	u.bound, u.fresh = true, false
	c.pinned = u
}

// takePinned gives the bound connection where it leads to the pool's instance.
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
