package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
)

// variable is the environment variable with the manifest.
const variable = "SMARTLB_HANDOVER"

// manifest tells a new process which descriptors it inherits. 0 stands for none.
type manifest struct {
	From    int      `json:"from"`             // pipe with the words of the old process
	To      int      `json:"to"`               // pipe for the words of the new process
	Stderr  int      `json:"stderr,omitempty"` // standard error of the old process
	Lock    int      `json:"lock,omitempty"`   // file of a lock that the old process holds
	Node    string   `json:"node,omitempty"`   // id of the node
	Sockets []passed `json:"sockets"`
}

type passed struct {
	Socket
	FD int `json:"fd"`
}

// The words of both processes, each a line.
const (
	wordReady  = "ready"
	wordAccept = "accept"
	wordOwn    = "own"
)

// endWait is how long a process that was told to end before it was ready may take; then it is killed.
const endWait = 5 * time.Second

// Program is what Start starts.
type Program struct {
	Path    string // absolute
	Args    []string
	Sockets *Sockets
	Stderr  *os.File // standard error of this process
	Lock    *os.File // file of a lock that the new process keeps; nil: none
	Node    string   // id of the node
}

// Successor is a new process that is to take the place of this process.
type Successor struct {
	cmd    *exec.Cmd
	from   *os.File
	to     *os.File
	stderr *os.File // what the process writes before it is ready; nil: it writes to the terminal
	last   lastLines
	copied chan struct{} // closed when stderr has ended
}

// Start starts a program with the environment, standard input and output of this process, and passes its sockets. What
// the program writes to standard error goes to that of this process. The caller calls Await.
func Start(p Program) (_ *Successor, err error) {
	sockets, files, err := p.Sockets.files()
	defer closeAll(files)
	if err != nil {
		return nil, err
	}
	fromChild, toParent, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer toParent.Close()
	fromParent, toChild, err := os.Pipe()
	if err != nil {
		_ = fromChild.Close()
		return nil, err
	}
	defer fromParent.Close()
	s := &Successor{cmd: exec.Command(p.Path, p.Args...), from: fromChild, to: toChild, copied: make(chan struct{})}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	m := manifest{Node: p.Node}
	pass := func(f *os.File) int {
		s.cmd.ExtraFiles = append(s.cmd.ExtraFiles, f)
		return 2 + len(s.cmd.ExtraFiles)
	}
	m.From, m.To = pass(fromParent), pass(toParent)
	for i, f := range files {
		m.Sockets = append(m.Sockets, passed{sockets[i], pass(f)})
	}
	if p.Lock != nil {
		m.Lock = pass(p.Lock)
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = os.Stdin, os.Stdout, p.Stderr
	if !term.IsTerminal(int(p.Stderr.Fd())) { // a program whose standard error is a pipe would treat a terminal as a file later
		read, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer write.Close()
		m.Stderr, s.stderr, s.cmd.Stderr = pass(p.Stderr), read, write
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	s.cmd.Env = append(slices.DeleteFunc(os.Environ(), private), variable+"="+string(text))
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.copyStderr(p.Stderr)
	return s, nil
}

// private reports whether a variable describes descriptors of this process.
func private(variableAndValue string) bool {
	name, _, _ := strings.Cut(variableAndValue, "=")
	return name == variable || name == "LISTEN_PID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES"
}

// copyStderr passes on what the process writes to standard error until it has that of this process, which is to. It ends when the
// process has closed the pipe, or in close.
func (s *Successor) copyStderr(to io.Writer) {
	defer close(s.copied)
	if s.stderr != nil {
		_, _ = io.Copy(io.MultiWriter(to, &s.last), s.stderr)
	}
}

// PID returns the process id.
func (s *Successor) PID() int { return s.cmd.Process.Pid }

// Signal sends a signal to the process.
func (s *Successor) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// FailedError says why a process did not become ready. The process has ended.
type FailedError struct {
	Reason string
	Output string // the last lines that it wrote to standard error; empty: unknown
}

func (e *FailedError) Error() string { return e.Reason }

// Await blocks until the process is ready, and lets it accept connections. If the process ends before, or ctx ends, Await
// ends the process and returns a *FailedError.
func (s *Successor) Await(ctx context.Context) error {
	began := time.Now()
	said := make(chan string, 1)
	go func() { // ends in End at the latest
		line, _ := bufio.NewReader(s.from).ReadString('\n')
		said <- strings.TrimSpace(line)
	}()
	select {
	case word := <-said:
		if word == wordReady && s.say(wordAccept) == nil {
			return nil
		}
		err := s.End(endWait)
		return &FailedError{"the new process ended before it was ready: " + ending(err), s.last.String()}
	case <-ctx.Done():
	}
	_ = s.End(endWait)
	<-said
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &FailedError{fmt.Sprintf("the new process was not ready after %s and was ended", time.Since(began).Round(time.Second)), s.last.String()}
	}
	return &FailedError{"the new process was ended: " + ctx.Err().Error(), s.last.String()}
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// End ends the process and returns what Wait of os/exec returns. It sends SIGTERM, and kills the process after wait.
func (s *Successor) End(wait time.Duration) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	kill := time.AfterFunc(wait, func() { _ = s.cmd.Process.Kill() })
	err := s.cmd.Wait()
	kill.Stop()
	timer := time.NewTimer(time.Second) // a process that it started may keep the pipe open
	defer timer.Stop()
	select {
	case <-s.copied:
	case <-timer.C:
	}
	s.close()
	return err
}

// Own makes the process the owner of the place. Nothing else connects the two processes afterwards: no other method may
// be called.
func (s *Successor) Own() error {
	err := s.say(wordOwn)
	_, _ = s.to.Close(), s.from.Close()
	return errors.Join(err, s.cmd.Process.Release())
}

func (s *Successor) say(word string) error {
	_ = s.to.SetWriteDeadline(time.Now().Add(time.Second)) // a pipe has room for a word
	_, err := io.WriteString(s.to, word+"\n")
	return err
}

func (s *Successor) close() {
	_, _ = s.from.Close(), s.to.Close()
	if s.stderr != nil {
		_ = s.stderr.Close()
	}
}

// Bounds of lastLines.
const (
	mostLines = 5
	mostBytes = 2 << 10
)

// lastLines keeps the end of a text.
type lastLines struct {
	mu   sync.Mutex
	text []byte
}

// Write adds to the text. It never fails.
func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if len(l.text) > 2*mostBytes {
		l.text = slices.Clone(l.text[len(l.text)-mostBytes:])
	}
	return len(p), nil
}

// String returns the last lines.
func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(string(l.text[max(0, len(l.text)-mostBytes):]))
	lines := strings.Split(strings.ToValidUTF8(text, ""), "\n")
	return strings.Join(lines[max(0, len(lines)-mostLines):], "\n")
}
