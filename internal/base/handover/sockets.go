package handover

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket describes a listening socket.
type Socket struct {
	Kind    string `json:"kind"`    // of the listener, such as proxy; each kind has its own names
	Name    string `json:"name"`    // of the listener, or of the descriptor that systemd passed
	Address string `json:"address"` // as the configuration writes it: host:port or unix:/path
	Systemd bool   `json:"systemd,omitempty"`
}

// Sockets are the listening sockets of a process: the open ones, and inherited ones that no listener uses yet. The zero
// value has none. It is safe for concurrent use.
type Sockets struct {
	mu        sync.Mutex
	inherited []inherited
	open      []*listener
}

// inherited is a socket from another process. A socket of systemd stays here after a listener took it, because systemd
// keeps it open too: a listener that was closed may be opened again.
type inherited struct {
	Socket
	file  *os.File
	bound net.Addr
	taken bool
}

// listener is an open socket.
type listener struct {
	net.Listener
	Socket
	of *Sockets
}

// SyscallConn gives access to the options of the socket.
func (l *listener) SyscallConn() (syscall.RawConn, error) {
	c, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T is not a socket", l.Listener)
	}
	return c.SyscallConn()
}

// Listen returns a listener for a name and an address. It uses an inherited socket if one matches, otherwise open. A
// socket of the old process matches by kind and address. A socket of systemd matches by name or address; the name
// counts more.
func (s *Sockets) Listen(kind, name, address string, open func() (net.Listener, error)) (net.Listener, error) {
	l := &listener{Socket: Socket{Kind: kind, Name: name, Address: address}, of: s}
	var err error
	if l.Listener, l.Systemd, err = s.take(l.Socket); err != nil {
		return nil, err
	}
	if l.Listener == nil {
		if l.Listener, err = open(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, l)
	return l, nil
}

// take returns a listener on the inherited socket that matches best; nil: none matches.
func (s *Sockets) take(want Socket) (_ net.Listener, systemd bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	best, score := -1, 0
	for i, in := range s.inherited {
		if m := in.match(want); m > score {
			best, score = i, m
		}
	}
	if best < 0 {
		return nil, false, nil
	}
	in := &s.inherited[best]
	l, err := net.FileListener(in.file) // a duplicate
	if err != nil {
		return nil, false, fmt.Errorf("inherited socket %s: %w", in.Name, err)
	}
	in.taken = true
	if !in.Systemd {
		_ = in.file.Close()
		s.inherited = slices.Delete(s.inherited, best, best+1)
		return l, false, nil
	}
	return l, true, nil
}

// match returns how well a socket fits a listener; 0: not at all.
func (in inherited) match(want Socket) int {
	named := in.Name == want.Name
	if in.Systemd {
		fits := sameAddress(in.bound, want.Address)
		switch {
		case named && fits:
			return 3
		case named:
			return 2
		case fits:
			return 1
		}
		return 0
	}
	switch {
	case in.Kind != want.Kind || in.Address != want.Address:
		return 0
	case named:
		return 2
	case strings.HasSuffix(want.Address, ":0"): // a free port belongs to a name
		return 0
	}
	return 1
}

// sameAddress reports whether a socket is bound to a configured address. A host name never matches.
func sameAddress(bound net.Addr, address string) bool {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		a, is := bound.(*net.UnixAddr)
		return is && a.Name == path
	}
	a, is := bound.(*net.TCPAddr)
	host, port, err := net.SplitHostPort(address)
	if !is || err != nil || port != fmt.Sprint(a.Port) {
		return false
	}
	if host == "" {
		return a.IP.IsUnspecified()
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap() == a.AddrPort().Addr().Unmap()
}

// Close closes the socket in this process.
func (l *listener) Close() error {
	l.of.mu.Lock()
	l.of.open = slices.DeleteFunc(l.of.open, func(o *listener) bool { return o == l })
	l.of.mu.Unlock()
	return l.Listener.Close()
}

// files returns duplicates of all sockets for a new process. The caller closes them.
func (s *Sockets) files() (_ []Socket, files []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Socket
	add := func(one Socket, c syscall.Conn) {
		if err != nil {
			return
		}
		var f *os.File
		if f, err = duplicate(c); err != nil {
			err = fmt.Errorf("socket %s: %w", one.Name, err)
			return
		}
		all, files = append(all, one), append(files, f)
	}
	for _, l := range s.open {
		if c, ok := l.Listener.(syscall.Conn); ok && !l.Systemd { // those of systemd follow
			add(l.Socket, c)
		}
	}
	for _, in := range s.inherited {
		add(in.Socket, in.file)
	}
	if err != nil {
		closeAll(files)
		return nil, nil, err
	}
	return all, files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// duplicate returns a duplicate of a descriptor. File of package net would do so too, but os.File.Fd sets its descriptor
// to blocking mode, and with it the one of the listener, which shares it.
func duplicate(c syscall.Conn) (*os.File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if e := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// Leave leaves the files of Unix sockets to the new process: closing a socket does not remove its file any more.
func (s *Sockets) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.open {
		l.removeFile(false)
	}
}

// Own makes this process the owner of the sockets: closing a Unix socket removes its file, except for a socket of
// systemd. It closes the sockets of the old process that no listener uses, and returns their addresses.
func (s *Sockets) Own() (unused []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.open {
		l.removeFile(!l.Systemd)
	}
	s.inherited = slices.DeleteFunc(s.inherited, func(in inherited) bool {
		if in.Systemd {
			return false
		}
		unused = append(unused, in.Address)
		if l, err := net.FileListener(in.file); err == nil {
			(&listener{Listener: l}).removeFile(true)
			_ = l.Close()
		}
		_ = in.file.Close()
		return true
	})
	return unused
}

// removeFile sets whether closing a Unix socket removes its file.
func (l *listener) removeFile(yes bool) {
	if u, ok := l.Listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(yes)
	}
}

// Unused returns the names of the sockets of systemd that no listener has used.
func (s *Sockets) Unused() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.inherited {
		if in.Systemd && !in.taken {
			names = append(names, in.Name)
		}
	}
	return names
}

// inherit adds a socket that another process opened.
func (s *Sockets) inherit(one Socket, f *os.File) error {
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("inherited descriptor %s is no listening stream socket: %w", one.Name, err)
	}
	defer l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited = append(s.inherited, inherited{Socket: one, file: f, bound: l.Addr()})
	return nil
}
