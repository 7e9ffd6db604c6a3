package kafkacmd

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// Commands returns the verbs of the noun kafka about a cluster, wherever it runs.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{
		cli.Listed("topics", "Topics: list, describe, create, alter, delete", func() *cobra.Command { return listTopics(env) },
			describeTopics(env), createTopic(env), alterTopic(env), deleteTopics(env), addPartitions(env), deleteRecords(env)),
		cli.Noun("configs", "Settings of topics and brokers: show, set, unset", "",
			showConfigs(env), setConfigs(env), unsetConfigs(env)),
		produce(env), consume(env),
		cli.Listed("groups", "Consumer groups: list, describe with lag, reset, delete", func() *cobra.Command { return listGroups(env) },
			describeGroups(env), resetGroup(env), deleteGroups(env)),
		plan(env), apply(env), export(env), prune(env),
		brokers(env), cluster(env), connectNoun(env), benchNoun(env),
	}
}
