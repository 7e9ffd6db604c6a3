package proxy

import (
	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// badRewrite refuses a request whose path the rewrite of its route turns into no valid path, such as one above the root.
var badRewrite = &h1.Error{Status: 400, Class: h1.ClassTarget, Reason: "the route makes no valid path of this path"}

// appendHead appends the head of the request for the instance, as the route edits it, without the fields that the proxy
// adds. It returns false if the route makes no valid path.
func (c *conn) appendHead(e *exchange, drop h1.Kinds) ([]byte, bool) {
	if e.trace.on {
		e.req.Remove(traceFields, true)
	}
	a := e.actions
	if a == nil || a.Request == nil && a.Rewrite == nil {
		return e.req.AppendHead(e.out[:0], drop), true
	}
	e.req.Remove(a.Request.Dropped(), true)
	host, path := "", []byte(nil)
	if r := a.Rewrite; r != nil {
		host = r.Host
		if r.Path != nil {
			var ok bool
			if e.value, ok = r.Path.Append(e.value[:0], e.req.Path(), e.req.ForwardPath()); !ok {
				return nil, false
			}
			path = e.value
		}
	}
	out := e.req.AppendRewritten(e.out[:0], path, host, drop)
	return c.appendLines(out, e, a.Request, nil), true
}

// edits returns the edits of the response, nil if there are none.
func (e *exchange) edits() *action.Headers {
	if e.actions == nil {
		return nil
	}
	return e.x.Edits()
}

// variables returns the values of the variables. They are valid until the next try.
func (c *conn) variables(e *exchange) *action.Values {
	e.values = action.Values{
		Client: e.client, RequestID: e.id, SNI: c.sni, Subject: c.cert.subject,
		Route: e.x.Route(), Service: e.x.Service(), Instance: e.x.Instance(), User: e.x.User(), Proven: e.x.Proven(),
	}
	if e.actions != nil && e.actions.CORS != nil {
		if origin, ok := e.req.Header("origin"); ok && e.actions.CORS.Allows(origin) {
			e.values.Origin = origin
		}
	}
	return &e.values
}

// overruled reports whether a field with that name, in lower case, is not sent because later edits remove it, or the
// listener writes it.
func (c *conn) overruled(lower string, by *action.Headers) bool {
	return by.Drops(lower) || lower == "strict-transport-security" && c.hsts() != ""
}

// appendEdits appends the fields that the route adds to a response, as lines of HTTP/1.1.
func (c *conn) appendEdits(out []byte, e *exchange) []byte {
	return c.appendLines(out, e, e.edits(), nil)
}

// appendLines appends the fields of h, except those that the edits in by remove.
func (c *conn) appendLines(out []byte, e *exchange, h, by *action.Headers) []byte {
	if h.Len() == 0 {
		return out
	}
	v := c.variables(e)
	for i := range h.Len() {
		if _, lower := h.Name(i); !c.overruled(lower, by) {
			out = h.AppendLine(i, out, v)
		}
	}
	return out
}

// appendFieldEdits is appendEdits for HTTP/2.
func (c *conn) appendFieldEdits(out []byte, e *exchange) []byte {
	return c.appendFieldsOf(out, e, e.edits(), nil)
}

// appendFieldsOf is appendLines for HTTP/2.
func (c *conn) appendFieldsOf(out []byte, e *exchange, h, by *action.Headers) []byte {
	if h.Len() == 0 {
		return out
	}
	v := c.variables(e)
	for i := range h.Len() {
		_, lower := h.Name(i)
		if c.overruled(lower, by) {
			continue
		}
		if e.value = h.AppendValue(i, e.value[:0], v); len(e.value) > 0 {
			out = h2.AppendField(out, lower, e.value)
		}
	}
	return out
}

// answerRedirect answers with the redirect of the route.
func (c *conn) answerRedirect(e *exchange, r *action.Redirect) (keep bool) {
	if e.noHost && r.Host == "" {
		return c.answerBad(e, hostUnknown)
	}
	t := action.Target{Scheme: c.clientScheme(e), Host: e.req.Host(), Routed: e.req.Path(), Forward: e.req.ForwardPath(), Query: e.req.Query()}
	var ok bool
	if e.line, ok = r.AppendLocation(e.line[:0], t); !ok {
		return c.answerBad(e, badRewrite)
	}
	reply := own{status: r.Status, code: "redirect", keep: c.mayKeep(e), location: e.line}
	if e.grpc {
		reply.text = string(e.line)
	}
	return c.sendOwn(e, reply, nil)
}

// answerBad refuses a request after it was dispatched.
func (c *conn) answerBad(e *exchange, bad *h1.Error) (keep bool) {
	c.p.count.parse[bad.Class].Add(1)
	e.status, e.why = bad.Status, bad.Reason
	return c.reply(e, bad.Status, "bad-request", bad.Reason, c.mayKeep(e))
}

// answerFixed answers with the fixed response of the route.
func (c *conn) answerFixed(e *exchange, r *action.Response) (keep bool) {
	return c.sendOwn(e, own{status: r.Status, length: len(r.Body), code: "fixed-response", text: "the route answers with this status", fields: r.Headers, keep: c.mayKeep(e)}, r.Body)
}
