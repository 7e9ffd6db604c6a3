package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/leftout"
)

// A stranger to the code reads api/openapi.yaml and asks whatever it allows,
// and what it does not: nothing is answered that is not described, and nothing
// fails inside.
func TestTheAPIIsAsItsDescriptionSays(t *testing.T) {
	t.Parallel()
	const what = "the API against its description (schemathesis)"
	python := leftout.Unless(t, what, "python3")
	if exec.Command(python, "-c", "import ensurepip").Run() != nil {
		leftout.For(t, what, "Python 3 with venv")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			text := string(out)
			t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, text[max(0, len(text)-20_000):])
		}
	}
	run(python, "-m", "venv", "venv")
	bin := filepath.Join(dir, "venv", "bin")
	requirements, err := filepath.Abs("../foreign/python/schemathesis.txt")
	if err != nil {
		t.Fatal(err)
	}
	run(filepath.Join(bin, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
	p, _, admin, broker := demo(t)
	makeShop(t, broker)
	console := consoleOf(t, admin)
	ask := func(more ...string) {
		t.Helper()
		run(filepath.Join(bin, "schemathesis"), append([]string{"run", console + "/api/v1/openapi.yaml", "--url", console,
			"--phases", "coverage,fuzzing", "--max-examples", "15", "--generation-deterministic", "--no-color", "--continue-on-failure",
			"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance",
			"--exclude-path-regex", `/(events|search|export)$|/login|/connect`}, more...)...) // streams do not end, logins are refused after ten tries, and there is no Connect here
	}
	ask() // of names that do not exist, most of the time
	there := "[parameters]\n\"path.topic\" = \"service-metrics\"\n\"path.group\" = \"smartlb-analyzer\"\n\"path.service\" = \"user-service\"\n" +
		"\"path.instance\" = \"user-service-1\"\n\"path.partition\" = 1\n\"path.offset\" = 5\n"
	if err := os.WriteFile(filepath.Join(dir, "schemathesis.toml"), []byte(there), 0o600); err != nil {
		t.Fatal(err)
	}
	ask("--exclude-method", "DELETE") // else there is nothing to ask about
	if p.ended() {
		t.Error("the node did not survive it")
	}
}
