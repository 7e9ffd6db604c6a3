package proxy

import (
	"context"
	"net/http"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// authorize asks the authentication service of the route about the request, and returns the next verdict. It ends early if the
// client leaves, or the proxy stops.
func (c *conn) authorize(e *exchange, v *dispatch.Verdict) dispatch.Verdict {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.watch.up.Store(nil)
	c.watch.cancel.Store(&cancel)
	c.since.Store(c.now)
	c.watch.arm(never, wakeUpstream)
	answer, result := v.Auth.Ask(ctx, c.authFields(e, v.Auth), v.Wait)
	cause := c.endWait()
	c.watch.cancel.Store(nil)
	c.now = c.p.cfg.Now()
	return c.p.d.Authorized(e.x, &e.req, dispatch.AuthOutcome{Answer: answer, Result: result, Ended: c.leaving(cause)}, c.now)
}

// authFields returns the fields of the question about a request. Fields that only a trusted proxy may set are left out unless
// one has set them, as in the request for the instance.
func (c *conn) authFields(e *exchange, check *forwardauth.Check) http.Header {
	fields := make(http.Header, 12)
	for i := range e.req.Len() {
		name, value, kind := e.req.Field(i)
		if kind == h1.Other || kind == h1.Protected || kind == h1.Forwarded && c.trusted {
			check.Add(fields, name, value)
		}
	}
	proto, host := c.scheme(), e.req.Host()
	if v, ok := e.trustedValue(c, "x-forwarded-proto"); ok {
		proto = string(v)
	}
	if v, ok := e.trustedValue(c, "x-forwarded-host"); ok {
		host = v
	}
	var from []byte
	if c.trusted {
		from = e.appendJoined(nil, h1.ForwardedFor)
	}
	for name, value := range map[string]string{
		"X-Forwarded-Method": string(e.req.Method()), "X-Forwarded-Proto": proto, "X-Forwarded-Host": string(host),
		"X-Forwarded-Uri": string(e.req.AppendTarget(nil)), "X-Forwarded-For": string(c.peer.AppendTo(from)), "X-Request-Id": string(e.id),
	} {
		fields[name] = []string{value}
	}
	if fields["User-Agent"] == nil {
		fields["User-Agent"] = []string{""} // net/http sends its own otherwise
	}
	return fields
}

// answerAuth sends the answer of the authentication service.
func (c *conn) answerAuth(e *exchange, a *forwardauth.Answer, text string) (keep bool) {
	body := a.Body
	if !action.HasLength(a.Status) {
		body = nil
	}
	return c.sendOwn(e, own{status: a.Status, length: len(body), code: dispatch.CodeAuthRefused, text: text, fields: action.Fields(a.Header), keep: c.mayKeep(e)}, body)
}
