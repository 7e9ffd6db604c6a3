// Package holder finds the process that listens on a port.
package holder

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Of returns ": in use by NAME, pid PID" for the process that listens on addr's port, if /proc shows it; otherwise it
// is empty.
func Of(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return ""
	}
	inode := listeningInode(tcp.Port)
	if inode == "" {
		return ""
	}
	sockets, _ := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	for _, fd := range sockets {
		if link, err := os.Readlink(fd); err != nil || link != "socket:["+inode+"]" {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf(": in use by %s, pid %s", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// PortError adds to err the process that uses the port, if known, and the flag that chooses another port. It returns
// other errors, and nil, unchanged.
func PortError(err error, flag string) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("%w%s (choose another address with %s)", err, Of(op.Addr), flag)
	}
	return err
}

// listeningInode finds the inode of the socket that listens on a port in /proc/net/tcp{,6}.
func listeningInode(port int) string {
	const listen = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(b), "\n") {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == listen {
				if _, err := strconv.Atoi(f[9]); err == nil {
					return f[9]
				}
			}
		}
	}
	return ""
}

// At is Of for an address as text.
func At(address string) string {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return ""
	}
	return Of(tcp)
}
