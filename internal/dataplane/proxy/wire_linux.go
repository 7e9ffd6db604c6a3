//go:build linux && (amd64 || arm64) && !smartlb_portable

package proxy

import (
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxCall limits one read or write. A raw call, during which the scheduler cannot take the processor away, then stays
// in the tens of microseconds.
const maxCall = 64 << 10

// wire is a connection, of TCP or of a Unix socket, driven by raw non-blocking calls inside syscall.RawConn. The runtime's poller still parks
// the goroutine, and deadlines still work. The calls skip the notification of the scheduler, which costs more than
// parsing a whole request (golang/go#19563). Go's sockets are non-blocking, so a raw call never stalls its processor.
//
// One goroutine may read and one may write at a time.
type wire struct {
	sock netConn
	raw  syscall.RawConn

	rp   []byte // destination of a read, or
	slot *lease // the lease that takes and holds a buffer
	rn   int
	rerr syscall.Errno

	wp   []byte
	wn   int
	werr syscall.Errno

	askStep  uint8
	askFresh bool
	askStale bool

	onRead, onWrite, onAsk func(fd uintptr) bool // created once: a method value allocates
}

const (
	askSend  = iota // not sent yet
	askWait         // sent completely: wait for the reply
	askShort        // sent partly: the ordinary write continues
)

func newWire(sock netConn) (*wire, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{sock: sock, raw: raw}
	w.onRead, w.onWrite, w.onAsk = w.tryRead, w.tryWrite, w.tryAsk
	return w, nil
}

// read waits for bytes. At the end of the stream it returns io.EOF.
func (w *wire) read(p []byte) (int, error) {
	w.rp, w.slot = p, nil
	err := w.raw.Read(w.onRead)
	w.rp = nil
	return w.readResult(err)
}

// fill waits for bytes and appends them to the buffer of l. It takes the buffer when bytes are there, so a waiting
// connection holds no buffer.
func (w *wire) fill(l *lease) (int, error) {
	w.slot = l
	err := w.raw.Read(w.onRead)
	w.slot = nil
	return w.readResult(err)
}

func (w *wire) readResult(err error) (int, error) {
	switch {
	case err != nil:
		return 0, err
	case w.rerr != 0:
		return 0, w.rerr
	case w.rn == 0:
		return 0, io.EOF
	}
	return w.rn, nil
}

func (w *wire) tryRead(fd uintptr) bool {
	p := w.rp
	if w.slot != nil {
		p = w.slot.room()
	}
	w.rn, w.rerr = rawRead(fd, p)
	if w.rerr == syscall.EAGAIN {
		if w.slot != nil {
			w.slot.dropEmpty()
		}
		return false
	}
	if w.slot != nil {
		w.slot.end += w.rn
		w.slot.dropEmpty()
	}
	return true
}

// write sends all of p and returns how many bytes the kernel accepted.
func (w *wire) write(p []byte) (int, error) {
	w.wp, w.wn, w.werr = p, 0, 0
	err := w.raw.Write(w.onWrite)
	w.wp = nil
	if err == nil && w.werr != 0 {
		err = w.werr
	}
	return w.wn, err
}

func (w *wire) tryWrite(fd uintptr) bool {
	for w.wn < len(w.wp) {
		n, errno := rawWrite(fd, w.wp[w.wn:])
		w.wn += n
		if errno == syscall.EAGAIN {
			return false
		}
		if errno != 0 {
			w.werr = errno
			return true
		}
	}
	return true
}

// ask sends p and waits for the first bytes of the reply. It needs four system calls less than write and read: it
// checks a kept connection (fresh is false), writes and waits within one RawConn.Read.
//
// This is safe with an edge-triggered poller because RawConn.Read clears old readiness before the callback runs. The
// check sees bytes or an end that arrived before; later bytes raise a new edge.
//
// stale reports that the instance had closed the kept connection, or had sent bytes that no request asked for. In that
// case nothing was sent.
func (w *wire) ask(p []byte, fresh bool, l *lease) (sent int, stale bool, err error) {
	w.wp, w.wn, w.werr = p, 0, 0
	w.slot = l
	w.rn, w.rerr = 0, 0
	w.askStep, w.askFresh, w.askStale = askSend, fresh, false
	err = w.raw.Read(w.onAsk)
	w.wp, w.slot = nil, nil
	sent = w.wn
	switch {
	case err != nil:
		return sent, false, err
	case w.askStale:
		return 0, true, nil
	case w.werr != 0:
		return sent, false, w.werr
	case w.askStep == askShort:
		n, err := w.write(p[sent:])
		sent += n
		if err != nil {
			return sent, false, err
		}
		_, err = w.fill(l)
		return sent, false, err
	}
	_, err = w.readResult(nil)
	return sent, false, err
}

func (w *wire) tryAsk(fd uintptr) bool {
	if w.askStep == askWait {
		return w.tryRead(fd)
	}
	if !w.askFresh && !rawQuiet(fd) {
		w.askStale = true
		return true
	}
	w.wn, w.werr = rawWrite(fd, w.wp)
	switch {
	case w.werr == syscall.EAGAIN || w.werr == 0 && w.wn < len(w.wp):
		w.werr = 0
		w.askStep = askShort
		return true
	case w.werr != 0:
		return true
	}
	w.askStep = askWait
	return false
}

// attempt calls f when bytes may have arrived, until it returns true or the read deadline passes. f may call readNow.
func (w *wire) attempt(f func(fd uintptr) bool) error { return w.raw.Read(f) }

// control calls f once with the socket.
func (w *wire) control(f func(fd uintptr)) { _ = w.raw.Control(f) }

// canReadNow says whether readNow does not wait.
const canReadNow = true

// readNow reads what has arrived. If that is nothing, it returns errAgain.
func (w *wire) readNow(fd uintptr, p []byte) (int, error) {
	n, errno := rawRead(fd, p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, errAgain
	case errno != 0:
		return 0, errno
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// writeNow sends what the kernel takes at once.
func (w *wire) writeNow(p []byte) (n int, err error) {
	w.control(func(fd uintptr) {
		var errno syscall.Errno
		if n, errno = rawWrite(fd, p); errno != 0 {
			err = errno
		}
	})
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// quiet reports whether the connection is open and has no bytes waiting.
func (w *wire) quiet() (ok bool) {
	err := w.raw.Control(func(fd uintptr) { ok = rawQuiet(fd) })
	return ok && err == nil
}

// waiting reports whether bytes wait to be read.
func (w *wire) waiting() (ok bool) {
	_ = w.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, errno := rawPeek(fd, &b)
		ok = errno == 0 && n > 0
	})
	return ok
}

// state reports the state of the peer, even if unread bytes precede the end. Any goroutine may call it.
func (w *wire) state() peerState {
	state := peerThere
	err := w.raw.Control(func(fd uintptr) {
		fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds[:], 0)
		switch {
		case err != nil || n == 0:
		case fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0:
			state = peerGone
		case fds[0].Revents&unix.POLLRDHUP != 0:
			state = peerHalf
		}
	})
	if err != nil {
		return peerGone
	}
	return state
}

func rawRead(fd uintptr, p []byte) (int, syscall.Errno) {
	if len(p) > maxCall {
		p = p[:maxCall]
	}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}

func rawWrite(fd uintptr, p []byte) (int, syscall.Errno) {
	if len(p) > maxCall {
		p = p[:maxCall]
	}
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}

func rawPeek(fd uintptr, b *[1]byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(b)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func rawQuiet(fd uintptr) bool {
	var b [1]byte
	_, errno := rawPeek(fd, &b)
	return errno == syscall.EAGAIN
}
