package h2

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Preface is what a client sends first (RFC 9113 §3.4).
const Preface = http2.ClientPreface

// Bounds of a connection.
const (
	frameSize    = 16 << 10  // bytes of a frame, both ways: the smallest limit that HTTP/2 allows, and enough
	bodyWindow   = 256 << 10 // bytes of a request body that wait to be read
	bodiesWindow = 1 << 20   // of all request bodies of a connection together
	replyWindow  = 64 << 10  // bytes of a response that wait to be read. All streams of a connection may have as many: a client that reads slowly must not stop the responses of others
	outMost      = 64 << 10  // bytes that wait to be written before a stream has to wait
	outFlood     = 512 << 10 // bytes that wait to be written because the client does not read what it asks for
	maxWindow    = 1<<31 - 1
	recentIDs    = 128 // ended streams whose end is remembered
	resetsMost   = 200 // requests that a client may cancel in resetsTime
	resetsTime   = 30 * time.Second
	budgetMost   = 1000 // frames that carry nothing, beyond those that requests and bodies pay for
	budgetPace   = 50   // of them, each second
	maxBlock     = 128 << 10
	maxValue     = 64 << 10
)

// Transport carries the bytes of a connection. Read and Write may run at the same time, each in one goroutine.
type Transport interface {
	io.ReadWriter
	Buffered() int // bytes that Read returns without waiting
}

// Config of a Conn. All functions are called by the goroutine of Serve and must not block.
type Config struct {
	MaxStreams int          // requests at a time; 100 if 0
	HeadBytes  int          // of a request head, as RFC 9113 §6.5.2 counts them; required
	Now        func() int64 // monotonic nanoseconds; required

	// The functions below are of a server.

	// Open begins a request. head is the text of an HTTP/1.1 request head; it is valid only during the call. tooLarge
	// says that the head is above HeadBytes and that head holds only its first line. The stream must be closed.
	Open func(s *Stream, head []byte, tooLarge bool)

	// Malformed reports a request that was refused because it violates HTTP/2. The stream was reset.
	Malformed func(reason string)

	// Idle is called when the last stream was closed. Any goroutine may call it, with a lock of the connection held.
	Idle func()
}

// Conn is a connection. Create it with New. All methods except Serve may be called by any goroutine.
type Conn struct {
	cfg    Config
	t      Transport
	client bool // this side makes the requests

	// Of the goroutine of Serve.
	fr        *http2.Framer
	dec       *hpack.Decoder
	head      head
	block     block
	budget    int
	paidAt    int64
	resets    int
	resetsAt  int64
	recent    [recentIDs]recent
	recentPos int

	mu         sync.Mutex
	flushed    sync.Cond // the buffer was sent, or the connection ended
	out, spare []byte
	flushing   bool
	err        error // why the connection ended; nil: it is open
	streams    map[uint32]*Stream
	active     int       // streams that count against MaxStreams
	unsent     int       // of a client: streams that were opened and have no id yet
	most       int       // of a client: requests at a time that the server accepts
	last       uint32    // highest id of a request
	window     int64     // body bytes that may be sent
	initial    int64     // of the streams' windows, as the client set it
	frame      int       // largest frame that the client accepts
	streamWin  int64     // body bytes of a stream that the peer may send before they are read
	connWin    int64     // the same for all streams together
	recv       int64     // body bytes that the peer may send
	credit     int64     // body bytes that were read and not given back to the peer
	leaving    bool      // GOAWAY was sent
	connect    bool      // of a client: the server accepts extended CONNECT (RFC 8441)
	known      bool      // of a client: the server's settings are known
	settled    sync.Cond // known was set, a stream was interrupted, or the connection ended
	earned     int       // frames that the responses pay for: each may be answered with window updates
}

// recent is a stream that has ended.
type recent struct {
	id     uint32
	byUs   bool // it was reset here: frames that were already on their way are ignored
	inUse  bool
	client bool // the client had ended it
}

// block is a header block that is being read.
type block struct {
	id      uint32 // 0: none
	end     bool   // END_STREAM
	s       *Stream
	bytes   int
	refuse  http2.ErrCode // reset the stream when the block has ended
	refused bool
	ignore  bool // decode only
}

// New returns the server's side of a connection on t. It starts no goroutine.
func New(t Transport, cfg Config) *Conn { return newConn(t, cfg, false) }

// NewClient returns the client's side of a connection on t; Open makes requests. It starts no goroutine: run Serve.
func NewClient(t Transport, cfg Config) *Conn { return newConn(t, cfg, true) }

func newConn(t Transport, cfg Config, client bool) *Conn {
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = 100
	}
	c := &Conn{
		cfg: cfg, t: t, client: client, most: cfg.MaxStreams, fr: http2.NewFramer(nil, t),
		streams: map[uint32]*Stream{}, window: 65535, initial: 65535, frame: frameSize, streamWin: bodyWindow, connWin: bodiesWindow,
		budget: budgetMost, paidAt: cfg.Now(),
	}
	if client {
		c.streamWin = replyWindow
		c.connWin = int64(cfg.MaxStreams) * replyWindow
	}
	c.recv = c.connWin
	c.flushed.L, c.settled.L = &c.mu, &c.mu
	c.fr.SetMaxReadFrameSize(frameSize)
	c.dec = hpack.NewDecoder(4096, c.head.add)
	c.dec.SetMaxStringLength(maxValue)
	c.head.limit, c.head.response = cfg.HeadBytes, client
	return c
}

// Error is a violation of HTTP/2 that ends the connection.
type Error struct {
	Code   http2.ErrCode
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("HTTP/2 %v: %s", e.Code, e.Reason) }

