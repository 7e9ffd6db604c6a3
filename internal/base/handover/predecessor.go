package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Predecessor is the process whose place this process takes.
type Predecessor struct {
	words  *bufio.Reader
	from   *os.File
	to     *os.File
	stderr *os.File // its standard error; nil: this process has it already
	lock   *os.File // nil: none
	node   string
}

// Inherit returns the listening sockets that another process passed: the old process of an upgrade, or
// systemd (LISTEN_FDS). The Predecessor is nil if there is no upgrade. Call Inherit once, at the start of the process.
func Inherit() (*Sockets, *Predecessor, error) {
	s := new(Sockets)
	text := os.Getenv(variable)
	if text == "" {
		for _, f := range activation.Files(true) {
			if err := s.inherit(Socket{Name: f.Name(), Systemd: true}, f); err != nil {
				return nil, nil, fmt.Errorf("LISTEN_FDS: %w", err)
			}
		}
		return s, nil, nil
	}
	_ = os.Unsetenv(variable)
	var m manifest
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.From < 3 || m.To < 3 {
		return nil, nil, fmt.Errorf("%s is set, and not by smartlb: unset it", variable)
	}
	p := &Predecessor{from: pipe(m.From), to: pipe(m.To), stderr: file(m.Stderr), lock: file(m.Lock), node: m.Node}
	p.words = bufio.NewReader(p.from)
	for _, one := range m.Sockets {
		if err := s.inherit(one.Socket, file(one.FD)); err != nil {
			return nil, nil, err
		}
	}
	return s, p, nil
}

// file returns an inherited descriptor, nil for none. Programs that this process starts do not inherit it.
func file(fd int) *os.File {
	if fd < 3 {
		return nil
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "inherited")
}

// pipe is file for a pipe on which deadlines work.
func pipe(fd int) *os.File {
	_ = syscall.SetNonblock(fd, true) // an error leaves a pipe without deadlines
	return file(fd)
}

// Lock returns the file of the lock that the old process passed; nil: none.
func (p *Predecessor) Lock() *os.File { return p.lock }

// Node returns the id of the node.
func (p *Predecessor) Node() string { return p.node }

// errEnded means that the old process ended the upgrade, or has ended itself.
var errEnded = errors.New("the process that began the upgrade has ended it")

// Ready says that this process is ready, and blocks until it may accept connections. What this process writes to
// standard error goes directly to that of the old process from then on. After an error this process must end.
func (p *Predecessor) Ready(ctx context.Context) error {
	if p.stderr != nil {
		if err := p.takeStderr(); err != nil {
			return fmt.Errorf("standard error: %w", err)
		}
	}
	_ = p.to.SetWriteDeadline(time.Now().Add(time.Second)) // a pipe has room for a word
	if _, err := io.WriteString(p.to, wordReady+"\n"); err != nil {
		return errEnded
	}
	return p.await(ctx, wordAccept)
}

func (p *Predecessor) takeStderr() (err error) {
	raw, err := p.stderr.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = unix.Dup2(int(fd), 2) }); e != nil {
		return e
	}
	_ = p.stderr.Close()
	return err
}

// Own blocks until the old process has stopped what only one process may do. An error means that the process has
// ended without saying so, or has not said so before ctx ended; this process is the owner also then.
func (p *Predecessor) Own(ctx context.Context) error {
	err := p.await(ctx, wordOwn)
	_, _ = p.from.Close(), p.to.Close()
	return err
}

func (p *Predecessor) await(ctx context.Context, word string) error {
	defer context.AfterFunc(ctx, func() { _ = p.from.SetReadDeadline(time.Unix(1, 0)) })()
	line, err := p.words.ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return errEnded
	case strings.TrimSpace(line) != word:
		return fmt.Errorf("the process that began the upgrade says %q, want %q", strings.TrimSpace(line), word)
	}
	return nil
}
