// Package serve holds the commands that start long-running processes: up, run and proxy. They convert flags,
// environment and file to app.Options; package app runs the process.
package serve

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
)

// Commands returns up, run and proxy.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{Up(env), Run(env), Proxy(env)}
}

// ended returns the error of a command whose process ended with err. others are errors of the command itself.
func ended(err error, others ...error) error {
	other := errors.Join(others...)
	if errors.Is(err, app.ErrCut) && other == nil {
		return cli.ErrCut
	}
	return errors.Join(err, other)
}
