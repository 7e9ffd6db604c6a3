// Package leftout ends tests that this machine cannot run, in one way: they say
// what is left out and for want of what. With CI=true nothing may be left out,
// and the test fails. Only tests use it.
package leftout

import (
	"os"
	"os/exec"
	"testing"
)

// For ends t: what was to be tested needs what is missing here.
func For(t testing.TB, what, missing string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true nothing may be left out: %s, for want of %s", what, missing)
	}
	t.Skipf("left out: %s, for want of %s", what, missing)
}

// Unless gives the path of a program, and ends t where there is none.
func Unless(t testing.TB, what, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		For(t, what, program)
	}
	return path
}