func violation(code http2.ErrCode, reason string) error { return &Error{code, reason} }

// ErrLeft is returned by Serve if the client closed the connection.
var ErrLeft = errors.New("the client closed the connection")

// Serve reads the connection until it ends, and returns why: ErrLeft, nil after GoAway and the end of the last stream,
// *Error for a violation of HTTP/2, or the error of the transport. Streams that are open then fail. Serve does not close
// the transport.
func (c *Conn) Serve() error {
	err := c.serve()
	var bad *Error
	c.mu.Lock()
	if c.err == nil && errors.As(err, &bad) {
		c.appendGoAway(bad.Code, bad.Reason)
	}
	c.sendAll() // also the last frames of streams that have just been closed
	c.mu.Unlock()
	c.end(err)
	return err
}

// end fails all streams.
func (c *Conn) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		if why == nil {
			why = ErrLeft
		}
		c.err = why
	}
	for _, s := range c.streams {
		s.cond.Broadcast()
	}
	c.settled.Broadcast()
	c.flushed.Broadcast()
}

func (c *Conn) serve() error {
	if !c.client {
		var preface [len(Preface)]byte
		if _, err := io.ReadFull(c.t, preface[:]); err != nil {
			return left(err)
		}
		if string(preface[:]) != Preface {
			return violation(http2.ErrCodeProtocol, "no HTTP/2 preface")
		}
		c.mu.Lock()
		c.appendSettings()
		c.flush()
		c.mu.Unlock()
	}
	for first := true; ; first = false {
		f, err := c.read()
		if err == nil {
			if first && f.Header().Type != http2.FrameSettings {
				return violation(http2.ErrCodeProtocol, "the first frame is not SETTINGS")
			}
			err = c.handle(f)
		}
		if err == nil {
			err = c.settle()
		}
		if err == nil {
			continue
		}
		if err = c.failed(err); err != nil {
			return err
		}
	}
}

// read reads a frame. HEADERS that cannot be read end the connection (RFC 9113 §6.2): the library calls too much padding an
// error of the stream, but their fields are missing in the HPACK table, and a CONTINUATION may follow.
func (c *Conn) read() (http2.Frame, error) {
	h, err := c.fr.ReadFrameHeader()
	if err != nil {
		return nil, err
	}
	f, err := c.fr.ReadFrameForHeader(h)
	var stream http2.StreamError
	if h.Type == http2.FrameHeaders && errors.As(err, &stream) {
		return nil, violation(stream.Code, "HEADERS with more padding than payload")
	}
	return f, err
}

// failed decides what an error ends: a stream (nil) or the connection.
func (c *Conn) failed(err error) error {
	var stream http2.StreamError
	var conn http2.ConnectionError
	var bad *Error
	switch {
	case errors.As(err, &bad):
		return err
	case errors.As(err, &stream):
		if err := c.charge(1); err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reset(stream.StreamID, stream.Code)
		c.flush()
		return nil
	case errors.As(err, &conn):
		reason := "invalid frame"
		if d := c.fr.ErrorDetail(); d != nil {
			reason = d.Error()
		}
		return violation(http2.ErrCode(conn), reason)
	case errors.Is(err, http2.ErrFrameTooLarge):
		return violation(http2.ErrCodeFrameSize, "frame too large")
	}
	return left(err)
}

func left(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrLeft
	}
	return err
}

// settle sends the answers to what was read, unless more frames are there already.
func (c *Conn) settle() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case len(c.out) > outFlood:
		return violation(http2.ErrCodeEnhanceYourCalm, "the client does not read the answers to its frames")
	case c.t.Buffered() == 0:
		c.flush()
	}
	return nil
}

// charge pays for n frames that carry nothing.
func (c *Conn) charge(n int) error {
	if c.budget -= n; c.budget >= 0 {
		return nil
	}
	now := c.cfg.Now()
	c.mu.Lock()
	more := c.earned + int((now-c.paidAt)*budgetPace/int64(time.Second))
	c.earned = 0
	c.mu.Unlock()
	c.paidAt = now
	c.earn(more)
	if c.budget < 0 {
		return violation(http2.ErrCodeEnhanceYourCalm, "too many frames that carry nothing")
	}
	return nil
}

func (c *Conn) earn(n int) { c.budget = min(c.budget+n, budgetMost) }

// reset ends a stream from this side. The caller holds the lock.
func (c *Conn) reset(id uint32, code http2.ErrCode) {
	c.out = appendReset(c.out, id, code)
	if s := c.streams[id]; s != nil {
		s.resetHere = true
		s.fail(ErrMalformed)
		return
	}
	c.remember(recent{id: id, byUs: true, inUse: true})
}

// remember notes an ended stream. The caller holds the lock.
func (c *Conn) remember(r recent) {
	if old := c.recently(r.id); old != nil {
		old.byUs = old.byUs || r.byUs
		return
	}
	c.recent[c.recentPos] = r
	c.recentPos = (c.recentPos + 1) % recentIDs
}

// GoAway asks the client to make its further requests elsewhere. Serve returns when the last stream has been closed and
// the client has closed the connection; Ended says that this is the case for the streams.
func (c *Conn) GoAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.leaving {
		c.appendGoAway(http2.ErrCodeNo, "")
		c.sendAll()
	}
}

// Streams returns the number of open streams, also of those that have sent nothing yet.
func (c *Conn) Streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams) + c.unsent
}

// Reading reports whether a header block is incomplete. Only the goroutine of Serve may call it, in Transport.Read.
func (c *Conn) Reading() bool { return c.block.id != 0 }
