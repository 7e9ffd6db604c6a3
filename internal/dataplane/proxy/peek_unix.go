//go:build unix && (!linux || !(amd64 || arm64) || smartlb_portable)

package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const canPeek = true

// peeker inspects the received bytes of a socket without consuming them.
type peeker struct{ s *peekState }

type peekState struct {
	raw  syscall.RawConn
	buf  [1]byte
	got  peeked
	poll [1]unix.PollFd
	look func(fd uintptr) // created once: a closure allocates
	ask  func(fd uintptr)
}

func newPeeker(sock syscall.Conn) (peeker, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return peeker{}, err
	}
	s := &peekState{raw: raw}
	s.ask = func(fd uintptr) {
		s.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(s.poll[:], 0)
		s.got = peekBytes
		if err == nil && n == 0 {
			s.got = peekNothing
		}
	}
	s.look = func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), s.buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN:
			s.got = peekNothing
		case err == nil && n > 0:
			s.got = peekBytes
		case err == nil:
			s.got = peekEnd
		default:
			s.got = peekBroken
		}
	}
	return peeker{s}, nil
}

// readable reports whether a read would return at once, with bytes or with the end of the stream.
func (p peeker) readable() bool {
	return p.s.raw.Control(p.s.ask) != nil || p.s.got != peekNothing
}

// peek distinguishes bytes from the end of the stream. It calls recvfrom only if poll found something, because
// recvfrom(2) allocates the address of a sender.
func (p peeker) peek() peeked {
	if !p.readable() {
		return peekNothing
	}
	if p.s.raw.Control(p.s.look) != nil {
		return peekBroken
	}
	return p.s.got
}
