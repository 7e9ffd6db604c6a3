package serve

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
)

// signals passes SIGHUP, SIGUSR1 and the settings of --watch to the app. The signals then do not end the process. The
// returned function restores the default.
func signals(env *cli.Env, n *nodeFlags) (app.Signals, func()) {
	c := make(chan os.Signal, 1) // one pending signal stands for all that follow it
	signal.Notify(c, syscall.SIGHUP, syscall.SIGUSR1)
	s := app.Signals{C: c}
	if n.file != "" {
		s.Reload = func() (app.File, error) {
			again := *n // a copy, because load changes it
			d, traffic, err := again.load(env)
			return app.File{Document: d, Traffic: traffic, Sum: again.sum}, err
		}
	}
	if n.watch {
		s.Watch, s.Taken = n.file, n.sum
	}
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.HungUp = func() bool { return !term.IsTerminal(int(f.Fd())) }
	}
	return s, func() { signal.Stop(c) }
}
