// Package program builds the program under test, starts it and reads its log. Tests of whole processes use it.
package program

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Main builds the program, stores its path in binary and runs the tests of a package. It ends the process with their
// exit code.
func Main(m *testing.M, binary *string) {
	dir, err := os.MkdirTemp("", "smartlb-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	*binary = filepath.Join(dir, "smartlb")
	build := exec.Command("go", "build", "-o", *binary, "../../cmd/smartlb")
	build.Stderr = os.Stderr
	code := 1
	if build.Run() == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// remembered is the highest number of log lines that a Process keeps.
const remembered = 20_000

// Process is a running smartlb. It reads the process's log, in JSON on stderr. Its methods are safe for concurrent use.
type Process struct {
	Cmd   *exec.Cmd
	Ready <-chan struct{} // closed when the process logs that it is ready
	Done  <-chan struct{} // closed when the process has ended

	mu   sync.Mutex
	log  []string
	addr map[string]string
}

// Start starts a command. The command must write its log in JSON.
func Start(cmd *exec.Cmd) (*Process, error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready, done := make(chan struct{}), make(chan struct{})
	p := &Process{Cmd: cmd, Ready: ready, Done: done, addr: map[string]string{}}
	go func() {
		defer close(done)
		p.read(stderr, sync.OnceFunc(func() { close(ready) }))
		_ = cmd.Wait()
	}()
	return p, nil
}

func (p *Process) read(r io.Reader, ready func()) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct{ Msg, Name, Address string }
		_ = json.Unmarshal(lines.Bytes(), &entry)
		p.mu.Lock()
		if p.log = append(p.log, lines.Text()); len(p.log) > remembered {
			p.log = slices.Delete(p.log, 0, remembered/2)
		}
		if entry.Msg == "listening" {
			p.addr[entry.Name] = entry.Address
		}
		p.mu.Unlock()
		if entry.Msg == "ready" {
			ready()
		}
	}
}

// Stop sends a signal to the process and reports whether the process ended within limit.
func (p *Process) Stop(sig os.Signal, limit time.Duration) bool {
	_ = p.Cmd.Process.Signal(sig)
	select {
	case <-p.Done:
		return true
	case <-time.After(limit):
		return false
	}
}

// Kill kills the process and waits until it has ended.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.Done
}

// Address returns the address of the listener with that name; empty: it does not listen.
func (p *Process) Address(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr[name]
}

// Log returns the lines that the process has logged.
func (p *Process) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// Said reports whether a log line contains the text.
func (p *Process) Said(text string) bool {
	return slices.ContainsFunc(p.Log(), func(l string) bool { return strings.Contains(l, text) })
}
