package connect

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Steady says when a connector that was applied or restarted is believed.
// Workers answer before they act, and a task that fails at once runs for a
// moment first.
type Steady struct {
	Poll time.Duration // between two looks
	For  time.Duration // so long the state must be the same; three times that for a connector without tasks
}

// DefaultSteady is for people who wait at a terminal.
func DefaultSteady() Steady { return Steady{Poll: 200 * time.Millisecond, For: 3 * time.Second} }

// Await waits until a connector and its tasks run, are paused or stopped, or
// fail, and stay so. It returns the last state that it saw; an error when ctx
// ended first. A failure is no error: Failed tells it.
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

// settled reports whether no part of the connector is on its way to another
// state.
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

// Summary tells the state of the connector and of its tasks in a few words:
// "RUNNING, tasks: 1 RUNNING, 2 FAILED".
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

// Problems tells each failed part of the connector with its cause in one line.
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

// Cause is a trace in one line: its first line and, in parentheses, the
// innermost cause.
func Cause(trace string) string {
	line, _, _ := strings.Cut(trace, "\n")
	if i := strings.LastIndex(trace, "\nCaused by: "); i >= 0 {
		cause, _, _ := strings.Cut(trace[i+len("\nCaused by: "):], "\n")
		line += " (" + cause + ")"
	}
	return strings.TrimSpace(line)
}
