package proxy

import (
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// mayKeep reports whether the client's connection can serve another request.
func (c *conn) mayKeep(e *exchange) bool {
	if e.req.Close || c.p.draining.Load() {
		return false
	}
	if e.pumping {
		return e.pump.finishing() // the rest of the body does not block the next request
	}
	return e.body.Done()
}

// appendOurs appends the fields that every reply gets, and ends the head.
func (c *conn) appendOurs(out []byte, e *exchange, keep bool) []byte {
	out = append(out, "X-Request-Id: "...)
	out = append(out, e.id...)
	out = append(out, "\r\n"...)
	out = c.appendHSTS(out)
	if e.x.Explain {
		out = append(out, "X-Smartlb-Decision: "...)
		out = e.x.AppendExplain(out)
		out = append(out, "\r\n"...)
	}
	switch {
	case !keep:
		out = append(out, "Connection: close\r\n"...)
	case e.req.KeepAlive:
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	return append(out, "\r\n"...)
}

// answerHere replies without the dispatcher. It closes the connection if the request may have more bytes.
func (c *conn) answerHere(e *exchange, status int, code, text string) (keep bool) {
	keep = c.reply(e, status, code, text, c.mayKeep(e))
	c.logLine(e, nil, status, code)
	if !keep && c.mayHaveUnread(e) {
		c.linger()
	}
	return keep
}

// answerLast replies to OPTIONS and TRACE that must not be forwarded (RFC 9110 §7.6.2). A reply to TRACE would show the
// client the fields that proxies before this proxy added.
func (c *conn) answerLast(e *exchange) (keep bool) {
	if string(e.req.Method()) == "OPTIONS" {
		return c.answerHere(e, 200, "max-forwards", "Max-Forwards is 0: the request was not forwarded")
	}
	return c.answerHere(e, 501, "max-forwards", "Max-Forwards is 0 and TRACE is not answered here")
}

// appendDate appends a Date field with the current time. It caches the formatted second.
func (c *conn) appendDate(out []byte, e *exchange) []byte {
	second := (c.now + c.p.wall.Load()) / 1e9
	if second != e.dateOf || len(e.date) == 0 {
		e.dateOf = second
		e.date = time.Unix(second, 0).UTC().AppendFormat(e.date[:0], http.TimeFormat)
	}
	out = append(out, "Date: "...)
	out = append(out, e.date...)
	return append(out, "\r\n"...)
}

// answer sends the reply of the dispatcher's verdict.
func (c *conn) answer(e *exchange, v dispatch.Verdict) (keep bool) {
	status, code, text := v.Status, v.Code, v.Text
	if e.status != 0 { // the request's body turned out to be bad
		status, code, text = e.status, "bad-request", e.why
	}
	if status == 499 || code == dispatch.CodeStopped { // no client is there to read it
		return false
	}
	return c.reply(e, status, code, text, c.mayKeep(e))
}

// reply sends a short text of the proxy.
func (c *conn) reply(e *exchange, status int, code, text string, keep bool) bool {
	body := e.line[:0]
	body = append(body, "smartlb: "...)
	body = appendInt(body, int64(status))
	body = append(body, ' ')
	body = append(body, code...)
	body = append(body, ": "...)
	body = append(body, text...)
	body = append(body, "\nrequest "...)
	body = append(body, e.id...)
	body = append(body, '\n')
	e.line = body
	out := h1.AppendStatusLine(e.out[:0], status, []byte(http.StatusText(status)))
	out = c.appendDate(out, e)
	out = append(out, "Content-Type: text/plain; charset=utf-8\r\n"...)
	out = h1.AppendLength(out, int64(len(body)))
	if status == http.StatusServiceUnavailable {
		out = append(out, "Retry-After: 1\r\n"...)
	}
	out = c.appendOurs(out, e, keep)
	if !e.req.IsHead() {
		out = append(out, body...)
		e.sent = int64(len(body))
	}
	e.out = out
	c.watch.arm(c.now+int64(c.p.cfg.BodyTimeout), wakeClient)
	_, err := c.link.write(out)
	return c.watch.disarm() == 0 && err == nil && keep
}
