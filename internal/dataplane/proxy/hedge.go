package proxy

import (
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
)

// racer is one of two tries at a time. It has an exchange and a conn of its own, with a copy of the request, because a try
// that is cancelled may end later than the request. Its goroutine belongs to the client's conn, which waits for it before
// it ends.
type racer struct {
	c      *conn
	e      *exchange
	hedge  bool
	u      *upstreamConn
	o      dispatch.Outcome
	state  atomic.Int32           // raceRunning, then one of the others
	slot   *atomic.Pointer[racer] // in tries
	finish chan<- *racer
}

const (
	raceRunning   int32 = iota
	raceFinished        // the racer is or will be in finish
	raceCancelled       // nobody waits for it: it cleans up itself
)

func (r *racer) cancelled() bool { return r.state.Load() == raceCancelled }

// tries are the racers of a connection: two of the current request, and cancelled ones of earlier requests that are about
// to end.
type tries [8]atomic.Pointer[racer]

// free returns a free slot, nil if there is none. Only the goroutine of the connection fills slots.
func (t *tries) free() *atomic.Pointer[racer] {
	for i := range t {
		if t[i].Load() == nil {
			return &t[i]
		}
	}
	return nil
}

// longWait is beyond every wait for an instance.
const longWait = 365 * 24 * time.Hour

// mayHedge reports whether the request of e may be sent to two instances at a time. A connection that belongs to this
// client cannot be doubled.
func (c *conn) mayHedge(e *exchange, v *dispatch.Verdict) bool {
	return e.req.Body == h1.NoBody && len(e.req.Upgrade()) == 0 && !e.req.BindsConnection() && c.pinned == nil && !e.noHost &&
		v.Leg.ProxyProtocol == proxyproto.None
}

// tryTwice is try for a request that may be hedged: if there is no response head after v.Hedge, it sends the request to a
// second instance too. It returns the connection and the outcome of the try that the dispatcher settles next.
func (c *conn) tryTwice(e *exchange, v dispatch.Verdict) (*upstreamConn, dispatch.Outcome) {
	if c.tries.Load() == nil {
		c.tries.Store(new(tries))
	}
	finish := make(chan *racer, 2)
	first, failure := c.startRacer(e, v, finish)
	if first == nil && failure == dispatch.None {
		return c.try(e, &v) // too many cancelled tries have not ended yet
	}
	if failure != dispatch.None {
		return nil, dispatch.Outcome{Failure: failure, Replayable: true}
	}
	var second *racer
	timer := time.NewTimer(v.Hedge)
	defer timer.Stop()
	c.watch.up.Store(nil)
	c.watch.timer.Store(timer)
	c.since.Store(c.now)
	c.watch.arm(never, wakeUpstream)
	var won *racer
	for won == nil {
		select {
		case r := <-finish:
			c.now = c.p.cfg.Now()
			other := first
			if r == first {
				other = second
			}
			switch {
			case other == nil:
				won = r
			case e.x.Decides(r.o):
				c.drop(e, other, finish)
				won = r
			default:
				c.p.d.Drop(e.x, r.hedge, r.o, c.now)
				c.scrap(r)
				first, second = other, nil
			}
		case <-timer.C:
			timer.Reset(longWait)
			if c.watch.at.Load() < 0 { // checked after Reset, which may have replaced the one of the sweeper
				return nil, c.leaveRace(e, first, second, finish)
			}
			c.now = c.p.cfg.Now()
			second = c.startHedge(e, finish)
		}
	}
	if cause := c.endTimer(); cause != dispatch.None {
		c.scrap(won)
		return nil, dispatch.Outcome{Failure: cause, Sent: true}
	}
	return c.take(e, won)
}

// leaveRace ends both tries, because the client left or the proxy stops.
func (c *conn) leaveRace(e *exchange, first, second *racer, finish <-chan *racer) dispatch.Outcome {
	cause := c.endTimer()
	c.now = c.p.cfg.Now()
	if second != nil {
		c.drop(e, second, finish)
	}
	c.cancel(first, finish)
	return dispatch.Outcome{Failure: cause, Sent: true}
}

// drop ends the one of two tries whose outcome is not needed.
func (c *conn) drop(e *exchange, r *racer, finish <-chan *racer) {
	c.cancel(r, finish)
	c.p.d.Drop(e.x, r.hedge, dispatch.Outcome{Failure: dispatch.Cancelled}, c.now)
}

