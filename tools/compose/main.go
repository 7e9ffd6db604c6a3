// Command compose loads a compose file with the library that Docker itself uses and prints the project as JSON, as
// docker compose config --format json does. Paths are absolute. Tests use it through internal/test/composetest.
//
//	go -C tools run ./compose FILE [PROFILE...]
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: go -C tools run ./compose FILE [PROFILE...]")
	}
	options, err := cli.NewProjectOptions(args[:1], cli.WithProfiles(args[1:]), cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	text, err := project.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
