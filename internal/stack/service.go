package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/state"
)

// State of a service.
type State string

// States.
const (
	Stopped State = "stopped"
	Running State = "running"
	Failed  State = "failed" // it was started and is gone
)

// Status is how a service is now.
type Status struct {
	Name     string    `json:"name"`
	Required bool      `json:"required"` // the stack is of no use without it
	State    State     `json:"state"`
	Healthy  bool      `json:"healthy"`
	Detail   string    `json:"detail,omitempty"` // what the health check said
	PID      int       `json:"pid,omitempty"`
	Address  string    `json:"address,omitempty"`
	Internal string    `json:"internal,omitempty"` // second address, for containers
	Since    time.Time `json:"since,omitzero"`
	Log      string    `json:"log,omitempty"` // path

	Version   string     `json:"version,omitempty"`
	Mode      string     `json:"mode,omitempty"`   // of ZooKeeper: standalone, leader, ...
	Memory    int64      `json:"memory,omitempty"` // bytes of it that are in memory
	Restarts  int        `json:"restarts"`         // after crashes, since it was started
	Listeners []Listener `json:"listeners,omitempty"`
	Data      string     `json:"data,omitempty"` // folder
}

// Listener is an address of a broker, and what it tells clients to use.
type Listener struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Advertise string `json:"advertise"`
}

// Service is one service of a runtime. Start and Stop are idempotent and
// return when it runs or is gone; health is asked for separately.
type Service interface {
	Name() string
	Required() bool
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Status(ctx context.Context) Status // its Healthy is the answer of one health check
}

// Runtime is a way to run the stack.
type Runtime struct {
	Name     string    // embedded; later jvm, docker, external
	Services []Service // in the order in which they start
	Lacks    string    // what this runtime is not, as a sentence; may be empty
	Dir      string    // of its state

	Mode       string          // zookeeper or kraft, where there is a choice
	After      map[string]Step // by service: what follows when it is healthy, at every start
	Supervisor *Process        // starts services again that crash; nil: nobody does
}

// Step is work between two services. It must be bounded, and may be done any
// number of times.
type Step struct {
	Name string
	Run  func(ctx context.Context) (done string, err error)
}

// ErrUnknown names a service that a runtime does not have.
var ErrUnknown = errors.New("no such service")

// Find returns the service called name.
func (r Runtime) Find(name string) (Service, error) {
	for _, s := range r.Services {
		if s.Name() == name {
			return s, nil
		}
	}
	if r.Supervisor != nil && r.Supervisor.Name() == name {
		return r.Supervisor, nil
	}
	return nil, fmt.Errorf("%w: %s; the %s runtime has %v", ErrUnknown, name, r.Name, r.Names())
}

// Names lists the services.
func (r Runtime) Names() []string {
	names := make([]string, len(r.Services))
	for i, s := range r.Services {
		names[i] = s.Name()
	}
	return names
}

// Status asks all services, and the supervisor while one of them runs: without
// it nothing starts a service again that crashes.
func (r Runtime) Status(ctx context.Context) []Status {
	out := make([]Status, len(r.Services))
	var group sync.WaitGroup
	for i, s := range r.Services {
		group.Go(func() { out[i] = s.Status(ctx) })
	}
	group.Wait()
	if r.Supervisor == nil || !slices.ContainsFunc(out, func(s Status) bool { return s.State == Running }) {
		return out
	}
	s := r.Supervisor.Status(ctx)
	if s.State != Running {
		s.Detail = "not running: services that crash are not started again; `smartlb kafka start` starts it"
	}
	return append(out, s)
}

// startTimeout bounds how long a service may take to be healthy. A broker that
// was killed reads its whole log first.
const startTimeout = 2 * time.Minute

// Start starts what does not run, each service when those before it are
// healthy. A service that is not required may fail; it is told to say.
func (r Runtime) Start(ctx context.Context, say func(format string, args ...any)) error {
	release, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := os.Remove(r.stopPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state folder: %w", err)
	}
	for _, s := range r.Services {
		err := r.bring(ctx, s, say)
		if err == nil {
			continue
		}
		if s.Required() || ctx.Err() != nil || errors.Is(err, ErrStopped) {
			return err
		}
		say("%v; going on without it", err)
	}
	if r.Supervisor != nil {
		if err := r.Supervisor.Start(ctx); err != nil {
			return fmt.Errorf("start the supervisor: %w", err)
		}
	}
	return nil
}

