package kafka

import (
	"github.com/spf13/cobra"

	"github.com/smartlb/smartlb/internal/cli"
)

// Group offers the noun kafka.
func Group(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("kafka", "Kafka: start and stop it here, look at topics, records and groups", "",
		install(env), relock(env),
		start(env), stop(env), supervise(env), restart(env), status(env), logs(env),
		topics(env), initTopics(env), createTopic(env), describeTopic(env),
		produce(env), consume(env), groups(env), describeGroup(env), health(env),
	)}
}
