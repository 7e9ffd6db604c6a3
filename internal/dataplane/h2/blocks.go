package h2

import (
	"bytes"

	"golang.org/x/net/http2"
)

// headers begins a header block of a request.
func (c *Conn) headers(f *http2.HeadersFrame) error {
	if c.client {
		return c.responseHead(f)
	}
	c.block = block{id: f.StreamID, end: f.StreamEnded()}
	b := &c.block
	c.mu.Lock()
	s := c.streams[b.id]
	leaving := c.leaving
	full := c.active >= c.cfg.MaxStreams || len(c.streams) >= 2*c.cfg.MaxStreams
	last := c.last
	var r *recent
	if s == nil {
		r = c.recently(b.id)
	}
	if s == nil && b.id > last && b.id%2 == 1 {
		c.last = b.id
	}
	ended := s != nil && (s.ended || s.err != nil)
	resetHere := s != nil && s.resetHere
	c.mu.Unlock()
	switch {
	case b.id%2 == 0:
		return violation(http2.ErrCodeProtocol, "a request with an even stream id")
	case f.HasPriority() && f.Priority.StreamDep == b.id:
		b.refuse, b.refused = http2.ErrCodeProtocol, true
	case resetHere:
		b.ignore = true
	case s != nil && ended:
		return violation(http2.ErrCodeStreamClosed, "HEADERS for a request that has ended")
	case s != nil && !b.end:
		b.refuse, b.refused = http2.ErrCodeProtocol, true // trailers that do not end the request
	case s != nil:
		b.s = s
	case b.id <= last:
		if r == nil {
			return violation(http2.ErrCodeProtocol, "a stream id below an earlier one")
		}
		if !r.byUs || r.client {
			return violation(http2.ErrCodeStreamClosed, "HEADERS for a stream that has ended")
		}
		b.ignore = true
	case leaving, full:
		b.refuse, b.refused = http2.ErrCodeRefusedStream, true
	}
	c.head.reset(b.s != nil)
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// fragment decodes a part of a header block.
func (c *Conn) fragment(p []byte, end bool) error {
	b := &c.block
	if b.bytes += len(p); b.bytes > maxBlock {
		return violation(http2.ErrCodeEnhanceYourCalm, "header block too large")
	}
	if err := c.charge(1); err != nil {
		return err
	}
	if _, err := c.dec.Write(p); err != nil {
		return violation(http2.ErrCodeCompression, err.Error())
	}
	if !end {
		return nil
	}
	if err := c.dec.Close(); err != nil {
		return violation(http2.ErrCodeCompression, err.Error())
	}
	return c.endBlock()
}

// endBlock acts on a complete header block.
func (c *Conn) endBlock() error {
	b := c.block
	c.block = block{}
	switch {
	case b.ignore:
		return nil
	case b.refused:
		return http2.StreamError{StreamID: b.id, Code: b.refuse}
	case c.client:
		return c.endResponseHead(b)
	case b.s != nil:
		return c.trailers(b.s)
	}
	if reason := c.head.finish(b.end); reason != "" {
		c.cfg.Malformed(reason)
		return http2.StreamError{StreamID: b.id, Code: http2.ErrCodeProtocol}
	}
	s := &Stream{c: c, id: b.id, recv: c.streamWin, declared: c.head.length, ended: b.end, connect: c.head.has[5], announced: c.head.announce}
	s.cond.L = &c.mu
	c.mu.Lock()
	s.window = c.initial
	c.streams[b.id] = s
	c.active++
	s.counted = true
	c.mu.Unlock()
	c.earn(10)
	c.cfg.Open(s, c.head.text, c.head.tooLarge)
	return nil
}

// trailers ends a request. Their fields are kept if its head announced trailers.
func (c *Conn) trailers(s *Stream) error {
	bad := c.head.bad
	if bad == "" && c.head.tooLarge {
		bad = "trailers too large"
	}
	if bad != "" {
		c.cfg.Malformed(bad)
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.declared >= 0 && s.got < s.declared {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	if s.announced && len(c.head.fields) > 0 {
		s.trailers = bytes.Clone(c.head.fields)
	}
	s.ended = true
	s.settle()
	s.cond.Broadcast()
	return nil
}
