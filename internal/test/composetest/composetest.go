// Package composetest loads a compose file as Docker does. The loader is a program of the module tools, so that its
// dependencies are not the product's.
package composetest

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Service is what tests look at in a service of a compose file.
type Service struct {
	Image       string
	Command     []string
	Environment map[string]*string
	HealthCheck *struct{ Test []string }
	Deploy      *struct {
		Resources struct{ Limits *struct{ Memory string } }
	}
	Ports []struct {
		HostIP    string `json:"host_ip"`
		Published string
	}
	Volumes []Volume
}

// Volume is a mount. Source is absolute for a bind.
type Volume struct {
	Type, Source, Target string
	ReadOnly             bool `json:"read_only"`
}

// Types of a Volume.
const (
	Bind   = "bind"
	Stored = "volume"
)

// Load returns the services of a file with the given profiles, by name.
func Load(t testing.TB, file string, profiles ...string) map[string]Service {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"-C", filepath.Join(filepath.Dir(here), "../../../tools"), "run", "./compose", path}, profiles...)...)
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if ended, ok := err.(*exec.ExitError); ok {
			said = ended.Stderr
		}
		t.Fatalf("load %s: %v\n%s", file, err, said)
	}
	var p struct{ Services map[string]Service }
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatalf("load %s: %v", file, err)
	}
	return p.Services
}
