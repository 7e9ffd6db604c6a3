package h2

import (
	"bytes"
	"errors"

	"golang.org/x/net/http2"
)

// maxHeads limits the heads of a response, interim ones included, in bytes.
const maxHeads = 256 << 10

var errSent = errors.New("the message was sent to its end")

// Start sends the preface and the settings. Call it once, before Open; Serve may run already.
func (c *Conn) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, Preface...)
	c.appendSettings()
	c.flush()
	return c.err
}

// Room reports whether Open would succeed.
func (c *Conn) Room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hasRoom()
}

func (c *Conn) hasRoom() bool {
	return c.err == nil && !c.leaving && c.active < c.most && c.last < 1<<31-2
}

// Ended reports whether the connection takes no more requests, whatever happens.
func (c *Conn) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.leaving || c.last >= 1<<31-2
}

// AllowsConnect reports whether the server accepts an extended CONNECT (RFC 8441). It waits for the server's settings, until
// Interrupt or the end of the connection.
func (s *Stream) AllowsConnect() bool {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.known && c.err == nil && !s.stopRead {
		c.settled.Wait()
	}
	return c.connect
}

// Open makes a request without sending anything; nil if the connection takes no request now. head says that the method
// is HEAD. The stream must be closed.
func (c *Conn) Open(head bool) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasRoom() {
		return nil
	}
	s := &Stream{c: c, recv: c.streamWin, declared: -1, window: c.initial, counted: true, isHead: head}
	s.cond.L = &c.mu
	c.active++
	c.unsent++
	return s
}

// begin gives the stream its id: ids must rise in the order of the HEADERS frames. The caller holds the lock.
func (s *Stream) begin() {
	if !s.c.client || s.id != 0 {
		return
	}
	if s.c.last == 0 {
		s.id = 1
	} else {
		s.id = s.c.last + 2
	}
	s.c.last = s.id
	s.c.unsent--
	s.c.streams[s.id] = s
	s.window = s.c.initial
}

// stopSending ends the request: the server has answered without the rest. The caller holds the lock.
func (s *Stream) stopSending() {
	s.sent = true
	s.settle()
	s.cond.Broadcast()
}

// HasEnded reports whether the response ended with its head.
func (s *Stream) HasEnded() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.empty
}

// End returns the trailers of a response that was read to its end, as lines "name: value CRLF". ok is false if more of
// the response may come.
func (s *Stream) End() (trailers []byte, ok bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.ended || s.off < len(s.in) || s.err != nil {
		return nil, false // trailers may have arrived before the bytes in front of them are read
	}
	return s.trailers, true
}

// Writing reports whether bytes wait to be written.
func (c *Conn) Writing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushing
}

// goneAway notes that the server processes no request above last.
func (c *Conn) goneAway(last uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.client {
		return
	}
	c.leaving = true
	for id, s := range c.streams {
		if id > last {
			s.fail(ErrRefused)
		}
	}
}

// responseHead begins a header block of a response.
func (c *Conn) responseHead(f *http2.HeadersFrame) error {
	c.block = block{id: f.StreamID, end: f.StreamEnded()}
	b := &c.block
	c.mu.Lock()
	b.s = c.streams[b.id]
	unknown := b.id > c.last || b.id%2 == 0
	ended := b.s != nil && b.s.ended
	trailers := b.s != nil && b.s.final
	c.mu.Unlock()
	switch {
	case unknown:
		return violation(http2.ErrCodeProtocol, "HEADERS for a stream that was not opened")
	case b.s == nil:
		b.ignore = true
	case ended:
		return violation(http2.ErrCodeStreamClosed, "HEADERS for a response that has ended")
	case trailers && !b.end:
		b.refuse, b.refused = http2.ErrCodeProtocol, true // trailers that do not end the response
	}
	c.head.reset(trailers)
	return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
}

// endResponseHead acts on a complete header block of a response. Its text goes in front of the body.
func (c *Conn) endResponseHead(b block) error {
	s := b.s
	c.earn(10)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return nil
	}
	bad := func() error { return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol} }
	if s.final {
		if c.head.bad != "" || c.head.tooLarge {
			return bad()
		}
		s.trailers = bytes.Clone(c.head.fields)
	} else {
		if c.head.finishResponse() != "" {
			return bad()
		}
		s.final = c.head.status[0] != '1'
		if !s.final && b.end || s.free+len(c.head.text) > maxHeads {
			return bad()
		}
		s.free += len(c.head.text)
		s.put(c.head.text)
		s.empty = b.end
		if s.final && !b.end && !s.isHead && c.head.status != "304" {
			s.declared = c.head.length
		}
	}
	if b.end {
		s.ended = true
		s.settle()
		if s.declared >= 0 && s.got < s.declared {
			return bad()
		}
	}
	s.cond.Broadcast()
	return nil
}
