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

// stateOf is the state of a connector in a listing: a connector whose task
// failed is RUNNING for Connect.
func stateOf(c connect.Connector) string {
	switch {
	case c.State != "FAILED" && c.Failed():
		return c.State + ", task FAILED"
	case c.State == "RUNNING" && len(c.MissingTopics) > 0:
		return c.State + ", topic missing"
	}
	return c.State
}

// tasksOf is "1/2 running, 1 FAILED".
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

// missingOf says for which topics a connector waits, and how to create them.
func missingOf(c connect.Connector) []string {
	if len(c.MissingTopics) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("connector %s: topic %s does not exist, so no record moves; to create it, run smartlb kafka topics create %s",
		c.Name, strings.Join(c.MissingTopics, ", "), strings.Join(c.MissingTopics, " "))}
}

// findMissing notes which topics the connectors name that do not exist. It asks
// the brokers that the command would talk to, and believes them only where they
// are the cluster of the worker; otherwise nothing is known.
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

// topicsOfWorker returns a function that tells whether a topic exists in the
// cluster of the worker; nil where no connector names a topic that may be
// missing, or where the brokers cannot be asked.
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
	const patience = 5 * time.Second // the worker's answer is worth showing without that of the brokers
	cluster, err := with(ctx, env, cli.Brokers{Timeout: patience}, func(ctx context.Context, admin *kafka.Admin) (kafka.Cluster, error) {
		return admin.Describe(ctx, named...)
	})
	if err != nil || cluster.ID != info.Cluster {
		return nil, ctx.Err()
	}
	return func(topic string) bool { _, ok := cluster.Topics[topic]; return ok }, nil
}
