// Package serve holds the commands that run: up, run and proxy. They read flags,
// environment and file into app.Options; what runs is app's business.
package serve

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// Commands are up, run and proxy.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{Up(env), Run(env), Proxy(env)}
}
