package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// Process is a service that is one process of its own session.
type Process struct {
	ID      string                   // name of the service, and of its files in Dir
	Must    bool                     // required
	Dir     string                   // of pid file, ready file and log
	Command func() ([]string, error) // program and arguments, asked for at each start; --ready-file PATH is appended when Ready
	Ready   bool                     // the program writes a Readiness when it serves
	Grace   time.Duration
	Healthy func(ctx context.Context, address string) error // one health check; must be bounded
	Address string                                          // where it serves, unless its Readiness says
	Environ []string                                        // of the process; nil: this one's
	MaxLog  int64                                           // a larger log is put aside at start; default 10 MiB
}

// Readiness is what a program writes into its ready file when it serves.
type Readiness struct {
	PID      int    `json:"pid"`
	Address  string `json:"address"`
	Internal string `json:"internal,omitempty"`
}

// WriteReady writes a ready file, atomically.
func WriteReady(path string, r Readiness) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, append(b, '\n'), 0o644)
}

// ReadReady reads a ready file.
func ReadReady(path string) (Readiness, error) {
	var r Readiness
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

// record is a pid file.
type record struct {
	PID     int       `json:"pid"`
	Born    string    `json:"born"` // when the system started the process, in its own words
	Started time.Time `json:"started"`
	Command []string  `json:"command"`
}

var _ Service = (*Process)(nil)

// Name implements Service.
func (p *Process) Name() string { return p.ID }

// Required implements Service.
func (p *Process) Required() bool { return p.Must }

func (p *Process) pidPath() string   { return filepath.Join(p.Dir, p.ID+".pid") }
func (p *Process) readyPath() string { return filepath.Join(p.Dir, p.ID+".ready") }
func (p *Process) logPath() string   { return filepath.Join(p.Dir, p.ID+".log") }

// read returns the pid file and whether its process still lives.
func (p *Process) read() (record, bool) {
	var r record
	b, err := os.ReadFile(p.pidPath())
	if err != nil || json.Unmarshal(b, &r) != nil || r.PID <= 1 {
		return record{}, false
	}
	born, err := birth(r.PID)
	return r, err == nil && born == r.Born
}

// Start implements Service.
func (p *Process) Start(context.Context) error {
	if _, alive := p.read(); alive {
		return nil
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	if err := os.Remove(p.readyPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log, err := p.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	line, err := p.Command()
	if err != nil {
		return err
	}
	if p.Ready {
		line = append(line, "--ready-file", p.readyPath())
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = log, log, p.Environ, p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C of our terminal is not meant for it
	if err := cmd.Start(); err != nil {
		return err
	}
	born, err := birth(cmd.Process.Pid)
	if err == nil {
		err = p.write(record{PID: cmd.Process.Pid, Born: born, Started: time.Now().UTC(), Command: cmd.Args})
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	go cmd.Wait() // ends with the process, or with us: only so that one that dies early is no zombie
	return nil
}

func (p *Process) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return renameio.WriteFile(p.pidPath(), append(b, '\n'), 0o644)
}

func (p *Process) openLog() (*os.File, error) {
	limit := p.MaxLog
	if limit <= 0 {
		limit = 10 << 20
	}
	if info, err := os.Stat(p.logPath()); err == nil && info.Size() > limit {
		if err := os.Rename(p.logPath(), p.logPath()+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(p.logPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}

// Stop implements Service: SIGTERM, and SIGKILL to its session after Grace.
func (p *Process) Stop(ctx context.Context) error {
	r, alive := p.read()
	if !alive {
		return p.forget()
	}
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	grace := p.Grace
	if grace <= 0 {
		grace = 20 * time.Second
	}
	if p.wait(ctx, grace) {
		return p.forget()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, alive := p.read(); alive {
		if err := syscall.Kill(-r.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	if !p.wait(ctx, 5*time.Second) {
		return fmt.Errorf("process %d does not end", r.PID)
	}
	return p.forget()
}

// wait reports whether the process ended in time.
func (p *Process) wait(ctx context.Context, d time.Duration) bool {
	limit := time.NewTimer(d)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, alive := p.read(); !alive {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-limit.C:
			return false
		case <-tick.C:
		}
	}
}

func (p *Process) forget() error {
	for _, path := range []string{p.pidPath(), p.readyPath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Status implements Service.
func (p *Process) Status(ctx context.Context) Status {
	st := Status{Name: p.ID, Required: p.Must, State: Stopped, Address: p.Address, Log: p.logPath()}
	r, alive := p.read()
	if !alive {
		if r.PID != 0 {
			st.State, st.Detail = Failed, fmt.Sprintf("process %d is gone", r.PID)
		}
		return st
	}
	st.State, st.PID, st.Since = Running, r.PID, r.Started
	if p.Ready {
		ready, err := ReadReady(p.readyPath())
		if err != nil || ready.PID != r.PID {
			st.Detail = "not ready yet"
			return st
		}
		st.Address, st.Internal = ready.Address, ready.Internal
	}
	if p.Healthy != nil {
		if err := p.Healthy(ctx, st.Address); err != nil {
			st.Detail = err.Error()
			return st
		}
	}
	st.Healthy = true
	return st
}

// lastLines returns the end of a log for an error message.
func lastLines(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
