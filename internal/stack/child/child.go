// Package child runs other processes of this program as children. It restarts them with back-off when they end. It
// stops them with SIGTERM, then SIGKILL. A child ends when this process ends, for any reason, because each child reads
// a pipe that only this process holds open.
package child

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// Spec defines the process to run.
type Spec struct {
	Name    string
	Program string        // path of the binary
	Args    []string      // with the flag that makes the child watch its standard input
	Env     []string      // added to this process's environment
	Log     string        // file for its output; empty: discarded
	Stop    time.Duration // time between SIGTERM and SIGKILL, default 3 s
}

// Child is one supervised process.
type Child struct {
	spec     Spec
	log      *slog.Logger
	pid      atomic.Int64
	restarts atomic.Int64
}

// New returns a child that lives while Run runs.
func New(spec Spec, log *slog.Logger) *Child {
	if spec.Stop <= 0 {
		spec.Stop = 3 * time.Second
	}
	return &Child{spec: spec, log: log}
}

// Pid returns the process id, 0 if no process runs.
func (c *Child) Pid() int { return int(c.pid.Load()) }

// Restarts returns how often the process ended without being stopped.
func (c *Child) Restarts() int { return int(c.restarts.Load()) }

// stable is the run time after which the end of a process does not count as a failed start.
const stable = 10 * time.Second

// Run keeps the process running until ctx ends.
func (c *Child) Run(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > stable {
			attempt = 0
		}
		c.restarts.Add(1)
		c.log.Warn("child ended, starting it again", "child", c.spec.Name, "error", err, "log", c.spec.Log)
		if !backoff.Default().Wait(ctx, attempt) {
			return nil
		}
	}
}

// once runs the process until it or ctx ends.
func (c *Child) once(ctx context.Context) error {
	out, err := c.output()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(c.spec.Program, c.spec.Args...)
	cmd.Env = append(os.Environ(), c.spec.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // this process forwards Ctrl-C from the terminal
	hold, err := cmd.StdinPipe()                          // closes with this process
	if err != nil {
		return err
	}
	defer hold.Close()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.pid.Store(int64(cmd.Process.Pid))
	defer c.pid.Store(0)
	done := make(chan struct{})
	var ended error // set before done is closed
	go func() { defer close(done); ended = cmd.Wait() }()
	select {
	case <-done:
		return fmt.Errorf("%s: %w", c.spec.Name, orEnded(ended))
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(c.spec.Stop)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		_ = cmd.Process.Kill()
		<-done
	}
	return nil
}

func orEnded(err error) error {
	if err == nil {
		return fmt.Errorf("ended with status 0")
	}
	return err
}

func (c *Child) output() (io.WriteCloser, error) {
	if c.spec.Log == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err := os.MkdirAll(filepath.Dir(c.spec.Log), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(c.spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// WithParent returns a context that ends when standard input ends: in a child started by Run, this is the end of its
// parent. The caller must call cancel.
func WithParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the process: a read cannot be cancelled
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}
