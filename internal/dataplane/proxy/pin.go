package proxy

// Some connections to an instance belong to one client connection. They never go to the idle pool, and they end with the
// client connection:
//
//   - NTLM and Negotiate authenticate a connection, not a request (RFC 4559 §6): the instance treats every request on it
//     as from the same user. Such a connection is bound: the next request of the client goes to the same instance.
//   - A connection that began with a PROXY header names the client.

// pin keeps u for this client connection. Only one connection is kept: a client that uses a second such instance on the
// same connection must authenticate again.
func (c *conn) pin(u *upstreamConn) {
	if c.pinned != nil {
		c.pinned.close()
	}
	u.since, u.fresh = c.now, false
	c.pinned = u
}

// takePinned returns the pinned connection if it belongs to pool's instance, otherwise nil. It closes a connection to that
// instance that was idle for too long, or that pool would not make any more.
func (c *conn) takePinned(pool *idlePool) *upstreamConn {
	u := c.pinned
	if u == nil || u.live != pool.live {
		return nil
	}
	c.pinned = nil
	if u.pool != pool || pool.live.Retired() || c.now-u.since > int64(pool.keep) {
		u.close()
		return nil
	}
	return u
}

// unpin closes the pinned connection.
func (c *conn) unpin() {
	if c.pinned != nil {
		c.pinned.close()
		c.pinned = nil
	}
}
