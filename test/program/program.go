// Package program builds the program under test, starts it and reads its log,
// for tests of whole processes.
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

// Main builds the program, stores its path in binary, runs the tests of a
// package and ends the process with their exit code.
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

// remembered is how many lines of a log are kept.
const remembered = 20_000

// Process is a running smartlb whose log, in JSON on its standard error, is read.
// Its methods may be called at the same time.
type Process struct {
	Cmd   *exec.Cmd
	Ready <-chan struct{} // closed when it says that it is ready
	Done  <-chan struct{} // closed when it has ended

	mu   sync.Mutex
	log  []string
	addr map[string]string
}

// Start starts a command, which must write its log in JSON.
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

// Stop signals the process and says whether it ended in time.
func (p *Process) Stop(sig os.Signal, patience time.Duration) bool {
	_ = p.Cmd.Process.Signal(sig)
	select {
	case <-p.Done:
		return true
	case <-time.After(patience):
		return false
	}
}

// Kill ends the process and returns when it has ended.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.Done
}

// Address is where a listener of that name listens; empty while it does not.
func (p *Process) Address(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr[name]
}

// Log is what the process has logged, a line each.
func (p *Process) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// Said says whether a line of the log contains the text.
func (p *Process) Said(text string) bool {
	return slices.ContainsFunc(p.Log(), func(l string) bool { return strings.Contains(l, text) })
}
