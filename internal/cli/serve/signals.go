package serve

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
)

// signals passes SIGHUP and SIGUSR1 to the app, so that they do not end the process. The returned function restores the
// default.
func signals(env *cli.Env, n *nodeFlags) (app.Signals, func()) {
	c := make(chan os.Signal, 1) // one pending signal stands for all that follow it
	signal.Notify(c, syscall.SIGHUP, syscall.SIGUSR1)
	s := app.Signals{C: c}
	if n.file != "" {
		s.Reload = func() (config.Document, []byte, error) {
			again := *n // a copy, because load changes it
			return again.load(env)
		}
	}
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.HungUp = func() bool { return !term.IsTerminal(int(f.Fd())) }
	}
	return s, func() { signal.Stop(c) }
}
