package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/leftout"
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
// heals, topics, a live tail, keys, themes, a lost connection; web/e2e/run.mjs
// has the steps and says what it saw.
func TestConsoleInABrowser(t *testing.T) {
	t.Parallel()
	const what = "the console in a browser"
	node := leftout.Unless(t, what, "node")
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && chromium == "" {
			chromium = path
		}
	}
	if chromium == "" {
		leftout.For(t, what, "chromium")
	}
	if _, err := os.Stat("../../web/node_modules/playwright-core"); err != nil {
		leftout.For(t, what, "web/node_modules (npm ci in web)")
	}
	if _, err := os.Stat("../../internal/console/dist/index.html"); err != nil {
		leftout.For(t, what, "the built UI (make build)")
	}
	_, _, admin, _ := demo(t)
	var about struct{ ConsoleURL string }
	if err := getJSON(t, "http://"+admin+"/api/v1/node", &about); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(about.ConsoleURL)
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(page), `id="root"`) {
		t.Fatalf("the console serves %.300s", page)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, node, "e2e/run.mjs", about.ConsoleURL)
	run.Dir, run.Env = "../../web", append(os.Environ(), "CHROMIUM="+chromium)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "ok   the content security policy is kept") {
		t.Errorf("the script did not reach its end:\n%s", out)
	}
}
