package proxy

import (
	"context"
	"time"
)

const (
	sweepTick  = 100 * time.Millisecond // precision of every timeout here
	leftAfter  = 50 * time.Millisecond  // an exchange that waits longer is asked whether its client left
	leftMax    = time.Second            // and again, at growing intervals up to this
	poolsEvery = 10                     // ticks between looks at the kept connections
)

// sweep looks after all deadlines until ctx ends.
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
		p.conns.each(func(c *conn) {
			c.expire(&c.watch, now)
			c.expire(&c.pumpWatch, now)
			if c.dueForAsking(now) {
				ask = append(ask, c)
			}
		})
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

// dueForAsking reports whether the connection waits for an instance alone, and
// long enough to ask its client whether it is still there.
func (c *conn) dueForAsking(now int64) bool {
	since := c.since.Load()
	if since == 0 || c.watch.at.Load() <= 0 || c.watch.wake.Load()&wakeUpstream == 0 {
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

// askWhetherLeft ends an exchange whose client has left. A client that only
// closed its sending side may wait for the answer; as it cannot be told from
// one that closed the whole connection in order, it has HalfCloseTimeout.
func (c *conn) askWhetherLeft(now int64) {
	at := c.watch.at.Load()
	switch c.wire.state() {
	case peerHalf:
		if c.halfAt == 0 {
			c.halfAt = now
		}
		if now-c.halfAt >= int64(c.p.cfg.HalfCloseTimeout) {
			c.fire(&c.watch, at, firedGone)
		}
	case peerGone:
		c.fire(&c.watch, at, firedGone)
	}
}
