package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
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

// Status asks all services.
func (r Runtime) Status(ctx context.Context) []Status {
	out := make([]Status, len(r.Services))
	for i, s := range r.Services {
		out[i] = s.Status(ctx)
	}
	return out
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
	for _, s := range r.Services {
		if st := s.Status(ctx); st.State == Running && st.Healthy {
			say("%s is running already (pid %d, %s)", s.Name(), st.PID, st.Address)
			continue
		}
		if err := r.startOne(ctx, s, say); err != nil {
			if s.Required() {
				return err
			}
			say("%v; going on without it", err)
		}
	}
	return nil
}

func (r Runtime) startOne(ctx context.Context, s Service, say func(string, ...any)) error {
	if err := s.Start(ctx); err != nil {
		return fmt.Errorf("start %s: %w", s.Name(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		st := s.Status(ctx)
		switch {
		case st.Healthy:
			say("%s is up (pid %d, %s)", s.Name(), st.PID, st.Address)
			return nil
		case st.State != Running:
			return fmt.Errorf("start %s: it ended at once:\n%s", s.Name(), lastLines(st.Log, 5))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: not healthy: %s", s.Name(), st.Detail)
		case <-tick.C:
		}
	}
}

// Stop stops what runs, in the opposite order.
func (r Runtime) Stop(ctx context.Context, say func(format string, args ...any)) error {
	release, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	var errs []error
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
	return errors.Join(errs...)
}

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
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return lockFile(ctx, filepath.Join(r.Dir, "stack.lock"))
}
