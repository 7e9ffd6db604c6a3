package h2

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/net/http2"
)

// Stream is a request and its response. One goroutine may read and one may write at a time. It must be closed.
type Stream struct {
	c  *Conn
	id uint32

	// Under the lock of the connection.
	cond      sync.Cond
	in        []byte // body bytes that were not read: in[off:]
	off       int
	recv      int64 // body bytes that the client may send
	credit    int64 // body bytes that were read and not given back to the client
	window    int64 // body bytes that may be sent
	declared  int64 // Content-Length of the request, -1: none
	got       int64 // body bytes received
	connect   bool  // of a server: an extended CONNECT (RFC 8441)
	ended     bool  // the request is complete
	sent      bool  // the response is complete
	err       error // why the stream was reset
	resetHere bool
	closed    bool
	counted   bool // in Conn.active
	stopRead  bool
	stopWrite bool

	trailers  []byte // lines of fields; of a request only if its head announces trailers
	announced bool   // of a server: the head announces trailers

	// Of a client.
	isHead bool // the method is HEAD
	free   int  // bytes at the front of in that are a head: they do not count for the windows
	final  bool // the final response head arrived
	empty  bool // it ended the response
}

var (
	errReset = errors.New("the stream was reset")

	// ErrMalformed says that the peer violated HTTP/2, and that the stream was reset here.
	ErrMalformed = errors.New("the peer violated HTTP/2")

	// ErrRefused says that the server has not processed the request: it may be sent again (RFC 9113 §8.7).
	ErrRefused = errors.New("the server refused the stream")
)

// Connect reports whether the request is an extended CONNECT (RFC 8441). Its head is the one of an Upgrade; what follows
// are the bytes of the tunnel.
func (s *Stream) Connect() bool { return s.connect }

// Await waits until Read does not wait, and returns the error that Read would return without bytes.
func (s *Stream) Await() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.await()
}

func (s *Stream) await() error {
	for {
		switch {
		case s.stopRead:
			return os.ErrDeadlineExceeded
		case s.off < len(s.in):
			return nil
		case s.err != nil:
			return s.err
		case s.c.err != nil:
			return s.c.err
		case s.ended:
			return io.EOF
		}
		s.cond.Wait()
	}
}

// Read waits for bytes of the request's body. At its end it returns io.EOF; after Interrupt os.ErrDeadlineExceeded.
func (s *Stream) Read(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if err := s.await(); err != nil {
		return 0, err
	}
	n := copy(p, s.in[s.off:])
	if s.off += n; s.off == len(s.in) {
		s.in, s.off = s.in[:0], 0
		if s.ended {
			s.in = nil
		}
	}
	head := min(n, s.free)
	s.free -= head
	s.consumed(int64(n - head))
	if len(s.c.out) > 0 {
		s.c.flush()
	}
	return n, nil
}

// put keeps received bytes. The caller holds the lock; the window bounds them.
func (s *Stream) put(data []byte) {
	if s.off > 0 && len(s.in)+len(data) > cap(s.in) {
		s.in = s.in[:copy(s.in, s.in[s.off:])]
		s.off = 0
	}
	s.in = append(s.in, data...)
}

// consumed gives n bytes of the windows back to the client. The caller holds the lock.
func (s *Stream) consumed(n int64) {
	s.c.giveBack(n)
	if s.credit += n; s.credit >= s.c.streamWin/4 && !s.ended && s.err == nil && !s.closed {
		s.recv += s.credit
		s.c.out = appendWindowUpdate(s.c.out, s.id, s.credit)
		s.credit = 0
	}
}

// Buffered returns the number of body bytes that were received and not read, and whether they are the last ones.
func (s *Stream) Buffered() (n int, last bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return len(s.in) - s.off, s.ended
}

// Trailers returns the trailers of a request that announced trailers and has arrived whole, as lines "name: value CRLF"; nil
// if there are none.
func (s *Stream) Trailers() []byte {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.trailers
}

// Write sends a header block (nil: none), then body bytes, then the end of the response if end is set. It waits while
// the client's windows are closed or the connection is slow. It returns how many body bytes were passed on.
func (s *Stream) Write(block, body []byte, end bool) (n int, err error) {
	return s.write(block, body, nil, end)
}

// WriteAll sends a header block (nil: none), body bytes, and a header block of trailers that ends the message.
func (s *Stream) WriteAll(block, body, trailers []byte) (n int, err error) {
	return s.write(block, body, trailers, true)
}

