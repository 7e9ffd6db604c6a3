package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/state"
)

// State is the state of a service.
type State string

// States.
const (
	Stopped State = "stopped"
	Running State = "running"
	Failed  State = "failed" // it was started and has ended
)

// Status is the current state of a service.
type Status struct {
	Name     string    `json:"name"`
	Required bool      `json:"required"` // the stack cannot be used without it
	State    State     `json:"state"`
	Healthy  bool      `json:"healthy"`
	Detail   string    `json:"detail,omitempty"` // result of the health check
	PID      int       `json:"pid,omitempty"`
	Address  string    `json:"address,omitempty"`
	Internal string    `json:"internal,omitempty"` // second address, for containers
	Since    time.Time `json:"since,omitzero"`
	Log      string    `json:"log,omitempty"` // path

	Version   string     `json:"version,omitempty"`
	Mode      string     `json:"mode,omitempty"`   // ZooKeeper's mode: standalone, leader, ...
	Memory    int64      `json:"memory,omitempty"` // resident bytes
	Restarts  int        `json:"restarts"`         // after crashes, since its start
	Listeners []Listener `json:"listeners,omitempty"`
	Data      string     `json:"data,omitempty"` // data folder
}

// Listener is an address of a broker, and the address that it advertises.
type Listener struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	Advertise string `json:"advertise"`
}

// Service is one service of a runtime. Start and Stop are idempotent and return when the process runs or has ended;
// Status checks health separately.
type Service interface {
	Name() string
	Required() bool
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Status(ctx context.Context) Status // its Healthy is the result of one health check
}

// Runtime is one way to run the stack.
type Runtime struct {
	Name     string    // embedded, jvm, docker or external
	Services []Service // in start order
	Lacks    string    // limits of this runtime, as a sentence; may be empty
	Dir      string    // state folder

	Mode       string          // zookeeper or kraft, if the runtime has modes
	After      map[string]Step // by service: step after it is healthy, at every start
	Supervisor *Process        // restarts crashed services; nil: no restarts
}

// Step is work between the starts of two services. It must be bounded and idempotent.
type Step struct {
	Name string
	Run  func(ctx context.Context) (done string, err error)
}

// ErrUnknown means that a runtime does not have the service.
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
	return nil, fmt.Errorf("%w: %s; the %s runtime has %s", ErrUnknown, name, r.Name, strings.Join(r.Names(), ", "))
}

// Names lists the services.
func (r Runtime) Names() []string {
	names := make([]string, len(r.Services))
	for i, s := range r.Services {
		names[i] = s.Name()
	}
	return names
}

// Status returns the status of all services, and of the supervisor while a service runs: without the supervisor,
// crashed services are not restarted.
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

// startTimeout bounds the time until a service is healthy. A broker that was killed reads its whole log first.
const startTimeout = 2 * time.Minute

// Start starts the services that do not run, each after those before it are healthy. A service that is not required may
// fail; Start then calls say with the error.
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

// bring starts one service, waits until it is healthy, and runs its step.
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

// ErrStopped ends a start because another command stops the stack.
var ErrStopped = errors.New("stopped by another command")

// explainer is a service that can report why it ended.
type explainer interface{ Why() string }

func (r Runtime) startOne(ctx context.Context, s Service, say func(string, ...any)) error {
	began := time.Now()
	dying := s.Status(ctx).PID // it runs but is not healthy: it may be about to end
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
	startWords = 5 * time.Second // longest time without output during a start
)

// Stop stops the running services in reverse order. A start in progress is aborted.
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
	if r.Supervisor != nil { // stopped first, so that it restarts no service
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

// stopPath returns the file that exists while a command stops the stack.
func (r Runtime) stopPath() string { return filepath.Join(r.Dir, "stopping") }

// Dir returns the folder of the stack's state: SMARTLB_STATE_DIR, or smartlb/stack below XDG_STATE_HOME, or below
// ~/.local/state.
func Dir(getenv func(string) string) (string, error) {
	if d := getenv("SMARTLB_STATE_DIR"); d != "" {
		return filepath.Abs(d)
	}
	base := state.UserFolder(getenv, "XDG_STATE_HOME", ".local/state")
	if base == "" {
		return "", errors.New("neither SMARTLB_STATE_DIR nor XDG_STATE_HOME nor HOME says where to keep state")
	}
	return filepath.Join(base, "smartlb", "stack"), nil
}

// lock prevents a second start or stop while one is in progress.
func (r Runtime) lock(ctx context.Context) (release func(), err error) {
	if err := makeFolder(r.Dir); err != nil {
		return nil, err
	}
	release, err = state.Lock(ctx, filepath.Join(r.Dir, "stack.lock"))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("another command is starting or stopping the stack: %w", err)
	case err != nil:
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return release, nil
}
