package dispatch

import (
	"cmp"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Signals receives events that cannot wait for the keeper's next tick. Both methods must not block.
type Signals interface {
	// Broken reports that a connection to the instance was refused, reset or closed.
	Broken(l *upstream.Live)
	// Failing reports that the instance reached the consecutive failures that eject it, or asked for no further requests.
	Failing(l *upstream.Live)
}

// Config of a Dispatcher.
type Config struct {
	ConnectTimeout time.Duration    // per try; default 1 s
	Sample         float64          // share of requests whose decision is recorded, 0..1; default .01
	Recorder       Recorder         // nil: no recorder
	Signals        Signals          // nil: no signals
	Wall           func() time.Time // the time for routes with hours; default time.Now
	Memory         *guard.Memory    // refuses requests while the memory is short; nil: no limit
}

// Dispatcher routes all requests of a process. Its methods are safe for concurrent use; an Exchange is not.
type Dispatcher struct {
	cfg      Config
	sample   uint64
	table    atomic.Pointer[Table]
	own      *upstream.Service // has neither an id nor instances
	unrouted *upstream.Traffic
}

// New returns a dispatcher without a table. Every request gets 503 until Swap sets a table.
func New(cfg Config) *Dispatcher {
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = time.Second
	}
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	own := upstream.NewService("")
	return &Dispatcher{cfg: cfg, sample: uint64(min(max(cfg.Sample, 0), 1) * (1 << 53)), own: own, unrouted: own.Traffic("")}
}

// Own returns the service without id and instances that counts requests for which there is no service: those of routes
// that answer themselves, and those without a route.
func (d *Dispatcher) Own() *upstream.Service { return d.own }

// Swap replaces the routing. Requests in flight keep the table with which they began.
func (d *Dispatcher) Swap(t *Table) { d.table.Store(t) }

// Table returns the current routing, nil before the first Swap.
func (d *Dispatcher) Table() *Table { return d.table.Load() }

// Limits returns the rate limits of the current routing.
func (d *Dispatcher) Limits() map[ratelimit.ID]*ratelimit.Limit {
	if t := d.table.Load(); t != nil {
		return t.Limits
	}
	return nil
}

// KeySets returns the sets of the current routing whose keys are fetched.
func (d *Dispatcher) KeySets() []*jwt.KeySet {
	if t := d.table.Load(); t != nil {
		return t.KeySets
	}
	return nil
}

// Begin routes a request and picks its instance. Every Begin must be followed by exactly one End.
func (d *Dispatcher) Begin(x *Exchange, h Head, now int64) Verdict {
	x.reset(now)
	x.traffic = d.unrouted
	x.table = d.table.Load()
	if x.table == nil {
		return *x.reply(503, CodeNoRoute, "no configuration has been loaded yet")
	}
	from := router.Peer{Client: x.Client, ServerName: x.ServerName, Listener: x.Listener}
	if x.table.Routes.Timed() {
		from.At = d.cfg.Wall()
	}
	route, ok := x.table.Routes.Match(h, from)
	if !ok {
		x.text = fmt.Appendf(x.text[:0], "no route matches %s %.100s%.200s; routes: %s", h.Method(), h.Host(), h.Path(), x.table.Names)
		return *x.reply(404, CodeNoRoute, string(x.text))
	}
	x.route = route
	if status, code := route.admit(x.Client, h); code != "" {
		return *d.answer(x, status, code)
	}
	if d.cfg.Memory.Pressure() != guard.NoPressure && d.cfg.Memory.Refuses(route.Priority.of(h)) {
		x.traffic = cmp.Or(route.Traffic, d.unrouted)
		return *x.reply(503, CodeExhausted, "this proxy has little memory left")
	}
	share, limits := (*Share)(nil), route.Limits
	if len(route.Split) > 0 {
		share = route.choose(h, x.rand.Uint64)
		limits = share.Limits
	}
	if x.isLimited(limits, h, now) { // before passwords: limits also slow down clients that guess passwords
		x.traffic = cmp.Or(route.Traffic, d.unrouted)
		if share != nil {
			x.service, x.traffic, x.pages = share.Service, share.Traffic, share.Pages
		}
		return *x.refuse()
	}
	if status, code := route.check(x, h, now); code != "" {
		return *d.answer(x, status, code)
	}
	x.share = share
	if a := route.Actions; a != nil && a.ForwardAuth != nil {
		return *x.authorize(a.ForwardAuth)
	}
	return *d.admitted(x, h, now)
}