func (s *Stream) write(block, body, trailers []byte, end bool) (n int, err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := end && trailers == nil
	if err := s.writable(); err != nil {
		return 0, err
	}
	if block != nil {
		if err := c.room(); err != nil {
			return 0, err
		}
		s.begin()
		s.appendBlock(block, ends && len(body) == 0)
	}
	for n < len(body) || ends && !s.sent {
		if err := c.room(); err != nil {
			return n, err
		}
		if err := s.writable(); err != nil {
			return n, err
		}
		rest := body[n:]
		most := min(int64(len(rest)), s.window, c.window, frameSize)
		if most <= 0 && len(rest) > 0 {
			c.flush()
			if s.writable() == nil && min(s.window, c.window) <= 0 {
				s.cond.Wait()
			}
			continue
		}
		last := ends && int(most) == len(rest)
		c.out = appendFrameHead(c.out, int(most), http2.FrameData, endFlag(last), s.id)
		c.out = append(c.out, rest[:most]...)
		s.window -= most
		c.window -= most
		c.earned = min(c.earned+4, budgetMost)
		n += int(most)
		s.end(last)
	}
	if trailers != nil {
		s.appendBlock(trailers, true)
	}
	c.flush()
	return n, nil
}

// writable returns why nothing can be written. The caller holds the lock.
func (s *Stream) writable() error {
	switch {
	case s.c.err != nil:
		return s.c.err
	case s.err != nil:
		return s.err
	case s.stopWrite:
		return os.ErrDeadlineExceeded
	case s.sent:
		return errSent
	}
	return nil
}

func endFlag(last bool) http2.Flags {
	if last {
		return http2.FlagDataEndStream
	}
	return 0
}

// appendBlock appends HEADERS and, for a long block, CONTINUATION. The caller holds the lock.
func (s *Stream) appendBlock(block []byte, end bool) {
	kind, flags := http2.FrameHeaders, endFlag(end)
	for first := true; first || len(block) > 0; first = false {
		part := block[:min(len(block), frameSize)]
		block = block[len(part):]
		if len(block) == 0 {
			flags |= http2.FlagHeadersEndHeaders
		}
		s.c.out = appendFrameHead(s.c.out, len(part), kind, flags, s.id)
		s.c.out = append(s.c.out, part...)
		kind, flags = http2.FrameContinuation, 0
	}
	s.end(end)
}

// end notes that the response is complete. The caller holds the lock.
func (s *Stream) end(last bool) {
	if last {
		s.sent = true
		s.settle()
	}
}

// settle releases the stream's place when both sides have ended. The caller holds the lock.
func (s *Stream) settle() {
	if s.counted && s.sent && s.ended {
		s.counted = false
		s.c.active--
	}
}

// fail ends the stream for both sides. The caller holds the lock.
func (s *Stream) fail(why error) {
	if s.err == nil {
		s.err = why
	}
	s.cond.Broadcast()
}

// Interrupt ends the waits of Read and AllowsConnect, and of Write if write is set, with os.ErrDeadlineExceeded until Resume.
func (s *Stream) Interrupt(write bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.stopRead = true
	s.stopWrite = s.stopWrite || write
	s.cond.Broadcast()
	s.c.settled.Broadcast()
}

// Resume ends the effect of Interrupt, on Write only if write is set.
func (s *Stream) Resume(write bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.stopRead = false
	s.stopWrite = s.stopWrite && !write
}

// Gone reports whether the client has cancelled the request or left.
func (s *Stream) Gone() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.err != nil || s.c.err != nil
}

// Close ends the stream. A response that is not complete is reset, so that the client does not take it for whole.
func (s *Stream) Close() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.id != 0 && s.err == nil && c.err == nil && !(s.sent && s.ended) {
		code := http2.ErrCodeInternal
		if c.client {
			code = http2.ErrCodeCancel
		} else if s.sent {
			code = http2.ErrCodeNo // RFC 9113 §8.1: the rest of the request is not needed
		}
		c.out = appendReset(c.out, s.id, code)
		s.resetHere = true
	}
	c.giveBack(int64(len(s.in) - s.off - s.free))
	s.in, s.off = nil, 0
	if s.counted {
		s.counted = false
		c.active--
	}
	if s.id == 0 { // of a client, never sent
		c.unsent--
	} else {
		delete(c.streams, s.id)
		c.remember(recent{id: s.id, byUs: s.resetHere, client: s.ended, inUse: true})
		c.flush()
	}
	if len(c.streams)+c.unsent == 0 && c.cfg.Idle != nil {
		c.cfg.Idle()
	}
}
