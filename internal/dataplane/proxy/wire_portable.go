//go:build !linux || !(amd64 || arm64) || smartlb_portable

package proxy

import "time"

// wire is a connection, of TCP or of a Unix socket, driven through net.Conn. It does the same as the raw driver, on every system that Go
// supports. One goroutine may read and one may write at a time.
type wire struct {
	sock  netConn
	first [1]byte
	look  peeker // for the owner; other goroutines create their own peeker
}

func newWire(sock netConn) (*wire, error) {
	look, err := newPeeker(sock)
	return &wire{sock: sock, look: look}, err
}

// read waits for bytes. At the end of the stream it returns io.EOF.
func (w *wire) read(p []byte) (int, error) { return w.sock.Read(p) }

// fill waits for bytes and appends them to the buffer of l. While it waits with an empty buffer it holds one byte, on
// systems that can report whether more bytes arrived.
func (w *wire) fill(l *lease) (int, error) {
	first := 0
	if l.len() == 0 && canPeek {
		n, err := w.sock.Read(w.first[:])
		if n == 0 {
			return n, err
		}
		l.room()[0] = w.first[0]
		l.end++
		if !w.look.readable() {
			return n, nil
		}
		first = n
	}
	n, err := w.sock.Read(l.room())
	l.end += n
	if first > 0 {
		err = nil // the next read returns the error again
	} else {
		l.dropEmpty()
	}
	return first + n, err
}

// write sends all of p and returns how many bytes the kernel accepted.
func (w *wire) write(p []byte) (int, error) { return w.sock.Write(p) }

// ask sends p and waits for the first bytes of the reply. stale reports that a kept connection (fresh is false) was
// closed or had sent bytes that no request asked for. In that case nothing was sent.
func (w *wire) ask(p []byte, fresh bool, l *lease) (sent int, stale bool, err error) {
	if !fresh && !w.quiet() {
		return 0, true, nil
	}
	if sent, err = w.write(p); err != nil {
		return sent, false, err
	}
	_, err = w.fill(l)
	return sent, false, err
}

// attempt calls f once; its reads wait.
func (w *wire) attempt(f func(fd uintptr) bool) error {
	f(0)
	return nil
}

func (w *wire) control(f func(fd uintptr)) { f(0) }

// canReadNow says whether readNow does not wait.
const canReadNow = false

// readNow waits for bytes.
func (w *wire) readNow(_ uintptr, p []byte) (int, error) { return w.sock.Read(p) }

// writeNow sends p, for at most 10 ms.
func (w *wire) writeNow(p []byte) (int, error) {
	_ = w.sock.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	return w.sock.Write(p)
}

// quiet reports whether the connection is open and has no bytes waiting.
func (w *wire) quiet() bool {
	state := w.look.peek()
	return state == peekNothing || state == peekUnknown
}

// waiting reports whether bytes wait to be read.
func (w *wire) waiting() bool { return w.look.peek() == peekBytes }

// state reports the state of the peer. Unread bytes before the end hide it. Any goroutine may call it.
func (w *wire) state() peerState {
	look, err := newPeeker(w.sock)
	if err != nil {
		return peerGone
	}
	switch look.peek() {
	case peekEnd:
		return peerHalf
	case peekBroken:
		return peerGone
	}
	return peerThere
}

type peeked uint8

const (
	peekUnknown peeked = iota // this system cannot tell
	peekNothing               // open, no bytes
	peekBytes
	peekEnd    // the peer sends no more
	peekBroken // the connection is broken
)