// admitted continues with a request that the route admits.
func (d *Dispatcher) admitted(x *Exchange, h Head, now int64) *Verdict {
	route, share := x.route, x.share
	if status, code := route.answer(); code != "" {
		return d.answer(x, status, code)
	}
	x.service, x.traffic, x.leg, x.pages, x.budget = share.Service, share.Traffic, cmp.Or(share.Leg, &standardLeg), share.Pages, budgetOf(share)
	x.findSession(share, h)
	x.idempotent = Idempotent(h.Method())
	x.measuring = route.Hedge != nil && hedges(h.Method())
	x.sampled = x.rand.Uint64()>>11 < d.sample
	if _, ok := x.service.Pool().Policy.(upstream.Hasher); ok {
		x.ask.Hash = hashKey(route.HashOn, x.Client, h)
	}
	x.priority = route.Priority.of(h)
	if a := route.Actions; a != nil && a.Fault != nil {
		return d.inject(x, a.Fault, now)
	}
	return d.enter(x, now)
}

// Settle reports how the current try ended, with a response head or a failure, and returns the next action.
func (d *Dispatcher) Settle(x *Exchange, o Outcome, now int64) Verdict {
	x.status, x.failure = o.Status, o.Failure
	x.headAt = now
	a := &x.attempts[x.n-1]
	a.note(o, now)
	if o.SentAt != 0 {
		x.sentAt = o.SentAt
		x.ticket.Sent(o.SentAt)
	}
	verdict := x.judge(o)
	x.measure(verdict, now)
	x.measureAdmitted(verdict, now)
	fails := x.ticket.Observe(verdict, now)
	if verdict != upstream.Success && verdict != upstream.Abandoned {
		x.notable = true
		d.signal(a.Pool, &x.ticket, o.Failure, fails)
	}
	if o.Failure != None && Blame(o.Failure, false).Charged == Proxy {
		x.notable = true
	}
	if again, v := d.again(x, o, now); again {
		return *v
	}
	return *x.finish()
}

// finish returns the verdict after the last try.
func (x *Exchange) finish() *Verdict {
	if x.failure == None {
		return x.relay() // also after a Pause: the front end still holds the response that a retry would have replaced
	}
	end := Blame(x.failure, false)
	return x.reply(end.Status, end.Code, end.text(x.Instance(), x.failure))
}

// Fail reports that the exchange failed after Relay, while bodies were passed on.
func (x *Exchange) Fail(f Failure) {
	if x.failure == None {
		x.failure = f
	}
}

// End finishes the exchange: accounting, access record and decision record.
func (d *Dispatcher) End(x *Exchange, now int64) *Record {
	if x.ticket.Held() && x.n > 0 && x.status != 0 && x.failure != None && x.attempts[x.n-1].Failure == None {
		d.brokeOff(x, now)
	}
	x.finishTry()
	x.leave()
	x.fill(now)
	x.count()
	if d.cfg.Recorder != nil && x.n > 0 {
		if why := x.why(); why != "" {
			d.cfg.Recorder.Record(&Decision{
				ID: x.ID, Service: x.service.ID, Route: x.route.Name, Revision: x.table.Revision,
				Why: why, At: x.began, DurationNs: now - x.began, Attempts: x.attempts[:x.n],
			})
		}
	}
	return &x.record
}

// brokeOff accounts for an exchange that failed while its response was passed on.
func (d *Dispatcher) brokeOff(x *Exchange, now int64) {
	end := Blame(x.failure, true)
	x.attempts[x.n-1].Failure = x.failure
	if x.code == "" {
		x.code = end.Code
	}
	switch end.Charged {
	case Instance:
		fails := x.ticket.Broken(now)
		x.notable = true
		d.signal(x.attempts[x.n-1].Pool, &x.ticket, x.failure, fails)
	case Proxy:
		x.notable = true
	}
}

