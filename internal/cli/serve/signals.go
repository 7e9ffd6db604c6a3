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

// signals makes SIGHUP and SIGUSR1 reach the app instead of ending the process.
// The returned function undoes that.
func signals(env *cli.Env, n *nodeFlags) (app.Signals, func()) {
	c := make(chan os.Signal, 1) // one that waits stands for all that come meanwhile
	signal.Notify(c, syscall.SIGHUP, syscall.SIGUSR1)
	s := app.Signals{C: c}
	if n.file != "" {
		s.Reload = func() (config.Document, []byte, error) {
			again := *n // load notes what it finds
			return again.load(env)
		}
	}
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.HungUp = func() bool { return !term.IsTerminal(int(f.Fd())) }
	}
	return s, func() { signal.Stop(c) }
}
