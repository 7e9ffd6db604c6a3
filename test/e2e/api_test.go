package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// stranger is schemathesis, which reads api/openapi.yaml and asks whatever it
// allows, and what it does not: nothing is answered that is not described, and
// nothing fails inside.
type stranger struct {
	t   *testing.T
	dir string
}

var (
	strangers    sync.Mutex
	strangersBin string // of the environment that the tests share
)

func newStranger(t *testing.T) *stranger {
	t.Helper()
	const what = "the API against its description (schemathesis)"
	python := leftout.Unless(t, what, "python3")
	if exec.Command(python, "-c", "import ensurepip").Run() != nil {
		leftout.For(t, what, "Python 3 with venv")
	}
	s := &stranger{t, t.TempDir()}
	strangers.Lock()
	defer strangers.Unlock()
	if strangersBin != "" {
		return s
	}
	venv := filepath.Join(filepath.Dir(binary), "venv")
	s.run(python, "-m", "venv", venv)
	requirements, err := filepath.Abs("../foreign/python/schemathesis.txt")
	if err != nil {
		t.Fatal(err)
	}
	s.run(filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
	strangersBin = filepath.Join(venv, "bin")
	return s
}

func (s *stranger) run(name string, args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, text[max(0, len(text)-20_000):])
	}
	s.t.Logf("%s: %s", filepath.Base(name), text[max(0, len(text)-600):]) // how much was asked
}

// asks a console; parameters are values for what addresses name, as TOML.
func (s *stranger) asks(console, parameters string, more ...string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "schemathesis.toml"), []byte("[parameters]\n"+parameters), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.run(filepath.Join(strangersBin, "schemathesis"), append([]string{
		"run", console + "/api/v1/openapi.yaml", "--url", console,
		"--phases", "coverage,fuzzing", "--max-examples", "15", "--generation-deterministic", "--no-color", "--continue-on-failure",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance",
	}, more...)...)
}

func TestTheAPIIsAsItsDescriptionSays(t *testing.T) {
	t.Parallel()
	s := newStranger(t)
	p, _, admin, broker := demo(t)
	makeShop(t, broker)
	console := consoleOf(t, admin)
	const left = `/(events|search|export)$|/login|/connect` // streams do not end, logins are refused after ten tries, and there is no Connect here
	s.asks(console, "", "--exclude-path-regex", left)       // of names that do not exist, most of the time
	there := "\"path.topic\" = \"service-metrics\"\n\"path.group\" = \"smartlb-analyzer\"\n\"path.service\" = \"user-service\"\n" +
		"\"path.instance\" = \"user-service-1\"\n\"path.partition\" = 1\n\"path.offset\" = 5\n"
	s.asks(console, there, "--exclude-path-regex", left, "--exclude-method", "DELETE") // else there is nothing to ask about
	if p.ended() {
		t.Error("the node did not survive it")
	}
}
