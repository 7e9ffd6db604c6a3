// Package leaktest finds goroutines that outlive the tests that started them. It waits up to one minute for goroutines
// that are ending: goleak's own limit of about one second is too short for a busy machine. Only tests use it.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakTimeout is the time after which a remaining goroutine counts as leaked.
const leakTimeout = time.Minute

// Main runs the tests, for TestMain, and ends the process. If the tests passed but a goroutine leaked, the exit code is
// 1.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := stays(); err != nil {
			fmt.Fprintf(os.Stderr, "after the tests: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// None fails t if a goroutine leaked, except the goroutines of the options.
func None(t testing.TB, but ...goleak.Option) {
	t.Helper()
	if err := stays(but...); err != nil {
		t.Error(err)
	}
}

func stays(but ...goleak.Option) (err error) {
	for end := time.Now().Add(leakTimeout); ; {
		if err = goleak.Find(but...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
