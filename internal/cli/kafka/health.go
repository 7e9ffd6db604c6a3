package kafka

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
)

func health(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, ops.Health]{
		Use: "health", Short: "Tell whether Kafka answers; exit code 10 when not",
		Example: "  smartlb kafka health || echo down",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) (ops.Health, error) {
			c, err := catalog()
			if err != nil {
				return ops.Health{}, err
			}
			h, err := with(ctx, env, t, func(ctx context.Context, admin *kafka.Admin) (ops.Health, error) {
				return ops.CheckHealth(ctx, admin, c), nil
			})
			if err == nil && !h.Healthy {
				err = cli.ErrUnhealthy
			}
			return h, err
		},
		Table: func(h ops.Health) cli.Table {
			if !h.Healthy {
				return cli.Table{Above: []string{"Kafka does not answer: " + h.Error}}
			}
			t := cli.Table{Above: []string{fmt.Sprintf("Kafka answers: %d brokers, %d topics, cluster %s, in %.1f ms.", h.Brokers, h.Topics, h.Cluster, h.TookMs)}}
			if len(h.Missing) > 0 {
				t.Below = append(t.Below, fmt.Sprintf("Topics of the catalog that do not exist: %v; smartlb kafka apply --create-only creates them.", h.Missing))
			}
			return t
		},
	}.Command(env)
}
