package dispatch

import (
	"cmp"
	"net/netip"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
)

// answerText has the sentences of answers without an instance.
var answerText = map[string]string{
	CodeDenied:       "the route does not admit this address",
	CodeUnauthorized: "the route needs a name and a password",
	CodeFault:        "the route injects faults for tests",
	CodeLoginBusy:    "too many passwords are being checked: retry in a few seconds",
}

// answer answers a request without an instance.
func (d *Dispatcher) answer(x *Exchange, status int, code string) *Verdict {
	x.traffic = cmp.Or(x.route.Traffic, d.unrouted)
	return x.reply(status, code, cmp.Or(x.refusal, answerText[code]))
}

// admit returns the code of the answer to a preflight, and to a client that may not use the route; "" for others.
func (r *Route) admit(client netip.Addr, h Head) (status int, code string) {
	switch a := r.Actions; {
	case a == nil:
	case a.CORS.IsPreflight(h.Method(), h.Header): // browsers send preflights without passwords
		return 204, CodePreflight
	case !a.Networks.Admits(client):
		return 403, CodeDenied
	}
	return 0, ""
}

// check returns the code of the answer to a request without the right password or token, "" if it has it. A password may
// block, see [action.Basic.Check].
func (r *Route) check(x *Exchange, h Head, now int64) (status int, code string) {
	a := r.Actions
	if a == nil {
		return 0, ""
	}
	if a.Basic != nil {
		v, _ := h.Header("authorization")
		user, login := a.Basic.Check(v, now)
		switch login {
		case action.LoginBusy:
			return 503, CodeLoginBusy
		case action.LoginRefused:
			x.challenge = a.Basic.Challenge
			return 401, CodeUnauthorized
		}
		x.user = user
	}
	if a.JWT != nil {
		id, reason := a.JWT.Verifier.Check(h)
		if reason != jwt.Good {
			x.challenge, x.refusal = a.JWT.Refusal(reason)
			return 401, CodeUnauthorized
		}
		x.user, x.proven = id.Subject, id.Claims
	}
	return 0, ""
}

// answer returns the code of the answer if the route answers the request, "" if an instance does.
func (r *Route) answer() (status int, code string) {
	switch a := r.Actions; {
	case a == nil:
	case a.Redirect != nil:
		return a.Redirect.Status, CodeRedirect
	case a.Answer != nil:
		return a.Answer.Status, CodeFixed
	}
	return 0, ""
}
