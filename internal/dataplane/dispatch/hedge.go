package dispatch

import (
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Hedge says when a request is sent to a second instance while the first one has not answered. The first response that is
// no failure wins; the other try is cancelled.
type Hedge struct {
	After time.Duration // wait for the first response head; 0: the time within which 95 % of the requests of the service get it
}

// HedgeResult says what became of a hedge.
type HedgeResult uint8

// The results.
const (
	HedgeLost       HedgeResult = iota // the first try was used
	HedgeWon                           // the hedge was used
	NumHedgeResults = int(iota)
)

func (r HedgeResult) String() string { return [NumHedgeResults]string{"lost", "won"}[r] }

// hedges reports whether requests with a method may be sent to two instances at the same time.
func hedges(method []byte) bool {
	switch string(method) {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// hedgeAfter returns when the first try should be hedged, 0 if it should not.
func (x *Exchange) hedgeAfter() time.Duration {
	if x.n != 1 || !x.measuring {
		return 0
	}
	if after := x.route.Hedge.After; after > 0 {
		return after
	}
	return time.Duration(x.service.Slow.Load())
}

// measure tells the service how long the first try of a request took so far. Failures other than timeouts are no latency.
func (x *Exchange) measure(o upstream.Outcome, now int64) {
	if x.measuring && x.route.Hedge.After == 0 && (o == upstream.Success || o == upstream.TimedOut) {
		x.service.Slow.Observe(now - x.attempts[0].At)
	}
	x.measuring = false
}

// Hedge picks the instance of a second try, because the first one has not answered for Verdict.Hedge. It returns false if
// there is no other instance, the service limits its requests in flight, or the retry budget does not allow it. If it returns true, Drop must follow before Settle.
func (d *Dispatcher) Hedge(x *Exchange, now int64) (Verdict, bool) {
	x.measure(upstream.TimedOut, now)
	if x.inside || x.n >= upstream.MaxTries || x.attempts[x.n-1].Pool.Panic || !x.hasOther() {
		return Verdict{}, false
	}
	if !x.budget.Take(&x.service.Active, &x.service.Retry) {
		if x.traffic != nil {
			x.traffic.Denied()
		}
		return Verdict{}, false
	}
	x.first = x.ticket
	v := d.pick(x, now)
	if v.Action != Forward {
		x.service.Retry.Add(-1)
		x.ticket, x.first = x.first, upstream.Ticket{}
		x.status, x.code = 0, ""
		return Verdict{}, false
	}
	x.attempts[x.n-1].Hedge = true
	x.notable = true
	return *v, true
}

// Decides reports whether the outcome of one of two tries decides: it is a response, and no failure.
func (x *Exchange) Decides(o Outcome) bool {
	_, retried := x.route.Retry.wants(o)
	return o.Failure == None && x.judge(o) != upstream.Failed && !retried
}

// Drop ends one of the two tries after Hedge: the hedge, or the first one. o is its outcome, with the failure Cancelled if it
// has none. The other try is the current one from then on.
func (d *Dispatcher) Drop(x *Exchange, hedge bool, o Outcome, now int64) {
	dropped, a, result := &x.first, &x.attempts[x.n-2], HedgeWon
	if hedge {
		dropped, a, result = &x.ticket, &x.attempts[x.n-1], HedgeLost
	}
	a.note(o, now)
	outcome := x.judge(o)
	if o.Failure == Cancelled && !hedge {
		outcome = upstream.Overtaken // it had the time of the hedge and more; the hedge may have had none
	}
	fails := dropped.Observe(outcome, now)
	if outcome == upstream.Failed || outcome == upstream.TimedOut {
		d.signal(a.Pool, dropped, o.Failure, fails)
	}
	dropped.Release()
	if hedge {
		x.ticket = x.first
		x.attempts[x.n-2], x.attempts[x.n-1] = x.attempts[x.n-1], x.attempts[x.n-2]
		x.service.Retry.Add(-1)
	} else {
		x.retrying = true // the place of the hedge in the retry budget
	}
	x.first = upstream.Ticket{}
	x.hedged = true
	x.hedge = result
	if x.traffic != nil {
		x.traffic.Hedged(uint8(result))
	}
}
