// Package serve holds the commands that start long-running processes: up, run and proxy. They convert flags,
// environment and file to app.Options; package app runs the process.
package serve

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// Commands returns up, run and proxy.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{Up(env), Run(env), Proxy(env)}
}
