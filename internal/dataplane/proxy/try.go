package proxy

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// never is a deadline that is armed but never reached.
const never = math.MaxInt64

// try sends the request to the verdict's instance and reads the head of its final response into e.res. Bytes after the
// head stay in e.up. The returned connection is nil if no connection was made.
func (c *conn) try(e *exchange, v *dispatch.Verdict) (*upstreamConn, dispatch.Outcome) {
	until, failure := c.prepare(e, v)
	if failure != dispatch.None {
		return nil, dispatch.Outcome{Failure: failure, Replayable: true}
	}
	return c.perform(e, v, until)
}

// prepare builds the request of a try in e.out. until is when the try must have its response head.
func (c *conn) prepare(e *exchange, v *dispatch.Verdict) (until int64, failure dispatch.Failure) {
	until = never
	if v.HeadTimeout > 0 {
		until = c.now + int64(v.HeadTimeout)
	}
	if v.Deadline > 0 {
		until = min(until, v.Deadline)
	}
	if until <= c.now {
		return 0, dispatch.Timeout
	}
	e.leg = v.Leg
	if !c.buildRequest(e) {
		return 0, c.blameClient(e, badRewrite)
	}
	return until, dispatch.None
}

// perform is try for a request that prepare has built.
func (c *conn) perform(e *exchange, v *dispatch.Verdict, until int64) (*upstreamConn, dispatch.Outcome) {
	o := dispatch.Outcome{Replayable: true}
	pool := c.p.pools.of(v.Live, c.p.kindOf(v))
	resent, refused := false, 0
	for {
		u, err := c.upstream(e, pool, resent, v)
		if err != nil {
			o.Failure = c.dialFailure(err)
			return nil, o
		}
		if c.race != nil && c.race.cancelled() {
			u.close()
			o.Failure = dispatch.Cancelled
			return nil, o
		}
		kept := !u.fresh
		stale, err := c.send(e, u, v, until, &o)
		if stale {
			c.p.count.stale.Add(1)
			u.close()
			continue
		}
		if err == h2.ErrRefused {
			o.Sent = false
		}
		if err == nil {
			err = c.readResponse(e, u, !v.Leg.Strict)
		}
		cause := c.endWait()
		again := kept && !resent
		if err == h2.ErrRefused && refused < maxRefusals {
			refused++
			again = true
		}
		if again && cause == 0 && mayResend(e, err, o.Sent) {
			c.p.count.resent.Add(1)
			u.close()
			resent, o.Sent = true, false
			continue
		}
		if kept {
			c.p.count.shard[c.shard].reuses.Add(1)
		}
		if e.pumping {
			o.SentAt = e.pump.headCame()
			o.Replayable = false
		}
		if e.began {
			o.Replayable = false
		}
		if err != nil || cause != 0 {
			if cause == 0 && v.Deadline > 0 && c.p.cfg.Now() >= v.Deadline {
				cause = fired // an instance that knows the deadline (grpc-timeout) may end before the sweeper does
			}
			c.stopPump(e, u)
			o.Failure = c.failure(e, err, cause)
			o.SentAt = e.pump.sent()
		} else {
			c.noteHead(e, &o)
			if v.Leg.LoadReports.Read {
				c.takeLoad(e, v.Live)
			}
		}
		return u, o
	}
}

// noteHead notes what the response head says to the dispatcher.
func (c *conn) noteHead(e *exchange, o *dispatch.Outcome) {
	o.Status = e.res.Status
	switch {
	case e.grpc:
		if status := grpcStatusOf(e.res.Header("grpc-status")); status > 0 {
			o.GRPC = status
		}
	case o.Status == http.StatusTooManyRequests, o.Status == http.StatusServiceUnavailable:
		if v, ok := e.res.Header("retry-after"); ok {
			o.RetryAfter = dispatch.ParseRetryAfter(v, time.Unix(0, c.p.cfg.Now()+c.p.wall.Load()))
		}
	}
}

// maxRefusals is how often a try may be sent again because an instance of HTTP/2 has not processed it: it is leaving the
// connection, or has too many requests on it.
const maxRefusals = 3

// upstream returns a connection for a try: the connection bound to the client, a kept connection, or a new connection.
func (c *conn) upstream(e *exchange, pool pool, fresh bool, v *dispatch.Verdict) (*upstreamConn, error) {
	if m, ok := pool.(*muxPool); ok {
		return m.open(e, v.Leg.MaxConnections, v.ConnectTimeout)
	}
	idle := pool.(*idlePool)
	if u := c.takePinned(idle); u != nil && !fresh {
		return u, nil
	}
	if !fresh {
		if u := idle.get(c.shard); u != nil {
			return u, nil
		}
	}
	if !idle.reserve(v.Leg.MaxConnections) {
		return nil, errInstanceFull
	}
	header := c.proxyHeader(v.Leg.ProxyProtocol)
	u, err := c.p.pools.dial(idle, header, v.ConnectTimeout)
	if what := guard.OwnShortage(err); what != "" && what != guard.NameServer && c.p.pools.shed() {
		u, err = c.p.pools.dial(idle, header, v.ConnectTimeout)
	}
	if err != nil {
		idle.open.Add(-1)
	}
	return u, err
}

