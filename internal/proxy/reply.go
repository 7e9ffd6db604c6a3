package proxy

import (
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/dispatch"
	"github.com/smartlb/smartlb/internal/h1"
)

// mayKeep reports whether the client's connection can serve another request.
func (c *conn) mayKeep(e *exchange) bool {
	if e.req.Close || c.p.draining.Load() {
		return false
	}
	if e.pumping {
		return e.pump.finishing() // the rest of the body is in nobody's way
	}
	return e.body.Done()
}

// appendOurs writes the fields that every reply gets and ends its head.
func (c *conn) appendOurs(out []byte, e *exchange, keep bool) []byte {
	out = append(out, "X-Request-Id: "...)
	out = append(out, e.id...)
	out = append(out, "\r\n"...)
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

// answer replies for the dispatcher.
func (c *conn) answer(e *exchange, v dispatch.Verdict) (keep bool) {
	status, code, text := v.Status, v.Code, v.Text
	if e.status != 0 { // the request's body turned out bad
		status, code, text = e.status, "bad-request", e.why
	}
	if status == 499 || code == dispatch.CodeStopped { // nobody is there to read it
		return false
	}
	return c.reply(e, status, code, text, c.mayKeep(e))
}

// reply sends a short text of our own.
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
	out = append(out, "Date: "...)
	out = time.Unix(0, c.now+c.p.wall.Load()).UTC().AppendFormat(out, http.TimeFormat)
	out = append(out, "\r\nContent-Type: text/plain; charset=utf-8\r\n"...)
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
	_, err := c.wire.write(out)
	return c.watch.disarm() == 0 && err == nil && keep
}