// bring makes one service healthy, and does what follows it.
func (r Runtime) bring(ctx context.Context, s Service, say func(string, ...any)) error {
	if st := s.Status(ctx); st.State == Running && st.Healthy {
		say("%s is running already (pid %d, %s)", s.Name(), st.PID, st.Address)
	} else if err := r.startOne(ctx, s, say); err != nil {
		return err
	}
	step, ok := r.After[s.Name()]
	if !ok {
		return nil
	}
	done, err := step.Run(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", step.Name, err)
	}
	say("%s", done)
	return nil
}

// ErrStopped ends a start when somebody stops the stack meanwhile.
var ErrStopped = errors.New("stopped by another command")

// explainer is a service that can tell why it ended.
type explainer interface{ Why() string }

func (r Runtime) startOne(ctx context.Context, s Service, say func(string, ...any)) error {
	began := time.Now()
	dying := s.Status(ctx).PID // it runs, and is not well: it may be about to end
	if err := s.Start(ctx); err != nil {
		return fmt.Errorf("start %s: %w", s.Name(), err)
	}
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for said := began; ; {
		st := s.Status(limited)
		switch {
		case st.Healthy:
			say("%s is up (pid %d, %s, %.1f s)", s.Name(), st.PID, st.Address, time.Since(began).Seconds())
			return nil
		case st.State != Running && dying != 0:
			dying = 0
			if err := s.Start(ctx); err != nil {
				return fmt.Errorf("start %s: %w", s.Name(), err)
			}
			continue
		case st.State != Running:
			why := ""
			if e, ok := s.(explainer); ok {
				why = ":\n" + e.Why()
			}
			return fmt.Errorf("start %s: it ended at once%s", s.Name(), why)
		}
		if _, err := os.Stat(r.stopPath()); err == nil {
			return fmt.Errorf("start %s: %w", s.Name(), ErrStopped)
		}
		if time.Since(said) > startWords {
			said = time.Now()
			say("%s is starting, %.0f s: %s", s.Name(), time.Since(began).Seconds(), st.Detail)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w", s.Name(), ctx.Err())
		case <-limited.Done():
			return fmt.Errorf("start %s: not healthy after %s: %s", s.Name(), startTimeout, st.Detail)
		case <-tick.C:
		}
	}
}

const (
	startPoll  = 25 * time.Millisecond
	startWords = 5 * time.Second // how long a start may be silent
)

// Stop stops what runs, in the opposite order. A start that is under way gives
// up.
func (r Runtime) Stop(ctx context.Context, say func(format string, args ...any)) error {
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if err := os.WriteFile(r.stopPath(), nil, 0o600); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	release, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	var errs []error
	if r.Supervisor != nil { // it must not start what is about to end
		if err := r.Supervisor.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop the supervisor: %w", err))
		}
	}
	for _, s := range slices.Backward(r.Services) {
		was := s.Status(ctx)
		if err := s.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.Name(), err))
			continue
		}
		if was.State == Running {
			say("%s is stopped", s.Name())
		} else {
			say("%s was not running", s.Name())
		}
	}
	if err := os.Remove(r.stopPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// stopPath is a file that is there while somebody wants the stack to stop.
func (r Runtime) stopPath() string { return filepath.Join(r.Dir, "stopping") }

// Dir returns the folder of the stack's state: SMARTLB_STATE_DIR, or
// smartlb/stack below XDG_STATE_HOME, or below ~/.local/state.
func Dir(getenv func(string) string) (string, error) {
	if d := getenv("SMARTLB_STATE_DIR"); d != "" {
		return filepath.Abs(d)
	}
	base := getenv("XDG_STATE_HOME")
	if base == "" || !filepath.IsAbs(base) { // the XDG specification: relative paths are ignored
		home := getenv("HOME")
		if home == "" {
			return "", errors.New("neither SMARTLB_STATE_DIR nor XDG_STATE_HOME nor HOME says where to keep state")
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "smartlb", "stack"), nil
}

// lock keeps a second start or stop out while one is under way.
func (r Runtime) lock(ctx context.Context) (func(), error) {
	if err := makeFolder(r.Dir); err != nil {
		return nil, err
	}
	release, err := state.Lock(ctx, filepath.Join(r.Dir, "stack.lock"))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("another command is starting or stopping the stack: %w", err)
	case err != nil:
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return release, nil
}