// mayResend reports whether the request may be sent once more, on a new connection to the same instance. It applies if
// a kept connection ended without any byte of an answer. An instance may close a connection that it considers idle at
// the moment a request arrives (RFC 9112 §9.3.1): this is the fault of neither side. The request must still be whole.
// It must also be idempotent (RFC 9110 §9.2.2), or not a single byte of it was accepted.
func mayResend(e *exchange, err error, sent bool) bool {
	if err != io.EOF && err != h2.ErrLeft && err != h2.ErrRefused && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return false
	}
	if !e.body.Done() || e.pumping || e.began || e.up.len() > 0 {
		return false
	}
	return !sent || dispatch.Idempotent(e.req.Method())
}

// endWait ends the wait for an instance.
func (c *conn) endWait() int64 {
	c.since.Store(0)
	return c.watch.disarm()
}

// send writes the request and waits for the first bytes of the reply.
func (c *conn) send(e *exchange, u *upstreamConn, v *dispatch.Verdict, until int64, o *dispatch.Outcome) (stale bool, err error) {
	c.watch.up.Store(u)
	c.since.Store(c.now)
	e.res.Reset()
	e.up.release()
	if u.stream != nil {
		return false, c.sendStream(e, u, v, until, o)
	}
	if e.body.Done() && u.link == link(u.wire) {
		c.watch.arm(until, wakeUpstream)
		var sent int
		sent, stale, err = u.wire.ask(e.out, u.fresh, &e.up)
		o.Sent = sent > 0
		if stale {
			c.endWait()
		}
		return stale, err
	}
	if !u.fresh && u.isStale() {
		return true, nil
	}
	c.watch.arm(until, wakeUpstream)
	sent, err := u.link.write(e.out)
	o.Sent = sent > 0
	if err != nil {
		return false, err
	}
	if !e.body.Done() {
		if err := c.sendRest(e, u, v); err != nil {
			return false, err
		}
	}
	_, err = u.link.fill(&e.up)
	return false, err
}

// sendStream is send for an instance that speaks HTTP/2.
func (c *conn) sendStream(e *exchange, u *upstreamConn, v *dispatch.Verdict, until int64, o *dispatch.Outcome) error {
	if e.req.WebSocket {
		c.awaitSettings(u, v, until)
	} else {
		c.watch.arm(until, wakeUpstream)
	}
	o.Sent = true // other requests on the connection may have sent a part of this one
	if err := u.sendFrames(e, u.block(e), e.first, e.body.Done() && !u.connect); err != nil {
		return err
	}
	if !e.body.Done() {
		if err := c.sendRest(e, u, v); err != nil {
			return err
		}
	}
	_, err := u.link.fill(&e.up)
	return err
}

// awaitSettings begins the wait for an instance of HTTP/2 whose settings say whether it accepts an extended CONNECT. Without
// settings within the time to connect, the request is a plain one.
func (c *conn) awaitSettings(u *upstreamConn, v *dispatch.Verdict, until int64) {
	c.watch.arm(min(until, c.now+int64(v.ConnectTimeout)), wakeUpstream)
	u.connect = u.stream.AllowsConnect()
	c.watch.push(until)
	if c.watch.at.Load() == fired && c.p.cfg.Now() < until {
		c.watch.disarm()
		_ = u.link.resume(true)
		c.watch.arm(until, wakeUpstream)
	}
}

// sendRest starts to send the rest of the request body.
func (c *conn) sendRest(e *exchange, u *upstreamConn, v *dispatch.Verdict) error {
	if e.req.Continue && len(e.first) == 0 {
		if err := c.front.proceed(c); err != nil {
			return errClientGone
		}
	}
	// While the body is being sent, only the route's timeout counts, and it is charged to the client. The instance's
	// time begins when the body is sent.
	until := int64(never)
	if v.Deadline > 0 {
		until = v.Deadline
	}
	if !c.watch.push(until) {
		return os.ErrDeadlineExceeded // the time of the instance passed while it took the head
	}
	c.startPump(e, u, v)
	return nil
}

// errInstanceFull says that the instance has as many connections as its service allows.
var errInstanceFull = errors.New("the instance has its maximum of connections")

