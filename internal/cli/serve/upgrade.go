package serve

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/base/handover"
	"github.com/smartlb/smartlb/internal/cli"
)

// inherit connects a process with what is around it: signals, the service manager, and the old process, whose
// sockets it takes. SIGUSR2 then starts an upgrade. The returned function restores the default of the signals.
func inherit(env *cli.Env, o *app.Options, n *nodeFlags) (undo func(), err error) {
	if o.Sockets, o.Before, err = handover.Inherit(); err != nil {
		return nil, err
	}
	o.Manager = &systemd{log: env.Log}
	o.Upgrade.Args = os.Args[1:]
	if o.Upgrade.Program, err = program(); err != nil {
		o.Upgrade.Refused = err.Error()
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	o.Upgrade.C = c
	var restore func()
	o.Signals, restore = signals(env, n)
	return func() { restore(); signal.Stop(c) }, nil
}

// program returns the path by which this process was started, not the file behind links: what is at this path later is
// the new binary.
func program() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}
