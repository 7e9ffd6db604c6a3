package commands_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/commands"
	"github.com/smartlb/smartlb/internal/stack"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"smartlb": func() { os.Exit(cli.Main(commands.All()...)) },
	})
}

// TestScripts runs the command line as a user types it. Each script has a
// state folder of its own, and its stack is stopped when it ends.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			state := filepath.Join(e.WorkDir, "state")
			e.Setenv("SMARTLB_STATE_DIR", state)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("SMARTLB_KAFKA_RUNTIME", stack.RuntimeEmbedded) // the others are tested in test/e2e
			first, _, _ := strings.Cut(e.Getenv("PATH"), string(os.PathListSeparator))
			e.Setenv("SMARTLB_ALONE", first)        // a PATH with neither Java nor Maven nor Docker
			e.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each command otherwise
			e.Defer(func() {
				for _, name := range []string{stack.UIName, stack.KafkaName} {
					p := &stack.Process{ID: name, Dir: state}
					if err := p.Stop(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// broker-env sets KAFKA_BROKER to the address of the running stack.
			"broker-env": func(ts *testscript.TestScript, _ bool, _ []string) {
				found, ok := stack.Find(ts.Getenv("SMARTLB_STATE_DIR"))
				if !ok {
					ts.Fatalf("no stack runs")
				}
				ts.Setenv("KAFKA_BROKER", found.Address)
			},
			// code runs smartlb and wants an exit code.
			"code": exitCode,
		},
	})
}

func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N smartlb ARGS")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = err.Error()
	}
	if got != "exit status "+args[0] && got != args[0] {
		ts.Fatalf("%v ended with %s, want %s", args[1:], got, args[0])
	}
}