func (x *Exchange) reset(now int64) {
	x.table, x.route, x.service, x.pages, x.session = nil, nil, nil, nil, nil
	x.limited, x.limitWait = nil, 0
	x.began, x.headAt, x.sentAt = now, 0, 0
	x.n, x.status, x.code, x.failure = 0, 0, "", None
	x.Sent, x.BytesIn, x.BytesOut, x.Tunnel = 0, 0, 0, false
	x.retrying, x.sampled, x.notable, x.measuring, x.hedged = false, false, false, false, false
	x.inside, x.active, x.admitted = false, false, 0
	x.priority, x.fault, x.delaying, x.delayed = guard.Normal, 0, false, 0
	x.user, x.proven, x.challenge, x.refusal = "", nil, nil, ""
	x.share, x.auth, x.authWait, x.edits = nil, nil, 0, nil
	x.ticket = upstream.Ticket{}
	x.ask.NTried, x.ask.Hash = 0, 0
	x.ask.Tried = [upstream.MaxTries]*upstream.Live{}
}

// then keeps a verdict for its way up the calls. A value on each of their frames would make the stacks of requests grow
// beyond 4 KiB, and growth costs more than a pick. For the same reason, what few requests need is not inlined.
func (x *Exchange) then(v Verdict) *Verdict {
	x.next = v
	return &x.next
}

//go:noinline
func (x *Exchange) reply(status int, code, text string) *Verdict {
	x.status, x.code = status, code
	return x.then(Verdict{Action: Reply, Status: status, Code: code, Text: text})
}

// isLimited asks the rate limits for a token each, and reports whether one refuses the request.
func (x *Exchange) isLimited(limits []*ratelimit.Limit, h Head, now int64) bool {
	if len(limits) == 0 {
		return false
	}
	x.limited, x.limitWait = ratelimit.Take(limits, ratelimit.Request{Head: h, Client: x.Client}, now)
	return x.limited != nil
}

// refuse returns the reply to a request that a rate limit refuses.
func (x *Exchange) refuse() *Verdict {
	return x.reply(http.StatusTooManyRequests, CodeRateLimited, x.limited.Text)
}

// relay returns the verdict that passes the response on.
func (x *Exchange) relay() *Verdict {
	return x.then(Verdict{Action: Relay, Deadline: x.deadline(), StreamTimeout: x.route.StreamTimeout})
}

// deadline returns the time at which the route's timeout ends, 0 if there is none. The timeout begins when the request
// has been sent: the time that the client took to send the body is not charged to the instance.
//
// The route's timeout also begins anew after a wait at the gate of the service, after an injected delay, and after a wait for
// the authentication service. The client's timeout does not.
func (x *Exchange) deadline() int64 {
	begun, until := max(x.began, x.sentAt), int64(0)
	if x.Timeout > 0 {
		until = begun + int64(x.Timeout)
	}
	if x.route != nil && x.route.Timeout > 0 {
		if by := max(begun, x.admitted, x.delayed) + int64(x.route.Timeout); until == 0 || by < until {
			until = by
		}
	}
	return until
}

// timeout returns the shorter one of the route's and the client's timeout, 0 if there is none.
func (x *Exchange) timeout() time.Duration {
	var t time.Duration
	if x.route != nil {
		t = max(x.route.Timeout, 0)
	}
	if x.Timeout > 0 && (t == 0 || x.Timeout < t) {
		t = x.Timeout
	}
	return t
}

// pick picks the next instance and fills its attempt.
func (d *Dispatcher) pick(x *Exchange, now int64) *Verdict {
	x.ask.Now = now
	pool, ok := x.pickPinned()
	if !ok {
		pool, ok = x.pickSession()
	}
	if !ok {
		pool, ok = x.service.Pick(&x.ask, &x.ticket)
	}
	if !ok {
		return x.noInstance(pool)
	}
	a := &x.attempts[x.n]
	x.n++
	*a = Attempt{} // in steps: as a whole, it would be made on the stack
	a.Trace = x.ask.Trace
	a.Pool, a.Chosen, a.At, a.Span = pool, int32(x.ticket.Index()), now, x.Span+uint64(x.n)
	return x.then(Verdict{
		Action: Forward, Live: x.ticket.Live(), Deadline: x.deadline(),
		ConnectTimeout: cmp.Or(x.leg.ConnectTimeout, d.cfg.ConnectTimeout), HeadTimeout: x.route.Retry.PerTryTimeout, Hedge: x.hedgeAfter(), Timeout: x.timeout(), Leg: x.leg, TLS: x.service.TLS(),
	})
}

// pickPinned picks the instance to which the client's connection is bound. It applies to the first try only, and only
// while the instance takes requests.
func (x *Exchange) pickPinned() (*upstream.Pool, bool) {
	if x.Pin == nil || x.n > 0 {
		return nil, false
	}
	return x.service.PickLive(x.Pin, &x.ask, &x.ticket)
}

