package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// systemd reads the units as they are shipped, and with their examples of
// credentials switched on.
func TestSystemdReadsTheUnits(t *testing.T) {
	t.Parallel()
	leftout.Unless(t, "the systemd units", "systemd-analyze")
	for _, name := range []string{"smartlb.service", "smartlb-console.service"} {
		unit := strings.ReplaceAll(shippedUnit(t, name), "/usr/local/bin/smartlb", binary) // systemd wants the program to be there
		credentials := strings.ReplaceAll(unit, "#LoadCredential=", "LoadCredential=")
		if credentials == unit {
			t.Errorf("%s has no example of LoadCredential=", name)
		}
		for _, text := range []string{unit, credentials} {
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		}
	}
}

// systemd reads the example of a socket, which belongs to the service.
func TestSystemdReadsTheSocket(t *testing.T) {
	t.Parallel()
	leftout.Unless(t, "the systemd units", "systemd-analyze")
	dir := t.TempDir()
	for _, name := range []string{"smartlb.service", "smartlb.socket"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(shippedUnit(t, name), "/usr/local/bin/smartlb", binary)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("systemd-analyze", "verify", filepath.Join(dir, "smartlb.socket"), filepath.Join(dir, "smartlb.service")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// The commands of both units run beside each other with one file and one
// credential: the console knows the proxy, and speaks under a name of its own.
func TestTheUnitsWorkBesideEachOther(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	credentials, consoleAdmin := t.TempDir(), porttest.Address(t)
	if err := os.WriteFile(filepath.Join(credentials, "admin-token"), []byte(strings.Repeat("k", 40)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := mustWrite(t, mustRead(t, document(t, "", instances(t, 2)...))+
		fmt.Sprintf("node: {id: edge}\nadmin: {address: %q, token: \"${credential:admin-token}\", peers: [127.0.0.1]}\nconsole: {address: %q}\n", porttest.Address(t), porttest.Address(t)))
	unit := func(name string) *process {
		args, env := unitCommand(t, name)
		for i, arg := range args {
			args[i] = strings.NewReplacer("/etc/smartlb/smartlb.yaml", file, "${STATE_DIRECTORY}", t.TempDir(), "127.0.0.1:8085", consoleAdmin).Replace(arg)
		}
		return startIn(t, slices.Concat(cleanEnv(t), env, []string{"CREDENTIALS_DIRECTORY=" + credentials, "KAFKA_BROKER=" + b.Address("broker")}), true, args...)
	}
	proxy, console := unit("smartlb.service"), unit("smartlb-console.service")
	if proxy.Address("console") != "" || console.Address("web") != "" {
		t.Error("one process has console and traffic")
	}
	eventually(t, "the console shows the proxy's service", func() bool {
		var list []struct{ ID string }
		return getJSON(t, "http://"+console.Address("console")+"/api/v1/services", &list) == nil && len(list) == 1 && list[0].ID == "shop"
	})
	if !proxy.Said(`"node":"edge"`) || !console.Said(`"node":"host-console"`) {
		t.Error("the two do not have names of their own")
	}
}

// unitCommand gives arguments and environment of a unit's ExecStart.
func unitCommand(t *testing.T, name string) (args, env []string) {
	t.Helper()
	for line := range strings.Lines(shippedUnit(t, name)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ExecStart":
			args = strings.Fields(value)[1:]
		case "Environment":
			env = append(env, strings.ReplaceAll(value, "%H", "host"))
		}
	}
	if len(args) == 0 {
		t.Fatalf("%s starts nothing", name)
	}
	return args, env
}

func shippedUnit(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deployment/systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
