package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/leftout"
)

// systemd reads the unit as it is shipped, and with its examples of credentials
// switched on.
func TestSystemdReadsTheUnit(t *testing.T) {
	leftout.Unless(t, "the systemd unit", "systemd-analyze")
	shipped, err := os.ReadFile("../../deployment/systemd/smartlb.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := strings.ReplaceAll(string(shipped), "/usr/local/bin/smartlb", binary) // systemd wants the program to be there
	credentials := strings.ReplaceAll(unit, "#LoadCredential=", "LoadCredential=")
	if credentials == unit {
		t.Error("the unit has no example of LoadCredential=")
	}
	for _, text := range []string{unit, credentials} {
		file := filepath.Join(t.TempDir(), "smartlb.service")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
