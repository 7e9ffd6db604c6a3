// Package leaktest finds goroutines that outlive the tests that started them. It
// waits for those that are about to end as long as a busy machine needs:
// goleak by itself gives them about a second. Only tests use it.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is after how long a goroutine that is left counts as one that stays.
const patience = time.Minute

// Main is for TestMain: it runs the tests and ends the process, as failed where
// a goroutine stays.
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

// None fails t where a goroutine stays, but for those of the options.
func None(t testing.TB, but ...goleak.Option) {
	t.Helper()
	if err := stays(but...); err != nil {
		t.Error(err)
	}
}

func stays(but ...goleak.Option) (err error) {
	for end := time.Now().Add(patience); ; {
		if err = goleak.Find(but...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
