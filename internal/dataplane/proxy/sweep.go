package proxy

import (
	"context"
	"time"
)

const (
	sweepTick  = 100 * time.Millisecond // precision of every timeout of the proxy
	leftAfter  = 50 * time.Millisecond  // after this wait, check whether the client of the exchange left
	leftMax    = time.Second            // longest interval between further checks; the interval doubles up to this
	poolsEvery = 10                     // ticks between checks of the kept connections
)

// sweep enforces all deadlines until ctx ends.
func (p *Proxy) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepTick)
	defer tick.Stop()
	var ask []*conn
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.setWall()
		now := p.cfg.Now()
		ask = ask[:0]
		p.conns.eachExchange(func(c *conn) {
			c.expire(&c.watch, now)
			c.expire(&c.pumpWatch, now)
			c.sweepTries(now)
			if c.dueForAsking(now) {
				ask = append(ask, c)
			}
		})
		p.mirrors.each(func(c *conn) { c.expire(&c.watch, now) })
		for _, c := range ask {
			c.askWhetherLeft(now)
		}
		clear(ask)
		if n%poolsEvery == 0 {
			p.pools.expire(now)
		}
	}
}

func (p *Proxy) setWall() { p.wall.Store(time.Now().UnixNano() - p.cfg.Now()) }

func (c *conn) expire(w *watch, now int64) {
	if at := w.at.Load(); at > 0 && now >= at {
		c.fire(w, at, fired)
	}
}

// dueForAsking reports whether the connection has waited for an instance, or for a place in front of it, long enough to check whether its client left.
func (c *conn) dueForAsking(now int64) bool {
	since := c.since.Load()
	if since == 0 || c.watch.at.Load() <= 0 || c.watch.wake.Load()&(wakeUpstream|wakePlace) == 0 {
		c.nextAsk = 0
		return false
	}
	if c.nextAsk < since {
		c.nextAsk, c.askGap = since+int64(leftAfter), int64(leftAfter)
	}
	if now < c.nextAsk {
		return false
	}
	c.askGap = min(2*c.askGap, int64(leftMax))
	c.nextAsk = now + c.askGap
	return true
}

// askWhetherLeft ends an exchange whose client has left. A client that closed only its sending side may still wait for
// the answer. It cannot be distinguished from a client that closed the whole connection in order, so it gets
// HalfCloseTimeout.
func (c *conn) askWhetherLeft(now int64) {
	at := c.watch.at.Load()
	switch c.link.state() {
	case peerHalf:
		if c.halfAt == 0 {
			c.halfAt = now
		}
		if now-c.halfAt >= int64(c.settings().halfClose) {
			c.fire(&c.watch, at, firedGone)
		}
	case peerGone:
		c.fire(&c.watch, at, firedGone)
	}
}
