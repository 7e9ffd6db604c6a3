//go:build unix && (!linux || !(amd64 || arm64) || smartlb_portable)

package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

const canPeek = true

func peek(tcp *net.TCPConn) (p peeked) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return peekEnd
	}
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN:
			p = peekNothing
		case err == nil && n > 0:
			p = peekBytes
		default:
			p = peekEnd
		}
	})
	if err != nil {
		return peekEnd
	}
	return p
}
