package proxy

import (
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/h2"
)

// readTrailerField notes which trailers of the request may pass to an instance.
func (e *exchange) readTrailerField() {
	if e.req.AnnouncesTrailers() {
		e.trailerUp = e.req.AppendTrailerField(e.trailerUp, &e.set.limits)
	}
}

// takeTrailersUp takes the trailers of a request whose body has ended.
func (c *conn) takeTrailersUp(e *exchange) {
	if len(e.trailerUp) == 0 {
		return
	}
	raw := e.body.Trailers()
	if c.stream != nil {
		raw = c.stream.Trailers()
	}
	e.trailersUp = e.req.AppendTrailers(nil, raw, &e.set.limits)
}

// announces reports whether the instance gets the Trailer field: trailers can follow a body of HTTP/2, and one in chunks.
func (e *exchange) announces() bool {
	return len(e.trailerUp) > 0 && (e.leg.HTTP2 || e.chunkedUp())
}

// streamWhole reads the body of a request of HTTP/2 into the buffer if it has arrived whole and fits. Trailers may follow
// such a body, so its length does not say where it ends.
func (c *conn) streamWhole(e *exchange) (whole bool, _ *h1.Error) {
	if c.stream == nil || len(e.trailerUp) == 0 {
		return false, nil
	}
	n, whole := c.stream.Buffered()
	if total := c.in.len() + n; whole && total <= c.in.pool.size {
		return true, c.readBody(e, total)
	}
	return false, nil
}

// lastLines returns the trailers for the instance. An instance may add them to the fields of the head, so a client cannot
// send a field that the route sets or removes.
func (e *exchange) lastLines() []byte {
	if len(e.trailersUp) == 0 || e.actions == nil || len(e.actions.Request.Dropped()) == 0 {
		return e.trailersUp
	}
	return h1.RemoveTrailers(nil, e.trailersUp, e.actions.Request.Dropped())
}

// appendBodyEnd ends a request body in chunks.
func (e *exchange) appendBodyEnd(dst []byte) []byte { return h1.AppendLastChunk(dst, e.lastLines()) }

// sendFrames sends a header block (nil: none) and body bytes of a request to an instance of HTTP/2. last says that they
// are the last ones: the trailers follow.
func (u *upstreamConn) sendFrames(e *exchange, block, data []byte, last bool) error {
	if lines := e.lastLines(); last && len(lines) > 0 {
		_, err := u.stream.WriteAll(block, data, h2.AppendFields(nil, lines, false))
		return err
	}
	_, err := u.stream.Write(block, data, last)
	return err
}
