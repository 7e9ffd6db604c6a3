package connect

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Steady defines when the state of an applied or restarted connector counts as final. Workers answer before they act,
// and a task that will fail can run for a moment first.
type Steady struct {
	Poll time.Duration // interval of the requests
	For  time.Duration // the state must not change for this long; three times that for a connector without tasks
}

// DefaultSteady is for users who wait at a terminal.
func DefaultSteady() Steady { return Steady{Poll: 200 * time.Millisecond, For: 3 * time.Second} }

// Await waits until a connector and its tasks run, are paused or stopped, or fail, and stay in that state. It returns
// the last state that it received; an error if ctx ended first. A failed connector is not an error; Failed reports it.
func (c *Client) Await(ctx context.Context, name string, s Steady) (Connector, error) {
	var last Connector
	var since time.Time
	seen := ""
	for {
		now, err := c.Describe(ctx, name)
		switch {
		case err != nil && ctx.Err() != nil:
			return last, fmt.Errorf("connector %s is not settled: %s; see smartlb kafka connect describe %s", name, orUnknown(seen), name)
		case err != nil:
			return now, err
		}
		last = now
		if picture := now.Summary(); picture != seen {
			seen, since = picture, time.Now()
		}
		hold := s.For
		if len(now.Tasks) == 0 && now.State == "RUNNING" {
			hold *= 3
		}
		if now.settled() && time.Since(since) >= hold {
			return now, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.Poll):
		}
	}
}

func orUnknown(state string) string {
	if state == "" {
		return "its state is unknown"
	}
	return "it is " + state
}

// settled reports whether no part of the connector is about to change its state.
func (c Connector) settled() bool {
	if !isFinal(c.State) {
		return false
	}
	for _, t := range c.Tasks {
		if !isFinal(t.State) {
			return false
		}
	}
	return true
}

func isFinal(state string) bool {
	switch state {
	case "RUNNING", "FAILED", "PAUSED", "STOPPED":
		return true
	}
	return false
}

// Summary returns the state of the connector and of its tasks in a few words: "RUNNING, tasks: 1 RUNNING, 2 FAILED".
func (c Connector) Summary() string {
	if len(c.Tasks) == 0 {
		return c.State + ", no tasks"
	}
	return c.State + ", tasks: " + c.TaskStates()
}

// TaskStates counts the tasks by state, the most frequent word of Connect first:
// "1 RUNNING, 2 FAILED".
func (c Connector) TaskStates() string {
	count := map[string]int{}
	for _, t := range c.Tasks {
		count[t.State]++
	}
	var parts []string
	for _, state := range []string{"RUNNING", "FAILED", "PAUSED", "STOPPED", "UNASSIGNED", "RESTARTING", "DESTROYED"} {
		if n := count[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(parts, ", ")
}

// Problems lists each failed part of the connector with its cause in one line.
func (c Connector) Problems() []string {
	var out []string
	if c.State == "FAILED" {
		out = append(out, fmt.Sprintf("connector %s failed: %s", c.Name, Cause(c.Trace)))
	}
	for _, t := range c.Tasks {
		if t.State == "FAILED" {
			out = append(out, fmt.Sprintf("connector %s: task %d failed: %s", c.Name, t.ID, Cause(t.Trace)))
		}
	}
	return out
}

// Cause returns a stack trace in one line: its first line and, in parentheses, the innermost cause.
func Cause(trace string) string {
	line, _, _ := strings.Cut(trace, "\n")
	if i := strings.LastIndex(trace, "\nCaused by: "); i >= 0 {
		cause, _, _ := strings.Cut(trace[i+len("\nCaused by: "):], "\n")
		line += " (" + cause + ")"
	}
	return strings.TrimSpace(line)
}
