package dispatch

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
)

// authTexts are the sentences about an authentication service that gives no valid answer.
var authTexts = [forwardauth.NumResults]string{
	forwardauth.Failed: "the authentication service of the route gives no valid answer", forwardauth.TimedOut: "the authentication service of the route did not answer in time",
	forwardauth.Left: "the time of the client ended before the authentication service of the route answered",
	forwardauth.Busy: "too many requests wait for the authentication service of the route",
}

// authorize asks the authentication service, within the time of the client.
//
//go:noinline
func (x *Exchange) authorize(c *forwardauth.Check) *Verdict {
	wait := c.Timeout
	if x.Timeout > 0 {
		wait = min(wait, x.Timeout)
	}
	return x.then(Verdict{Action: Authorize, Auth: c, Wait: wait})
}

// AuthOutcome is how a question to an authentication service ended.
type AuthOutcome struct {
	Answer *forwardauth.Answer // nil: none that a client could get
	Result forwardauth.Result
	Ended  Failure // why the wait ended early, None if it did not
}

// Authorized continues with what the authentication service answered.
func (d *Dispatcher) Authorized(x *Exchange, h Head, o AuthOutcome, now int64) Verdict {
	x.authWait, x.delayed = now-x.began, now
	x.traffic = cmp.Or(x.route.Traffic, d.unrouted)
	switch {
	case o.Ended != None:
		x.failure = o.Ended
		end := Blame(o.Ended, false)
		return *x.reply(end.Status, end.Code, end.sentence)
	case x.Timeout > 0 && x.authWait >= int64(x.Timeout): // no time is left, and no instance is to blame
		return *x.reply(http.StatusGatewayTimeout, CodeAuthUnavailable, authTexts[forwardauth.Left])
	case o.Result == forwardauth.Admitted:
		x.proven = slices.Concat(x.proven, o.Answer.Values)
		if o.Answer.Header != nil {
			x.edits = x.route.Actions.Response.With(action.Fields(o.Answer.Header))
		}
		return *d.admitted(x, h, now)
	case o.Result != forwardauth.Refused && x.route.Actions.ForwardAuth.Open:
		return *d.admitted(x, h, now)
	case o.Answer != nil:
		x.auth = o.Answer
		return *x.reply(x.auth.Status, CodeAuthRefused, fmt.Sprintf("the authentication service of the route answered with status %d", x.auth.Status))
	}
	return *x.reply(http.StatusServiceUnavailable, CodeAuthUnavailable, authTexts[o.Result])
}