var errClientGone = errors.New("client gone")
var errBadResponse = errors.New("bad response")

// readResponse parses the final response head from e.up. It reads more bytes as needed and passes interim heads on.
func (c *conn) readResponse(e *exchange, u *upstreamConn, tolerant bool) error {
	e.tolerant = tolerant
	interim, most := 0, h1.MaxInterim
	if tolerant {
		most = h1.MaxInterimTolerated
	}
	for {
		n, bad := e.res.Parse(e.up.bytes(), e.req.IsHead(), tolerant, &c.p.cfg.Limits)
		if n > 0 && e.res.Tolerated != 0 {
			c.tolerated(e.res.Tolerated)
		}
		switch {
		case bad != nil:
			return errBadResponse
		case n > 0 && e.res.Status == 101:
			if !e.acceptsUpgrade() {
				return errBadResponse
			}
			e.up.start += n
			return nil
		case n > 0 && !e.res.Interim():
			e.up.start += n // the head stays in place: e.res points into it
			if u.stream != nil && u.stream.HasEnded() && !u.connect {
				e.res.Body = h1.NoBody
			}
			return nil
		case n > 0:
			if interim++; interim > most {
				return errBadResponse
			}
			if interim == h1.MaxInterim+1 {
				c.tolerated(h1.ManyInterim)
			}
			if e.leg.LoadReports.Strip {
				e.res.Remove(loadFields, false)
			}
			if err := c.relayInterim(e); err != nil {
				return err
			}
			e.up.start += n
			e.up.compact()
			e.res.Reset()
			if e.up.len() > 0 {
				continue
			}
		case e.up.full():
			return errBadResponse
		}
		if _, err := u.link.fill(&e.up); err != nil {
			return err
		}
	}
}

// tolerated counts departures from HTTP by kind.
func (c *conn) tolerated(kinds h1.Tolerances) {
	for i := range h1.NumTolerances {
		if kinds&(1<<i) != 0 {
			c.p.count.tolerated[i].Add(1)
		}
	}
}

// relayInterim passes a 1xx head on. It drops 100, because the proxy sends it itself. It sends no 1xx to an HTTP/1.0
// client, which would take it for the final response (RFC 9110 §15.2).
func (c *conn) relayInterim(e *exchange) error {
	if e.res.Status == 100 || e.req.Minor == 0 || c.race != nil { // of two tries at a time, only the response reaches the client
		return nil
	}
	e.began = true
	if err := c.front.interim(c, e); err != nil {
		return errClientGone
	}
	return nil
}

// failure returns the reason why a try, or the passing on of its response, ended.
func (c *conn) failure(e *exchange, err error, cause int64) dispatch.Failure {
	if e.pumping && e.pump.blame != nil {
		return c.blameClient(e, e.pump.blame)
	}
	var bad *h2.Error
	switch {
	case cause == firedGone || err == errClientGone:
		return c.gone()
	case cause == firedCut:
		return dispatch.Stopped
	case cause == fired && e.pumping && !e.pump.whole && !e.pump.stalled:
		return c.blameClient(e, bodyLate) // the deadline passed while the proxy waited for the client's body
	case cause == fired || errors.Is(err, os.ErrDeadlineExceeded):
		return dispatch.Timeout
	case err == errBadResponse, err == h2.ErrMalformed, errors.As(err, &bad):
		return dispatch.BadResponse
	case err == io.EOF, err == h2.ErrLeft:
		return dispatch.EOF
	}
	return dispatch.Reset
}

// blameClient records what was wrong with the client's body and returns the failure.
func (c *conn) blameClient(e *exchange, bad *h1.Error) dispatch.Failure {
	if bad == clientLeft {
		return c.gone()
	}
	c.p.count.parse[bad.Class].Add(1)
	e.status, e.why = bad.Status, bad.Reason
	switch bad {
	case bodyLate:
		return dispatch.ClientSlow
	case bodyBig:
		return dispatch.ClientLarge
	}
	return dispatch.ClientBad
}

func (c *conn) dialFailure(err error) dispatch.Failure {
	if err == errInstanceFull {
		return dispatch.InstanceFull
	}
	if c.p.shortage(err) {
		return dispatch.Exhausted
	}
	var t interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return dispatch.ConnectRefused
	case errors.As(err, &t) && t.Timeout():
		return dispatch.ConnectTimeout
	}
	return dispatch.ConnectFailed
}

// discard closes a connection whose response is not needed.
func (c *conn) discard(e *exchange, u *upstreamConn) {
	if u == nil {
		return
	}
	c.stopPump(e, u)
	u.close()
	e.up.release()
}
