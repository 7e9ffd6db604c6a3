// Package stackcmd has the verbs of `smartlb kafka` about the local Kafka stack: install, start, stop and examine it. The
// script deployment/kafka/kafka-management.sh calls these verbs.
package stackcmd

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// Commands returns the verbs of the noun kafka about the stack of this machine.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{
		install(env), relock(env), start(env), stop(env), supervise(env), restart(env), status(env), logs(env), health(env), doctorVerb(env), tool(env),
	}
}
