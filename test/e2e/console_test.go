package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// The console's own tests, of what decides something without a browser.
func TestConsoleUnits(t *testing.T) {
	t.Parallel()
	node := leftout.Unless(t, "the console's own tests", "node")
	if _, err := os.Stat("../../web/node_modules/vitest/vitest.mjs"); err != nil {
		leftout.For(t, "the console's own tests", "web/node_modules (npm ci in web)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, node, "node_modules/vitest/vitest.mjs", "run", "--no-color")
	run.Dir = "../../web"
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A person's way through the console: overview, an instance that breaks and
// heals, topics, a live tail, keys, themes, a lost connection.
func TestConsoleInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, _ := demo(t)
	inBrowser(t, "overview", consoleOf(t, admin))
}

// Seven windows of one browser, which has six connections.
func TestManyWindowsOfOneBrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, _ := demo(t)
	inBrowser(t, "windows", consoleOf(t, admin))
}

// What a person comes to the console for: each job within so many clicks, and
// the numbers shown are the API's.
func TestJobsInABrowser(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	_, _, admin, broker := demo(t)
	makeShop(t, broker)
	inBrowser(t, "jobs", consoleOf(t, admin))
}

// needBrowser leaves the test out where there is no browser to drive.
func needBrowser(t *testing.T) {
	t.Helper()
	const what = "the console in a browser"
	needChromium(t, what)
	if _, err := os.Stat("../../internal/console/ui/dist/index.html"); err != nil {
		leftout.For(t, what, "the built UI (make build)")
	}
}

// needChromium leaves the test of something out where Chromium or its runner is missing.
func needChromium(t *testing.T, what string) {
	t.Helper()
	leftout.Unless(t, what, "node")
	if chromium() == "" {
		leftout.For(t, what, "chromium")
	}
	if _, err := os.Stat("../../web/node_modules/@playwright/test"); err != nil {
		leftout.For(t, what, "web/node_modules (npm ci in web)")
	}
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// consoleOf asks a node for the address of its console.
func consoleOf(t *testing.T, admin string) string {
	t.Helper()
	var about struct{ ConsoleURL string }
	eventually(t, "the node has a console", func() bool {
		if err := getJSON(t, "http://"+admin+"/api/v1/node", &about); err != nil {
			t.Fatal(err)
		}
		return about.ConsoleURL != ""
	})
	return about.ConsoleURL
}

// inBrowser runs the tests of web/e2e/NAME.spec.ts on a console or another server of pages. The spec finds its address in
// CONSOLE_URL, and what else it needs in env. A test that fails or is skipped fails t; the runner's output ends with the path of a trace for each test
// that failed.
func inBrowser(t *testing.T, name, console string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute) // ends what never ends: the runner has a limit for each test
	defer cancel()
	results := filepath.Join("test-results", t.Name(), name) // of its own: the runner empties it, and specs run at the same time
	run := exec.CommandContext(ctx, "node", "node_modules/@playwright/test/cli.js", "test", `/e2e/`+name+`\.spec\.ts$`, "--output", results)
	run.Dir, run.Env = "../../web", append(append(os.Environ(), "CHROMIUM="+chromium(), "CONSOLE_URL="+console), env...)
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) } // the runner ends its browsers
	run.WaitDelay = time.Minute
	out, err := run.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("web/e2e/%s.spec.ts: %v; its paths are relative to web\n%s", name, err, out)
	case strings.Contains(string(out), " skipped\n"):
		t.Errorf("web/e2e/%s.spec.ts: tests were skipped\n%s", name, out)
	case testing.Verbose():
		t.Logf("%s", out) // with what it measured
	}
}

// A console with users: nobody is let in without a password, and roles hold.
func TestConsoleAsksWhoIsThere(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	users := ""
	for _, role := range []string{"viewer", "operator"} {
		hash, err := bcrypt.GenerateFromPassword([]byte("password-"+role), 10)
		if err != nil {
			t.Fatal(err)
		}
		users += fmt.Sprintf("    - {name: %s, role: %s, passwordHash: '%s'}\n", role, role, hash)
	}
	_, _, _, broker := demo(t)
	file := filepath.Join(t.TempDir(), "console.yaml")
	if err := os.WriteFile(file, []byte("console:\n  address: 127.0.0.1:0\n  users:\n"+users), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, true, "run", "--roles", "console", "--config", file, "--kafka", broker, "--data", t.TempDir())
	inBrowser(t, "login", "http://"+p.Address("console"))
}
