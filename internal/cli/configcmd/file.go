package configcmd

import (
	"os"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
)

// readFile reads a configuration file and returns the part to publish: listeners, routes and services. Settings of a
// node (kafka, admin, console, ...) are not part of it. It logs warnings.
func readFile(env *cli.Env, name string) ([]byte, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	part, warnings, err := config.ForPublication(src)
	if err != nil {
		return nil, cli.Mistakes(name, err)
	}
	cli.Warn(env, name, warnings)
	return part, nil
}
