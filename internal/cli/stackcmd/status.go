package stackcmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
)

// stackStatus is the result of start, stop, restart and status.
type stackStatus struct {
	Runtime  string         `json:"runtime"`
	Mode     string         `json:"mode,omitempty"` // zookeeper or kraft
	Healthy  bool           `json:"healthy"`        // all required services are healthy
	Lacks    string         `json:"lacks,omitempty"`
	State    string         `json:"state"` // folder
	Services []stack.Status `json:"services"`
	Next     []string       `json:"next"` // suggested next commands
}

func look(ctx context.Context, r stack.Runtime) stackStatus {
	s := stackStatus{Runtime: r.Name, Mode: r.Mode, Healthy: true, Lacks: r.Lacks, State: r.Dir, Services: r.Status(ctx)}
	for _, x := range s.Services {
		s.Healthy = s.Healthy && (x.Healthy || !x.Required)
	}
	s.Next = next(s)
	return s
}

// next suggests commands for this status.
func next(s stackStatus) []string {
	out := []string{}
	running := 0
	for _, x := range s.Services {
		switch {
		case x.State == stack.Running:
			running++
			if !x.Healthy {
				out = append(out, fmt.Sprintf("smartlb kafka logs %s -n 50", x.Name))
			}
		case x.State == stack.Failed:
			out = append(out, fmt.Sprintf("smartlb kafka logs %s -n 50", x.Name))
		}
	}
	switch {
	case running == 0 || !s.Healthy:
		out = append(out, "smartlb kafka start")
	case len(out) == 0:
		out = append(out, "smartlb up --demo", "smartlb kafka topics")
	}
	return out
}

func statusTable(s stackStatus) cli.Table {
	t := cli.Table{Head: []string{"SERVICE", "STATE", "HEALTH", "ADDRESS", "PID", "UPTIME", "VERSION", "MEMORY", "MODE", "RESTARTS", "LOG", "DATA"}, Wide: 3}
	for _, x := range s.Services {
		health, pid, uptime, memory := "-", "-", "-", "-"
		if x.State == stack.Running {
			health, pid, uptime = "ok", strconv.Itoa(x.PID), time.Since(x.Since).Round(time.Second).String()
			if !x.Healthy {
				health = x.Detail
			}
			if x.PID == 0 {
				pid, uptime = "-", "-"
			}
		} else if x.Detail != "" {
			health = x.Detail
		}
		if x.Memory > 0 {
			memory = fmt.Sprintf("%d MiB", x.Memory>>20)
		}
		t.Rows = append(t.Rows, []string{x.Name, string(x.State), health, x.Address, pid, uptime, x.Version, memory, x.Mode, strconv.Itoa(x.Restarts), x.Log, x.Data})
	}
	name := s.Runtime
	if s.Mode != "" {
		name += " in mode " + s.Mode
	}
	t.Below = append(t.Below, fmt.Sprintf("Runtime: %s (%s).", name, s.Lacks), "State: "+s.State)
	for _, x := range s.Services {
		for _, l := range x.Listeners {
			t.Below = append(t.Below, fmt.Sprintf("Listener %s: %s, advertised as %s", l.Name, l.Address, l.Advertise))
		}
	}
	if len(s.Next) > 0 {
		t.Below = append(t.Below, "Next: "+strings.Join(s.Next, ", "))
	}
	return t
}