// startHedge starts the second try, nil if there is none.
func (c *conn) startHedge(e *exchange, finish chan<- *racer) *racer {
	v, ok := c.p.d.Hedge(e.x, c.now)
	if !ok {
		return nil
	}
	r, _ := c.startRacer(e, v, finish)
	if r == nil {
		c.p.d.Drop(e.x, true, dispatch.Outcome{Failure: dispatch.Cancelled}, c.now)
		return nil
	}
	r.hedge = true // read by this goroutine only
	return r
}

// startRacer starts a try in a goroutine of its own. It returns nil if no slot is free, or the request cannot be built.
func (c *conn) startRacer(e *exchange, v dispatch.Verdict, finish chan<- *racer) (*racer, dispatch.Failure) {
	slot := c.tries.Load().free()
	if slot == nil {
		return nil, dispatch.None
	}
	own := c.takeExchange()
	own.copyRequest(e, c.in.bytes()[:e.head])
	r := &racer{e: own, slot: slot, finish: finish}
	r.c = &conn{
		p: c.p, l: c.l, front: c.front, secure: c.secure, cert: c.cert, sni: c.sni,
		peer: c.peer, port: c.port, target: c.target, trusted: c.trusted, shard: c.shard, now: c.now, race: r,
	}
	x := own.x
	own.x = e.x // for the variables of headers
	until, failure := r.c.prepare(own, &v)
	own.x = x
	if failure != dispatch.None {
		e.status, e.why = own.status, own.why
		c.giveExchange(own)
		return nil, failure
	}
	r.slot.Store(r)
	c.racing.Go(func() { r.run(&v, until) })
	return r, dispatch.None
}

// copyRequest copies the request of another exchange, whose head has no body.
func (e *exchange) copyRequest(from *exchange, head []byte) {
	e.own = append(e.own[:0], head...)
	_, _ = e.req.Parse(e.own, &from.set.limits) // the same bytes as before
	e.body.Start(h1.NoBody, 0)
	e.id = append(e.id[:0], from.id...)
	e.set, e.client, e.actions, e.grpc = from.set, from.client, from.actions, from.grpc
	e.trace.on, e.trace.context, e.trace.state = from.trace.on, from.trace.context, append(e.trace.state[:0], from.trace.state...)
}

func (r *racer) run(v *dispatch.Verdict, until int64) {
	r.u, r.o = r.c.perform(r.e, v, until)
	r.c.watch.up.Store(nil)
	if r.state.CompareAndSwap(raceRunning, raceFinished) {
		r.slot.Store(nil)
		r.finish <- r
		return
	}
	r.c.discard(r.e, r.u)
	r.c.giveExchange(r.e)
	r.slot.Store(nil)
}

// cancel ends a try whose outcome is not needed. If it has ended, its outcome is in finish, or about to be.
func (c *conn) cancel(r *racer, finish <-chan *racer) {
	if r.state.CompareAndSwap(raceRunning, raceCancelled) {
		r.c.fire(&r.c.watch, r.c.watch.at.Load(), firedGone)
		return
	}
	c.scrap(<-finish) // whichever of two comes first: both are cancelled
}

// scrap frees what a finished try holds.
func (c *conn) scrap(r *racer) {
	r.c.discard(r.e, r.u)
	c.giveExchange(r.e)
}

// take moves the response of a finished try to the exchange of the request.
func (c *conn) take(e *exchange, r *racer) (*upstreamConn, dispatch.Outcome) {
	own := r.e
	e.res, own.res = own.res, e.res
	e.up, own.up = own.up, e.up
	e.leg, e.tolerant = own.leg, own.tolerant
	c.giveExchange(own)
	c.watch.up.Store(r.u)
	return r.u, r.o
}

// sweepTries ends tries that are late, and those that were cancelled while they waited for nothing.
func (c *conn) sweepTries(now int64) {
	all := c.tries.Load()
	if all == nil {
		return
	}
	for i := range all {
		if r := all[i].Load(); r != nil {
			r.c.expire(&r.c.watch, now)
			if r.cancelled() {
				r.c.fire(&r.c.watch, r.c.watch.at.Load(), firedGone)
			}
		}
	}
}
