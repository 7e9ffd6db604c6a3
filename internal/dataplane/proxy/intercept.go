package proxy

import (
	"net/http"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// passed are the fields of an instance's response that a client needs beside a page: a 401 has no meaning without
// WWW-Authenticate (RFC 9110 §11.6.1), a 405 none without Allow (RFC 9110 §15.5.6).
var passed = [...]string{"allow", "retry-after", "www-authenticate"}

// pageFor returns the page of the service that the client gets instead of the response in e.res, nil if it gets the response.
func (e *exchange) pageFor() *action.Response {
	if e.res.Status < 400 || e.grpc {
		return nil
	}
	page := e.x.Page(e.res.Status)
	if page == nil || !page.Intercept || e.req.BindsConnection() || e.res.BindsConnection() { // a login of the connection goes on with this response
		return nil
	}
	return page
}

// intercept sends a page instead of the response in e.res, with its status. It owns u from here on.
func (c *conn) intercept(e *exchange, u *upstreamConn, page *action.Response) (keep bool) {
	status, fields := e.res.Status, page.Headers
	kept := http.Header{}
	for i := range e.res.Len() {
		name, value, _ := e.res.Field(i)
		for _, lower := range passed {
			if h1.EqualFold(name, lower) {
				kept.Add(lower, string(value))
			}
		}
	}
	if len(kept) > 0 {
		fields = fields.With(action.Fields(kept))
	}
	c.dropResponse(e, u)
	return c.sendOwn(e, own{status: status, length: len(page.Body), fields: fields, keep: c.mayKeep(e)}, page.Body)
}

// dropResponse frees the connection of a response that the client does not get. It keeps the connection if the whole response
// has arrived with its head, as short ones do, and closes it otherwise.
func (c *conn) dropResponse(e *exchange, u *upstreamConn) {
	var body h1.Body
	body.Start(e.res.Body, e.res.Length)
	if e.tolerant {
		body.Tolerate()
	}
	_, used, bad := body.Take(e.up.bytes())
	if e.pumping || u.stream != nil || bad != nil || !body.Done() || used < e.up.len() {
		c.discard(e, u)
		return
	}
	e.up.release()
	c.keepUpstream(e, u)
}
