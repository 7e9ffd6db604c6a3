package kafkacmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// stateOf returns the state of a connector for a list. Connect itself reports RUNNING for a connector with a failed
// task.
func stateOf(c connect.Connector) string {
	switch {
	case c.State != "FAILED" && c.Failed():
		return c.State + ", task FAILED"
	case c.State == "RUNNING" && len(c.MissingTopics) > 0:
		return c.State + ", topic missing"
	}
	return c.State
}

// tasksOf returns a summary such as "1/2 running, 1 FAILED".
func tasksOf(c connect.Connector) string {
	running, failed := 0, 0
	for _, t := range c.Tasks {
		switch t.State {
		case "RUNNING":
			running++
		case "FAILED":
			failed++
		}
	}
	text := fmt.Sprintf("%d/%d running", running, len(c.Tasks))
	if failed > 0 {
		text += fmt.Sprintf(", %d FAILED", failed)
	}
	return text
}

// missingOf names the missing topics that a connector waits for, and the command that creates them.
func missingOf(c connect.Connector) []string {
	if len(c.MissingTopics) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("connector %s: topic %s does not exist, so no record moves; to create it, run smartlb kafka topics create %s",
		c.Name, strings.Join(c.MissingTopics, ", "), strings.Join(c.MissingTopics, " "))}
}

// findMissing sets for each connector the topics that do not exist. It queries the brokers of the command, and uses
// their answer only if they are the cluster of the worker. Otherwise it sets nothing.
func findMissing(ctx context.Context, env *cli.Env, c *connect.Client, all []connect.Connector) error {
	exists, err := topicsOfWorker(ctx, env, c, all)
	if err != nil || exists == nil {
		return err
	}
	for i := range all {
		all[i].MissingTopics = connect.MissingTopics(all[i].Type, all[i].Config, exists)
	}
	return nil
}

// topicsOfWorker returns a function that reports whether a topic exists in the cluster of the worker. It returns nil if
// no connector names a topic that may be missing, or if the brokers give no answer or belong to another cluster.
func topicsOfWorker(ctx context.Context, env *cli.Env, c *connect.Client, all []connect.Connector) (func(string) bool, error) {
	var named []string
	for _, x := range all {
		named = append(named, connect.MissingTopics(x.Type, x.Config, func(string) bool { return false })...)
	}
	if len(named) == 0 {
		return nil, nil
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	const brokersTimeout = 5 * time.Second // short, because the worker's answer is useful without that of the brokers
	cluster, err := with(ctx, env, cli.Brokers{Timeout: brokersTimeout}, func(ctx context.Context, admin *kafka.Admin) (kafka.Cluster, error) {
		return admin.Describe(ctx, named...)
	})
	if err != nil || cluster.ID != info.Cluster {
		return nil, ctx.Err()
	}
	return func(topic string) bool { _, ok := cluster.Topics[topic]; return ok }, nil
}
