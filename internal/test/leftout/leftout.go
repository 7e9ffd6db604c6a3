// Package leftout ends tests that this machine cannot run. Each such test names what it leaves out and what is missing.
// With CI=true the test fails. Only tests use it.
package leftout

import (
	"os"
	"os/exec"
	"testing"
)

// For skips t: the test of what needs missing, which this machine does not have. With CI=true it fails t.
func For(t testing.TB, what, missing string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true nothing may be left out: %s, for want of %s", what, missing)
	}
	t.Skipf("left out: %s, for want of %s", what, missing)
}

// Unless returns the path of a program. If the program is missing, it ends t as For does.
func Unless(t testing.TB, what, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		For(t, what, program)
	}
	return path
}
