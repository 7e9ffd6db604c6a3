package proxy

import "sync"

// registry lists client connections, or the requests of a session. It is locked when one is added or removed, and by the
// sweeper. A request of HTTP/1.1 never locks it.
type registry struct {
	mu     sync.Mutex
	list   []*conn
	closed bool
}

// add registers c. It returns false if the registry is closed or already holds limit connections.
func (r *registry) add(c *conn, limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.list) >= limit {
		return false
	}
	c.index = len(r.list)
	r.list = append(r.list, c)
	return true
}

// close rejects all further connections.
func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

func (r *registry) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.list) - 1
	r.list[c.index] = r.list[last]
	r.list[c.index].index = c.index
	r.list[last] = nil
	r.list = r.list[:last]
}

func (r *registry) each(f func(*conn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.list {
		f(c)
	}
}

// eachExchange calls f for each connection, and for each request of a session.
func (r *registry) eachExchange(f func(*conn)) {
	r.each(func(c *conn) {
		f(c)
		if s := c.session.Load(); s != nil {
			s.streams.each(f)
		}
	})
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list)
}
