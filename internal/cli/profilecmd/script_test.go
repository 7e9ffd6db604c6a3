package profilecmd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/cli/profilecmd"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"smartlb": func() { os.Exit(cli.Main(profilecmd.Commands)) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(e *testscript.Env) error {
		e.Setenv("SMARTLB_CONFIG_DIR", filepath.Join(e.WorkDir, "config"))
		e.Setenv("GORACE", "atexit_sleep_ms=0")
		return nil
	}})
}
