package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// netConn is what *net.TCPConn and *net.UnixConn have in common.
type netConn interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

var (
	_ netConn = (*net.TCPConn)(nil)
	_ netConn = (*net.UnixConn)(nil)
)

// unixPeer is the address of each client of a Unix socket: such a client is a process of this machine.
var unixPeer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// unixAddr is the address of a Unix socket as the configuration writes it.
type unixAddr string

func (unixAddr) Network() string  { return "unix" }
func (a unixAddr) String() string { return "unix:" + string(a) }

// Addr returns the bound address.
func (l *listener) Addr() net.Addr {
	if a, ok := l.Listener.Addr().(*net.UnixAddr); ok {
		return unixAddr(a.Name)
	}
	return l.Listener.Addr()
}

// setMode sets the mode of the file of a Unix socket, if the configuration has one.
func setMode(l Listener) error {
	network, at := upstream.SplitAddress(l.Addr)
	if network != "unix" || l.Mode == 0 {
		return nil
	}
	return os.Chmod(at, l.Mode)
}

// removeStale removes the file of a Unix socket on which no process listens: the process was killed before it could
// remove the file.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket; remove it, or use another path", path)
	}
	switch nc, err := net.DialTimeout("unix", path, time.Second); {
	case err == nil:
		_ = nc.Close()
		return fmt.Errorf("another process listens on %s; stop it, or use another path", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s is in use, perhaps by another process: %w", path, err)
	}
	return os.Remove(path)
}
