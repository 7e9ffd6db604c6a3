package proxy

import (
	"strconv"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// h2Front frames the response of a stream. The head in exchange.out is a header block; exchange.block is its length.
type h2Front struct{}

var _ front = h2Front{}

func (h2Front) head(c *conn, e *exchange, keep bool) bool {
	res := &e.res
	out := c.appendFieldEdits(appendFields(h2.AppendStatus(e.out[:0], res.Status), c, res), e)
	out = c.appendSessionFields(out, e)
	if res.Body == h1.ByLength || res.Body == h1.NoBody && res.Length >= 0 && res.Status != 204 {
		out = appendNumber(out, "content-length", int(res.Length))
	}
	out = e.press.appendFields(out)
	if !res.HasDate() { // RFC 9110 §6.6.1
		c.setDate(e)
		out = h2.AppendField(out, "date", e.date)
	}
	e.endBlock(c, out)
	return keep
}

// appendFields appends the fields of a response that cross a proxy.
func appendFields(out []byte, c *conn, res *h1.Response) []byte {
	for i := range res.Len() {
		if name, value, ok := res.Crosses(i, c.responseDrop()); ok {
			out = h2.AppendField(out, name, value)
		}
	}
	return out
}

func appendNumber(out []byte, name string, n int) []byte {
	var digits [20]byte
	return h2.AppendField(out, name, strconv.AppendInt(digits[:0], int64(n), 10))
}

// endBlock appends the fields that every reply gets, and ends the header block.
func (e *exchange) endBlock(c *conn, out []byte) {
	out = h2.AppendField(out, "x-request-id", e.id)
	if v := c.hsts(); v != "" {
		out = h2.AppendField(out, "strict-transport-security", v)
	}
	if e.x.Explain {
		out = h2.AppendField(out, "x-smartlb-decision", e.x.AppendExplain(nil))
	}
	e.out, e.block = out, len(out)
}

func (h2Front) switched(c *conn, e *exchange) int {
	out := h2.AppendStatus(e.out[:0], 200)
	for i := range e.res.Len() {
		if name, value, ok := e.res.Crosses(i, c.responseDrop()); ok && !h1.EqualFold(name, "sec-websocket-accept") {
			out = h2.AppendField(out, name, value)
		}
	}
	e.endBlock(c, c.appendSessionFields(c.appendFieldEdits(out, e), e))
	return 200
}

func (h2Front) own(c *conn, e *exchange, r own) {
	c.setDate(e)
	if e.grpc {
		e.ownGRPC(c, r)
		return
	}
	out := h2.AppendStatus(e.out[:0], r.status)
	out = h2.AppendField(out, "date", e.date)
	switch {
	case r.location != nil:
		out = h2.AppendField(out, "location", r.location)
	case r.length > 0 && r.writes(e, "content-type"):
		out = h2.AppendField(out, "content-type", ownType)
	}
	if action.HasLength(r.status) {
		out = appendNumber(out, "content-length", r.length)
	}
	if r.status == 503 && r.writes(e, "retry-after") {
		out = h2.AppendField(out, "retry-after", "1")
	}
	if r.code == dispatch.CodeRateLimited {
		out = appendLimitFields(out, e, &r)
	}
	out = c.appendFieldEdits(c.appendFieldsOf(out, e, r.fields, e.edits()), e)
	e.endBlock(c, out)
}

func (h2Front) first(e *exchange, data []byte, _ bool) { e.out = append(e.out, data...) }

func (h2Front) flush(c *conn, e *exchange, last bool) error {
	return c.sendEnd(e, e.out[:e.block], e.out[e.block:], last)
}

func (h2Front) more(c *conn, e *exchange, space []byte, n int, last bool) error {
	return c.sendEnd(e, nil, space[bodyRoom:bodyRoom+n], last)
}

func (h2Front) plain(c *conn, data []byte, last bool) error {
	_, err := c.stream.Write(nil, data, last)
	return err
}

// sendEnd sends a header block (nil: none), body bytes, and, if they are the last ones, the trailers.
func (c *conn) sendEnd(e *exchange, block, data []byte, last bool) error {
	if !last || len(e.trailers) == 0 {
		_, err := c.stream.Write(block, data, last)
		return err
	}
	e.line = h2.AppendFields(e.line[:0], e.trailers, false)
	_, err := c.stream.WriteAll(block, data, e.line)
	return err
}

func (h2Front) interim(c *conn, e *exchange) error {
	e.out = appendFields(h2.AppendStatus(e.out[:0], e.res.Status), c, &e.res)
	_, err := c.stream.Write(e.out, nil, false)
	return err
}

func (h2Front) proceed(c *conn) error {
	var block [8]byte
	_, err := c.stream.Write(h2.AppendStatus(block[:0], 100), nil, false)
	return err
}

func (h2Front) protocol(*exchange) string { return "HTTP/2.0" }

// streamLink carries the bytes of a request's body.
type streamLink struct{ s *h2.Stream }

var _ link = streamLink{}

func (l streamLink) read(p []byte) (int, error) { return l.s.Read(p) }

func (l streamLink) fill(to *lease) (int, error) {
	if err := l.s.Await(); err != nil {
		return 0, err
	}
	n, err := l.s.Read(to.room())
	to.end += n
	to.dropEmpty()
	return n, err
}

func (l streamLink) write(p []byte) (int, error) { return l.s.Write(nil, p, false) }

func (l streamLink) waiting() bool {
	n, _ := l.s.Buffered()
	return n > 0
}

func (l streamLink) closeWrite() error {
	_, err := l.s.Write(nil, nil, true)
	return err
}

func (l streamLink) close()               { l.s.Close() }
func (l streamLink) interrupt(write bool) { l.s.Interrupt(write) }

func (l streamLink) resume(write bool) error {
	l.s.Resume(write)
	return nil
}

func (l streamLink) state() peerState {
	if l.s.Gone() {
		return peerGone
	}
	return peerThere
}
