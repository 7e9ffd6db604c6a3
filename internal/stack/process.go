package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/stack/holder"
)

// Process is a service that is one process with its own session.
type Process struct {
	ID      string                   // name of the service, and of its files in Dir
	Must    bool                     // required
	Dir     string                   // folder of pid file, ready file and log
	Command func() ([]string, error) // program and arguments, called at each start; --ready-file PATH is appended if Ready
	Ready   bool                     // the program writes a Readiness when it is ready
	Grace   time.Duration
	Healthy func(ctx context.Context, address string) error // one health check; must be bounded
	Address string                                          // address of the service, unless its Readiness contains one
	Environ []string                                        // environment of the process; nil: that of this process
	MaxLog  int64                                           // a larger log is rotated at start; default 10 MiB

	OwnLog  bool                                 // the program writes its log file; its output goes to another file, ending in .out
	Prepare func(ctx context.Context) error      // called before each start, while the process does not run; must be bounded
	Binds   []string                             // addresses that must be free before the start
	Inspect func(ctx context.Context, s *Status) // adds to the status of a running process; must be bounded
}

// Readiness is the content of a program's ready file, written when the program serves.
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
	return renameio.WriteFile(path, append(b, '\n'), 0o600)
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

// record is the content of a pid file.
type record struct {
	PID     int       `json:"pid"`
	Born    string    `json:"born"` // start time of the process as the system reports it
	Started time.Time `json:"started"`
	Command []string  `json:"command"`

	Restarts int              `json:"restarts,omitempty"` // by the supervisor, since the last start by a command
	Logs     map[string]int64 `json:"logs,omitempty"`     // sizes of its logs before the process wrote to them
}

var _ Service = (*Process)(nil)

// Name implements Service.
func (p *Process) Name() string { return p.ID }

// Required implements Service.
func (p *Process) Required() bool { return p.Must }

func (p *Process) pidPath() string   { return filepath.Join(p.Dir, p.ID+".pid") }
func (p *Process) readyPath() string { return filepath.Join(p.Dir, p.ID+".ready") }
func (p *Process) logPath() string   { return filepath.Join(p.Dir, p.ID+".log") }

// outPath returns the file for the output of the process.
func (p *Process) outPath() string {
	if p.OwnLog {
		return filepath.Join(p.Dir, p.ID+".out")
	}
	return p.logPath()
}

// read returns the pid file and whether its process lives.
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
func (p *Process) Start(ctx context.Context) error { return p.start(ctx, 0) }

// Crashed reports whether the process ended without being stopped.
func (p *Process) Crashed() bool {
	r, alive := p.read()
	return r.PID != 0 && !alive
}

// Restart starts a crashed process and counts the restart.
func (p *Process) Restart(ctx context.Context) error {
	r, _ := p.read()
	return p.start(ctx, r.Restarts+1)
}

func (p *Process) start(ctx context.Context, restarts int) error {
	last, alive := p.read()
	if alive {
		return nil
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	if err := os.Remove(p.readyPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := p.portsFree(ctx, last.PID != 0); err != nil {
		return err
	}
	if p.Prepare != nil {
		if err := p.Prepare(ctx); err != nil {
			return err
		}
	}
	out, err := p.openOut()
	if err != nil {
		return err
	}
	defer out.Close()
	before := p.sizes()
	line, err := p.Command()
	if err != nil {
		return err
	}
	if p.Ready {
		line = append(line, "--ready-file", p.readyPath())
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = out, out, p.Environ, p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C in this terminal must not reach it
	if err := cmd.Start(); err != nil {
		return err
	}
	born, err := birth(cmd.Process.Pid)
	if errors.Is(err, os.ErrProcessDone) {
		born, err = "ended at once", nil // its log contains the reason
	}
	if err == nil {
		err = p.write(record{PID: cmd.Process.Pid, Born: born, Started: time.Now().UTC(), Command: cmd.Args, Restarts: restarts, Logs: before})
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	go func() { _ = cmd.Wait() }() // ends with the child or with this process; it only prevents a zombie
	return nil
}

// portsFree reports which of the addresses is in use, and by which process. Threads of a killed process may hold its
// sockets a little longer than the process lives.
func (p *Process) portsFree(ctx context.Context, died bool) error {
	const linger = 2 * time.Second
	for began := time.Now(); ; {
		err := tryPorts(p.Binds)
		if err == nil || !died || time.Since(began) > linger {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func tryPorts(addresses []string) error {
	var errs []error
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w%s", err, holder.At(a)))
			continue
		}
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (p *Process) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return renameio.WriteFile(p.pidPath(), append(b, '\n'), 0o600)
}

func (p *Process) openOut() (*os.File, error) {
	if p.outIsLarge() {
		if err := os.Rename(p.outPath(), p.outPath()+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(p.outPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

func (p *Process) outIsLarge() bool {
	limit := p.MaxLog
	if limit <= 0 {
		limit = 10 << 20
	}
	info, err := os.Stat(p.outPath())
	return err == nil && info.Size() > limit
}

// turnOver copies the output of the process to a file ending in .1, and empties the file, to which the process keeps
// appending. Output between the two steps is lost.
func (p *Process) turnOver() error {
	if !p.outIsLarge() {
		return nil
	}
	f, err := os.OpenFile(p.outPath(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	to, err := os.Create(p.outPath() + ".1")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, f)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return f.Truncate(0)
}

// logs lists the log files of the process, its output file first.
func (p *Process) logs() []string {
	if p.OwnLog {
		return []string{p.outPath(), p.logPath()}
	}
	return []string{p.logPath()}
}

func (p *Process) sizes() map[string]int64 {
	sizes := map[string]int64{}
	for _, path := range p.logs() {
		if info, err := os.Stat(path); err == nil {
			sizes[path] = info.Size()
		}
	}
	return sizes
}

// Why returns why the process ended: its last logged error since the start, and the likely cause.
func (p *Process) Why() string {
	r, _ := p.read()
	var text strings.Builder
	for _, path := range p.logs() {
		s, err := tail(path, r.Logs[path])
		if err != nil {
			return err.Error()
		}
		text.WriteString(s)
	}
	last, advice := failure(text.String())
	if last == "" && p.OwnLog {
		last = "its log names no error, so it may have been killed; it ends with: " + lastLine(text.String())
	}
	last = cmp.Or(last, lastLine(text.String()), "it said nothing")
	if advice != "" {
		last += "\nlikely cause: " + advice
	}
	return last + "\nmore is in " + p.logPath()
}

// Stop implements Service: it sends SIGTERM, and SIGKILL to the session after Grace.
func (p *Process) Stop(ctx context.Context) error {
	r, alive := p.read()
	if !alive {
		return p.forget()
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} { // a suspended process handles SIGTERM only after SIGCONT
		if err := syscall.Kill(r.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
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

// wait reports whether the process ended within d.
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
			st.State, st.Detail = Failed, fmt.Sprintf("process %d is gone: %s", r.PID, p.Why())
		}
		return st
	}
	st.State, st.PID, st.Since, st.Restarts, st.Memory = Running, r.PID, r.Started, r.Restarts, memory(r.PID)
	if suspended(r.PID) {
		st.Detail = fmt.Sprintf("suspended by a signal; kill -CONT %d lets it go on", r.PID)
		return st
	}
	if p.Ready {
		ready, err := ReadReady(p.readyPath())
		if err != nil || ready.PID != r.PID {
			st.Detail = "not ready yet"
			return st
		}
		st.Address, st.Internal = ready.Address, ready.Internal
	}
	if p.Inspect != nil {
		p.Inspect(ctx, &st)
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
