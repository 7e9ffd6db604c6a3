package proxy

import (
	"net"
	"net/netip"
	"sync"
)

// enter registers a connection that was accepted. It returns false if there are too many, of its listener or in all.
func (p *Proxy) enter(c *conn) bool {
	limit := c.settings().MaxConnections
	if n := c.l.conns.Add(1); limit > 0 && n > int64(limit) || !p.conns.add(c, p.cfg.MaxConnections) {
		c.l.conns.Add(-1)
		return false
	}
	return true
}

// leave removes a connection that enter registered.
func (p *Proxy) leave(c *conn) {
	if c.counted {
		p.clients.remove(network(c.peer))
	}
	c.l.conns.Add(-1)
	p.conns.remove(c)
}

// admit refuses a connection of a client that has too many. It runs after the PROXY header, which names the client.
func (c *conn) admit() bool {
	limit := c.p.cfg.MaxPerClient
	_, tcp := c.wire.sock.RemoteAddr().(*net.TCPAddr)
	if limit <= 0 || c.trusted || !tcp && c.target == nil {
		return true
	}
	if !c.p.clients.add(network(c.peer), limit) {
		c.p.count.perClient.Add(1)
		refuse(c.wire.sock, c.secure != nil, tooMany)
		return false
	}
	c.counted = true
	return true
}

// network returns what counts as one client: an IPv4 address, or the /64 network of an IPv6 address, of which a single
// host can use every address.
func network(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}

// tally counts the connections of each client. It holds no client without a connection.
type tally struct {
	mu sync.Mutex
	of map[netip.Addr]int
}

// add counts one more connection. It returns false if there are limit of them.
func (t *tally) add(who netip.Addr, limit int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[who] >= limit {
		return false
	}
	if t.of == nil {
		t.of = map[netip.Addr]int{}
	}
	t.of[who]++
	return true
}

func (t *tally) remove(who netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[who]--; t.of[who] <= 0 {
		delete(t.of, who)
	}
}
