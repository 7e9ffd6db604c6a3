package dispatch

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Retry is the route's retry policy. A retry always goes to another instance and stays within the service's retry
// budget.
type Retry struct {
	Attempts      int                // retries: tries after the first
	OnConnect     bool               // connection refused, timed out or failed
	OnReset       bool               // reset or closed before a response head
	OnTimeout     bool               // no head within PerTryTimeout
	OnStatus      upstream.StatusSet // the response has one of these statuses
	OnGRPC        GRPCStatuses       // the response to a call of gRPC has one of these statuses in its head, and no message
	PerTryTimeout time.Duration      // to the response head, 0 none
	Backoff       backoff.Policy     // wait before a retry; Base 0: none
	MaxRetryAfter time.Duration      // longest Retry-After that is honoured; 0: none is
}

// RetryReason says why a request was retried.
type RetryReason uint8

// The reasons.
const (
	RetriedConnect  RetryReason = iota // no connection to the instance
	RetriedReset                       // the connection ended before a response head
	RetriedTimeout                     // no response head in time
	RetriedStatus                      // the status of the response
	RetriedGRPC                        // the gRPC status of the response
	NumRetryReasons = int(iota)
)

func (r RetryReason) String() string {
	return [NumRetryReasons]string{"connect-failure", "reset", "timeout", "status", "grpc-status"}[r]
}

// wants returns why the policy retries a try with this outcome.
func (r *Retry) wants(o Outcome) (_ RetryReason, ok bool) {
	switch {
	case o.Failure == None && o.GRPC != 0:
		return RetriedGRPC, r.OnGRPC.Has(o.GRPC)
	case o.Failure == None:
		return RetriedStatus, r.OnStatus.Has(o.Status)
	case o.Failure.connect(), o.Failure == Exhausted, o.Failure == InstanceFull: // another instance may have a kept connection, or room
		return RetriedConnect, r.OnConnect
	case o.Failure == Reset, o.Failure == EOF:
		return RetriedReset, r.OnReset || (r.OnConnect && !o.Sent)
	case o.Failure == Timeout:
		return RetriedTimeout, r.OnTimeout
	}
	return 0, false
}

// repeatable reports whether the request may be sent again after a try. A request that an instance may have received is
// repeated only if its method allows it. Calls of gRPC always have the method POST: a status in OnGRPC says that they may
// be repeated.
func (x *Exchange) repeatable(o Outcome, why RetryReason) bool {
	return o.Replayable && (!o.Sent || x.idempotent || why == RetriedGRPC)
}

// wait returns how long a retry waits. A response with 429 that asks for more than MaxRetryAfter is not retried: it is meant
// for the client.
func (x *Exchange) wait(r *Retry, o Outcome) (wait time.Duration, ok bool) {
	if r.Backoff.Base > 0 {
		wait = r.Backoff.Delay(x.n-1, float64(x.rand.Uint64()>>11)/(1<<53))
	}
	if o.Status == http.StatusTooManyRequests && r.MaxRetryAfter > 0 {
		if o.RetryAfter > r.MaxRetryAfter {
			return 0, false
		}
		wait = max(wait, o.RetryAfter)
	}
	return wait, true
}

// again decides whether to retry. The verdict picks the instance of the retry, or says how long to wait before.
func (d *Dispatcher) again(x *Exchange, o Outcome, now int64) (bool, *Verdict) {
	r := &x.route.Retry
	d.rest(x, r, o, now)
	if x.n > r.Attempts || x.n >= upstream.MaxTries || x.attempts[x.n-1].Pool.Panic {
		return false, nil
	}
	why, wanted := r.wants(o)
	if !wanted || !x.repeatable(o, why) {
		return false, nil
	}
	wait, ok := x.wait(r, o)
	if dl := x.deadline(); !ok || dl != 0 && now+int64(wait) >= dl {
		return false, nil
	}
	if !x.hasOther() {
		return false, nil
	}
	if !x.budget.Take(&x.service.Active, &x.service.Retry) {
		if x.traffic != nil {
			x.traffic.Denied()
		}
		return false, nil
	}
	x.finishTry() // must run before the new try takes its place in the retry budget
	x.retrying, x.retryWhy = true, why
	if wait > 0 {
		return true, x.then(Verdict{Action: Pause, Wait: wait, Deadline: x.deadline()})
	}
	return d.elsewhere(x, now)
}

// rest notes that the instance asked for no further requests, by a 503 with Retry-After that the policy lists.
func (d *Dispatcher) rest(x *Exchange, r *Retry, o Outcome, now int64) {
	if o.RetryAfter == 0 || o.Status != http.StatusServiceUnavailable || r.MaxRetryAfter == 0 || !r.OnStatus.Has(o.Status) {
		return
	}
	live := x.ticket.Live()
	if live.Rest(now+int64(min(o.RetryAfter, r.MaxRetryAfter)), now) && d.cfg.Signals != nil {
		d.cfg.Signals.Failing(live)
	}
}

// elsewhere picks the instance of a retry.
func (d *Dispatcher) elsewhere(x *Exchange, now int64) (bool, *Verdict) {
	status, failure := x.status, x.failure
	v := d.pick(x, now)
	if v.Action != Forward { // the last other instance left in the meantime
		x.finishTry()
		x.status, x.failure, x.code = status, failure, ""
		return false, nil
	}
	last := &x.attempts[x.n-2]
	last.Retried = true
	if x.retryWhy == RetriedGRPC {
		last.Failure = GRPCStatus
	}
	x.notable = true
	if x.traffic != nil {
		x.traffic.Retried(uint8(x.retryWhy))
	}
	return true, v
}

// Resume continues after a Pause. ended says why the wait ended early, None if it did not.
func (d *Dispatcher) Resume(x *Exchange, ended Failure, now int64) Verdict {
	if x.delaying && ended == None {
		return *d.afterDelay(x, now)
	}
	if ended != None {
		x.finishTry()
		x.failure = ended
		end := Blame(ended, false)
		return *x.reply(end.Status, end.Code, end.text(x.Instance(), ended))
	}
	if again, v := d.elsewhere(x, now); again {
		return *v
	}
	return *x.finish()
}

// hasOther reports whether a live instance remains that was not tried yet.
func (x *Exchange) hasOther() bool {
	p := x.service.Pool()
	for _, i := range p.Live {
		if !x.ask.WasTried(p.Members[i].Live) {
			return true
		}
	}
	return false
}

// ParseRetryAfter returns the time that a Retry-After field asks for, 0 if its value is not valid or in the past. now is
// the time of the day.
func ParseRetryAfter(value []byte, now time.Time) time.Duration {
	value = bytes.Trim(value, " \t")
	if len(value) == 0 || len(value) > len(http.TimeFormat) {
		return 0
	}
	if seconds, err := strconv.ParseUint(string(value), 10, 64); err == nil && value[0] != '+' {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(string(value))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// maxRetryAfter is above every time that a Retry may honour.
const maxRetryAfter = 24 * time.Hour

// budgetOf returns the retry budget of a share.
func budgetOf(s *Share) guard.Budget {
	if s.Budget == nil {
		return guard.DefaultBudget
	}
	return *s.Budget
}
