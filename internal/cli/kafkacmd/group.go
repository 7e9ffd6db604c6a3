package kafkacmd

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// Group returns the noun kafka.
func Group(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("kafka", "Kafka: start and stop it on this machine; topics, records and groups", "",
		append(operators(env), install(env), relock(env), start(env), stop(env), supervise(env), restart(env), status(env), logs(env),
			health(env), doctorVerb(env))...,
	)}
}
