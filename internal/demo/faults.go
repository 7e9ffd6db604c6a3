package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
)

// setTimeout limits how long Set waits for an instance. It is as long as a call of the API may take.
const setTimeout = 10 * time.Second

// Faults sets the faults of a fleet's instances and stores them.
type Faults struct {
	addr map[string]string
	turn chan struct{} // holds an item during a request to an instance
	mu   sync.Mutex
	set  map[string]Fault
}

// NewFaults returns the Faults of a fleet.
func NewFaults(fleet []Group) *Faults {
	f := &Faults{addr: map[string]string{}, turn: make(chan struct{}, 1), set: map[string]Fault{}}
	for _, g := range fleet {
		for _, in := range g.Instances {
			f.addr[in.ID] = in.Addr
		}
	}
	return f
}

// Known reports whether the instance exists.
func (f *Faults) Known(instance string) bool { _, ok := f.addr[instance]; return ok }

// Set sets the fault of an instance; nil removes it. It sends one request at a time, so that the stored fault is the
// fault that the instance received last.
func (f *Faults) Set(ctx context.Context, instance string, fault *Fault) error {
	addr, ok := f.addr[instance]
	if !ok {
		return fmt.Errorf("there is no demo instance %q", instance)
	}
	method, body := http.MethodDelete, []byte(nil)
	if fault != nil {
		method = http.MethodPut
		var err error
		if body, err = json.Marshal(fault); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return fmt.Errorf("demo instance %s: %w", instance, context.Cause(ctx))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+FaultPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("demo instance %s: %w", instance, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("demo instance %s answered %s", instance, resp.Status)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault == nil {
		delete(f.set, instance)
	} else {
		f.set[instance] = *fault
	}
	return nil
}

// All returns the current faults by instance.
func (f *Faults) All() map[string]Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.set)
}
