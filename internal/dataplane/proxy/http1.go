package proxy

import (
	"net/http"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// h1Front is HTTP/1.1 and HTTP/1.0.
type h1Front struct{}

var _ front = h1Front{}

func (h1Front) head(c *conn, e *exchange, keep bool) bool {
	res := &e.res
	endless := res.Body == h1.ByChunks || res.Body == h1.UntilClose
	e.chunked = endless && e.req.Minor == 1
	if endless && !e.chunked {
		keep = false // the end of the connection is the end of the body
	}
	out := c.appendSession(c.appendEdits(res.AppendHead(e.out[:0], c.responseDrop()), e), e)
	switch {
	case e.chunked:
		out = h1.AppendChunkedField(out)
	case res.Body == h1.ByLength, res.Body == h1.NoBody && res.Length >= 0 && res.Status != 204:
		out = h1.AppendLength(out, res.Length)
	}
	out = e.press.appendLines(out)
	if !res.HasDate() { // RFC 9110 §6.6.1
		out = appendDate(out, c, e)
	}
	e.out = appendOurs(out, c, e, keep)
	return keep
}

func (h1Front) switched(c *conn, e *exchange) int {
	res := &e.res
	reason := res.Reason()
	if res.Status != 101 {
		reason = []byte(http.StatusText(http.StatusSwitchingProtocols))
	}
	out := h1.AppendStatusLine(e.out[:0], 101, reason)
	for i := range res.Len() {
		if name, value, ok := res.Crosses(i, c.responseDrop()); ok && !h1.EqualFold(name, "sec-websocket-accept") {
			out = append(append(out, name...), ": "...)
			out = append(append(out, value...), "\r\n"...)
		}
	}
	out = h1.AppendUpgrade(c.appendSession(c.appendEdits(out, e), e), e.req.Upgrade())
	if e.req.WebSocket { // acceptsUpgrade compared the value of an instance of HTTP/1.1; one of HTTP/2 gives none
		out = append(out, "Sec-WebSocket-Accept: "...)
		out = append(out, e.webSocketAccept()...)
		out = append(out, "\r\n"...)
	}
	out = append(out, "X-Request-Id: "...)
	out = append(out, e.id...)
	out = append(out, "\r\n"...)
	e.out = h1.AppendEnd(c.appendHSTS(out))
	return 101
}

func (h1Front) own(c *conn, e *exchange, r own) {
	e.chunked = false
	out := h1.AppendStatusLine(e.out[:0], r.status, []byte(http.StatusText(r.status)))
	out = appendDate(out, c, e)
	switch {
	case r.location != nil:
		out = append(append(append(out, "Location: "...), r.location...), "\r\n"...)
	case r.length > 0 && r.writes(e, "content-type"):
		out = append(out, "Content-Type: "+ownType+"\r\n"...)
	}
	if action.HasLength(r.status) {
		out = h1.AppendLength(out, int64(r.length))
	}
	if r.status == http.StatusServiceUnavailable && r.writes(e, "retry-after") {
		out = append(out, "Retry-After: 1\r\n"...)
	}
	if r.code == dispatch.CodeRateLimited {
		out = appendLimitLines(out, e, &r)
	}
	out = c.appendEdits(c.appendLines(out, e, r.fields, e.edits()), e)
	e.out = appendOurs(out, c, e, r.keep)
}

func (h1Front) first(e *exchange, data []byte, last bool) {
	if !e.chunked {
		e.out = append(e.out, data...)
		return
	}
	e.out = h1.AppendChunk(e.out, data)
	if last {
		e.out = e.appendLastChunk(e.out)
	}
}

func (h1Front) flush(c *conn, e *exchange, _ bool) error {
	_, err := c.link.write(e.out)
	return err
}

func (h1Front) more(c *conn, e *exchange, space []byte, n int, last bool) error {
	data := space[bodyRoom : bodyRoom+n]
	trailers := last && e.chunked && len(e.trailers) > 0
	if e.chunked {
		data = frameChunk(space, n, last && !trailers)
	}
	if len(data) > 0 {
		if _, err := c.link.write(data); err != nil {
			return err
		}
	}
	if trailers {
		e.out = e.appendLastChunk(e.out[:0])
		_, err := c.link.write(e.out)
		return err
	}
	return nil
}

func (h1Front) plain(c *conn, data []byte, _ bool) error {
	_, err := c.link.write(data)
	return err
}

// appendLastChunk ends a chunked body, with the trailers if the client accepts them.
func (e *exchange) appendLastChunk(out []byte) []byte {
	if len(e.trailers) == 0 || !e.wantsTrailers() {
		return append(out, h1.LastChunk...)
	}
	return h1.AppendLastChunk(out, e.trailers)
}

func (h1Front) interim(c *conn, e *exchange) error {
	e.out = h1.AppendEnd(e.res.AppendHead(e.out[:0], c.responseDrop()))
	_, err := c.link.write(e.out)
	return err
}

func (h1Front) proceed(c *conn) error {
	_, err := c.link.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

func (h1Front) protocol(e *exchange) string {
	if e.req.Minor == 0 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// appendOurs appends the fields that every reply gets, and ends the head.
func appendOurs(out []byte, c *conn, e *exchange, keep bool) []byte {
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

func appendDate(out []byte, c *conn, e *exchange) []byte {
	c.setDate(e)
	out = append(out, "Date: "...)
	out = append(out, e.date...)
	return append(out, "\r\n"...)
}
