package upstreamtest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Raw is a TCP server that records what it receives and runs a script on each connection.
type Raw struct {
	Addr string

	ln     net.Listener
	script func(*Session)
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   map[*Session]bool
	all    []*Session
	closed bool
}

// NewRaw starts a server that runs script on every connection. It closes the connection when script returns.
func NewRaw(tb testing.TB, script func(*Session)) *Raw {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &Raw{Addr: ln.Addr().String(), ln: ln, script: script, open: map[*Session]bool{}}
	r.wg.Go(r.accept)
	tb.Cleanup(r.Close)
	return r
}

func (r *Raw) accept() {
	for {
		nc, err := r.ln.Accept()
		if err != nil {
			return
		}
		s := &Session{Conn: nc.(*net.TCPConn), ended: make(chan struct{})}
		s.Reader = bufio.NewReader(tap{s})
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			_ = nc.Close()
			return
		}
		s.Index = len(r.all)
		r.open[s] = true
		r.all = append(r.all, s)
		r.mu.Unlock()
		r.wg.Go(func() {
			r.script(s)
			_ = s.Conn.Close()
			r.mu.Lock()
			delete(r.open, s)
			r.mu.Unlock()
		})
	}
}

// Close ends the server, its connections and scripts. The test's cleanup calls it; a test may call it earlier.
func (r *Raw) Close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		_ = r.ln.Close()
		for _, s := range r.all {
			_ = s.Conn.Close()
			close(s.ended)
		}
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// CloseConnections closes the open connections, as an instance does at a restart, and continues to accept.
func (r *Raw) CloseConnections() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.open {
		_ = s.Conn.Close()
	}
}

// Connections returns the number of connections so far.
func (r *Raw) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// Open returns the number of open connections.
func (r *Raw) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// Received returns the bytes of each connection, in the order of the connections.
func (r *Raw) Received() [][]byte {
	r.mu.Lock()
	all := append([]*Session(nil), r.all...)
	r.mu.Unlock()
	var out [][]byte
	for _, s := range all {
		s.mu.Lock()
		out = append(out, bytes.Clone(s.got))
		s.mu.Unlock()
	}
	return out
}

// Session is one connection of a Raw server.
type Session struct {
	Conn   *net.TCPConn
	Reader *bufio.Reader // records what the script reads
	Index  int           // 0 for the server's first connection

	ended chan struct{}
	mu    sync.Mutex
	got   []byte
}

// tap reads from the connection and keeps a copy.
type tap struct{ s *Session }

func (t tap) Read(p []byte) (int, error) {
	n, err := t.s.Conn.Read(p)
	t.s.mu.Lock()
	t.s.got = append(t.s.got, p[:n]...)
	t.s.mu.Unlock()
	return n, err
}

// Request reads one request with net/http, including its whole body. It returns nil at the end of the connection or if
// the request is not valid.
func (s *Session) Request() *http.Request {
	req, err := http.ReadRequest(s.Reader)
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return req
}

// Head reads up to and including the first empty line.
func (s *Session) Head() bool {
	for {
		line, err := s.Reader.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// Write sends bytes unchanged. It returns false if the connection is closed.
func (s *Session) Write(b string) bool {
	_, err := io.WriteString(s.Conn, b)
	return err == nil
}

// Drip sends b in pieces of n bytes with a pause after each.
func (s *Session) Drip(b string, n int, pause time.Duration) bool {
	for len(b) > 0 {
		k := min(n, len(b))
		if !s.Write(b[:k]) {
			return false
		}
		b = b[k:]
		s.Wait(pause)
	}
	return true
}

// Reset ends the connection with RST instead of FIN.
func (s *Session) Reset() {
	_ = s.Conn.SetLinger(0)
	_ = s.Conn.Close()
}

// Hang reads until the peer disconnects or the server ends. It never responds.
func (s *Session) Hang() { _, _ = io.Copy(io.Discard, s.Reader) }

// Wait waits for d. It returns earlier if the server ends.
func (s *Session) Wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ended:
	}
}

// Always responds to every request with reply, whatever the request is.
func Always(reply string) func(*Session) {
	return func(s *Session) {
		for s.Request() != nil {
			if !s.Write(reply) {
				return
			}
		}
	}
}

// OK is a small response with a known length.
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
