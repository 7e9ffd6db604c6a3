package proxy

import (
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

// mayKeep reports whether the client's connection can serve another request.
func (c *conn) mayKeep(e *exchange) bool {
	if e.req.Close || c.p.draining.Load() || c.p.cfg.Memory.Pressure() == guard.Exhausted {
		return false
	}
	if e.pumping {
		return e.pump.finishing() // the rest of the body does not block the next request
	}
	return e.body.Done()
}

// answerHere replies without the dispatcher. It closes the connection if the request may have more bytes.
func (c *conn) answerHere(e *exchange, status int, code, text string) (keep bool) {
	c.countOwn(status)
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

// answer sends the reply of the dispatcher's verdict.
func (c *conn) answer(e *exchange, v *dispatch.Verdict) (keep bool) {
	status, code, text := v.Status, v.Code, v.Text
	if e.status != 0 { // the request's body turned out to be bad
		status, code, text = e.status, "bad-request", e.why
	}
	if status == 499 || code == dispatch.CodeStopped { // no client is there to read it
		return false
	}
	switch {
	case e.status != 0:
	case code == dispatch.CodeRedirect:
		return c.answerRedirect(e, e.actions.Redirect)
	case code == dispatch.CodeFixed:
		return c.answerFixed(e, e.actions.Answer)
	case code == dispatch.CodePreflight:
		return c.sendOwn(e, own{status: status, code: code, fields: e.actions.CORS.Preflight, keep: c.mayKeep(e)}, nil)
	case code == dispatch.CodeAuthRefused:
		return c.answerAuth(e, e.x.AuthAnswer(), text)
	case code == dispatch.CodeUnauthorized:
		return c.replyWith(e, own{status: status, code: code, text: text, fields: e.x.Challenge(), keep: c.mayKeep(e)})
	}
	if page := e.x.Page(status); page != nil {
		return c.sendOwn(e, own{status: status, length: len(page.Body), code: code, text: text, fields: page.Headers, keep: c.mayKeep(e)}, page.Body)
	}
	return c.reply(e, status, code, text, c.mayKeep(e))
}

// reply sends a short text of the proxy.
func (c *conn) reply(e *exchange, status int, code, text string, keep bool) bool {
	return c.replyWith(e, own{status: status, code: code, text: text, keep: keep})
}

// replyWith is reply with further fields.
func (c *conn) replyWith(e *exchange, r own) bool {
	body := e.line[:0]
	body = append(body, "smartlb: "...)
	body = appendInt(body, int64(r.status))
	body = append(body, ' ')
	body = append(body, r.code...)
	body = append(body, ": "...)
	body = append(body, r.text...)
	body = append(body, "\nrequest "...)
	body = append(body, e.id...)
	body = append(body, '\n')
	e.line, r.length = body, len(body)
	return c.sendOwn(e, r, body)
}

// ownPiece limits what is copied of the body of a reply: bodies of routes may have 1 MiB, and many clients may read slowly.
const ownPiece = 16 << 10

// sendOwn sends a reply of the proxy. It reports whether the connection stays open.
func (c *conn) sendOwn(e *exchange, r own, body []byte) bool {
	c.front.own(c, e, r)
	if e.req.IsHead() || e.grpc && c.stream != nil {
		body = nil
	}
	piece, rest := cutPiece(body)
	c.front.first(e, piece, len(rest) == 0)
	e.sent = int64(len(piece))
	c.startTaking(e)
	c.watch.arm(c.takeBy(e, len(e.out), 0), wakeClient)
	err := c.front.flush(c, e, len(rest) == 0)
	c.taken(e, len(e.out))
	for err == nil && len(rest) > 0 {
		piece, rest = cutPiece(rest)
		c.now = c.p.cfg.Now()
		c.watch.push(c.takeBy(e, len(piece), 0))
		if err = c.front.plain(c, piece, len(rest) == 0); err == nil {
			c.taken(e, len(piece))
			e.sent += int64(len(piece))
		}
	}
	return c.watch.disarm() == 0 && err == nil && r.keep
}

func cutPiece(body []byte) (piece, rest []byte) {
	n := min(len(body), ownPiece)
	return body[:n], body[n:]
}
