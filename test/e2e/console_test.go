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
	node := leftout.Unless(t, "the console's own tests", "node")
	if _, err := os.Stat("../../web/node_modules/vitest/vitest.mjs"); err != nil {
		leftout.For(t, "the console's own tests", "web/node_modules (npm ci in web)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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
	inBrowser(t, "jobs", consoleOf(t, admin), os.Getenv("E2E_SHOTS"))
}

// needBrowser leaves the test out where there is no browser to drive.
func needBrowser(t *testing.T) {
	t.Helper()
	const what = "the console in a browser"
	leftout.Unless(t, what, "node")
	if chromium() == "" {
		leftout.For(t, what, "chromium")
	}
	if _, err := os.Stat("../../web/node_modules/playwright-core"); err != nil {
		leftout.For(t, what, "web/node_modules (npm ci in web)")
	}
	if _, err := os.Stat("../../internal/console/ui/dist/index.html"); err != nil {
		leftout.For(t, what, "the built UI (make build)")
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

// inBrowser runs web/e2e/NAME.mjs on a console; args follow its address. The
// script says what it saw, and its last line proves that it reached its end.
func inBrowser(t *testing.T, name, console string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a limit for what never ends: on a busy machine a minute's script takes four
	defer cancel()
	run := exec.CommandContext(ctx, "node", append([]string{"e2e/" + name + ".mjs", console}, args...)...)
	run.Dir, run.Env = "../../web", append(os.Environ(), "CHROMIUM="+chromium())
	out, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if testing.Verbose() && err == nil {
		t.Logf("%s", out) // with what it measured
	}
	if !strings.Contains(string(out), "ok   the content security policy is kept") {
		t.Errorf("the script did not reach its end:\n%s", out)
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