// finishTry releases the ticket and the retry budget of the current try.
func (x *Exchange) finishTry() {
	if x.ticket.Held() {
		x.ticket.Release()
	}
	if x.retrying {
		x.retrying = false
		x.service.Retry.Add(-1)
	}
}

func (x *Exchange) judge(o Outcome) upstream.Outcome {
	switch {
	case o.Failure == None && o.GRPC != 0 && x.leg.GRPCFailures.Has(o.GRPC):
		return upstream.Failed
	case o.Failure == Timeout && x.waitedTooLong():
		return upstream.Abandoned
	case o.Failure == Timeout:
		return upstream.TimedOut
	case o.Failure != None && Blame(o.Failure, false).Charged == Instance, o.Failure == None && o.Status >= 500:
		return upstream.Failed
	case o.Failure != None:
		return upstream.Abandoned
	case o.Status == 429:
		return upstream.Overloaded
	}
	return upstream.Success
}

// signal tells the keeper about a failure of the instance of a ticket.
func (d *Dispatcher) signal(p *upstream.Pool, t *upstream.Ticket, f Failure, fails uint32) {
	if d.cfg.Signals == nil {
		return
	}
	l := t.Live()
	if f == ConnectRefused || f == ConnectTimeout || f == ConnectFailed || f == Reset || f == EOF {
		d.cfg.Signals.Broken(l)
	}
	if fails > 0 && fails == p.EjectAfter {
		d.cfg.Signals.Failing(l)
	}
}

func (x *Exchange) why() string {
	switch {
	case x.n > 1:
		return "retry"
	case x.notable:
		return "error"
	case x.attempts[0].Pool.Panic && x.sampled:
		return "panic"
	case x.sampled:
		return "sample"
	}
	return ""
}

func (x *Exchange) fill(now int64) {
	r := &x.record
	*r = Record{Status: x.status, Attempts: x.n, DurationNs: now - x.began, Failure: x.failure, Why: x.code, User: x.user, AuthNs: x.authWait}
	if x.admitted > 0 {
		r.QueueNs = x.admitted - max(x.began, x.delayed)
	}
	if x.route != nil {
		r.Route = x.route.Name
	}
	if x.service != nil {
		r.Service = x.service.ID
	}
	if x.hedged {
		r.Hedge = x.hedge.String()
	}
	if x.n > 0 {
		r.Earlier = x.attempts[:x.n-1]
		a := &x.attempts[x.n-1]
		r.Instance, r.HeadNs = a.Pool.Members[a.Chosen].Instance, a.HeadNs
		if r.Why == "" {
			r.Why = a.Trace.Reason
		}
	}
}

// count adds the exchange to the counters of its route and service.
func (x *Exchange) count() {
	if x.traffic == nil {
		return
	}
	if x.admitted > 0 && x.n > 0 {
		x.service.Queued.Observe(x.Shard, x.admitted-max(x.began, x.delayed))
	}
	if x.session != nil && x.service != nil {
		x.service.Sessions[x.sat].Add(1)
	}
	x.traffic.Count(x.Shard, upstream.Ending{
		Status: cmp.Or(x.Sent, x.status), DurationNs: x.record.DurationNs, BytesIn: x.BytesIn, BytesOut: x.BytesOut,
		Failure: uint8(x.failure), Tunnel: x.Tunnel,
	})
}

// Each failure and each reason of a retry has a counter of upstream.Traffic.
var _ [upstream.FailureKinds - NumFailures]struct{}
var _ [upstream.RetryKinds - NumRetryReasons]struct{}
var _ [upstream.HedgeKinds - NumHedgeResults]struct{}

func (r *Route) choose(h Head, random func() uint64) *Share {
	if len(r.Split) == 1 {
		return &r.Split[0]
	}
	if s := r.bound(h); s != nil {
		return s
	}
	n := random() % r.Total // the bias of the modulo is below 2^-40 for any weight in use
	for i := range r.Split {
		if s := &r.Split[i]; n < s.Weight {
			return s
		}
		n -= r.Split[i].Weight
	}
	return &r.Split[len(r.Split)-1]
}

// Idempotent reports whether a request with this method may be sent twice with the same effect as once (RFC 9110
// §9.2.2).
func Idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}
