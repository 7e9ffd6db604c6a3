package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// listen binds the address of a listener. Binding does not wait. Closing the listener removes the file of a Unix socket.
func listen(l Listener) (net.Listener, error) {
	network, at := upstream.SplitAddress(l.Addr)
	var bind net.ListenConfig
	if l.ReusePort {
		bind.Control = func(_, _ string, c syscall.RawConn) error { return onSocket(c, reusePort) }
	}
	ln, err := bind.Listen(context.Background(), network, at)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) {
		if err = removeStale(at); err == nil {
			ln, err = net.Listen(network, at)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := setMode(l); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return ln, nil
}

func reusePort(fd int) error {
	return os.NewSyscallError("SO_REUSEPORT", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}

// setBacklog sets how many connections of an open listener may wait to be accepted. listen(2) may be called again.
func setBacklog(ln net.Listener, n int) error {
	if n <= 0 {
		return nil
	}
	c, ok := ln.(syscall.Conn)
	if !ok {
		return fmt.Errorf("backlog: %T is not a socket", ln)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return onSocket(raw, func(fd int) error { return os.NewSyscallError("listen", unix.Listen(fd, n)) })
}

func onSocket(c syscall.RawConn, do func(fd int) error) (err error) {
	return errors.Join(c.Control(func(fd uintptr) { err = do(int(fd)) }), err)
}

// keepAlive sets when TCP asks a silent client whether it is still there. The default of Go is 15 s.
func (l Listener) keepAlive(sock netConn) {
	if tcp, ok := sock.(*net.TCPConn); ok && l.KeepAlive > 0 {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: l.KeepAlive, Interval: l.KeepAlive / 3, Count: 3})
	}
}
