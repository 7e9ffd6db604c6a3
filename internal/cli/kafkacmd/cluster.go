package kafkacmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

func brokers(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, []admin.Broker]{
		Use: "brokers", Short: "List the brokers with their leaders, replicas and disk use",
		Example: "  smartlb kafka brokers",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) ([]admin.Broker, error) {
			c, err := with(ctx, env, t, admin.DescribeCluster)
			return c.Brokers, err
		},
		Table: func(all []admin.Broker) cli.Table {
			t := cli.Table{Head: []string{"BROKER", "ADDRESS", "RACK", "CONTROLLER", "LEADERS", "REPLICAS", "SIZE"}}
			for _, b := range all {
				controller, size := "", "-"
				if b.Controller {
					controller = "yes"
				}
				if b.Bytes >= 0 {
					size = bytesOf(b.Bytes)
				}
				t.Rows = append(t.Rows, []string{strconv.Itoa(int(b.ID)), b.Address, b.Rack, controller, strconv.Itoa(b.Leaders), strconv.Itoa(b.Replicas), size})
			}
			return t
		},
	}.Command(env)
}

// bytesOf formats a size for people.
func bytesOf(n int64) string {
	for _, u := range []struct {
		name string
		n    float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if float64(n) >= u.n {
			return fmt.Sprintf("%.1f %s", float64(n)/u.n, u.name)
		}
	}
	return topic.Human("bytes", strconv.FormatInt(n, 10))
}

func cluster(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, admin.Cluster]{
		Use: "cluster", Short: "Describe the cluster: id, controller, partitions without a leader or in-sync replica",
		Example: "  smartlb kafka cluster\n  smartlb kafka cluster -o json",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) (admin.Cluster, error) {
			return with(ctx, env, t, admin.DescribeCluster)
		},
		Table: func(c admin.Cluster) cli.Table {
			controller := strconv.Itoa(int(c.Controller))
			if c.Controller < 0 {
				controller = "none"
			}
			kind := "version unknown"
			switch {
			case c.Version != "":
				kind = "Kafka " + c.Version + " (estimated from its API versions)"
			case slices.ContainsFunc(c.Brokers, func(b admin.Broker) bool { return b.Embedded }):
				kind = "smartlb's embedded broker"
			}
			return cli.Table{Above: []string{
				fmt.Sprintf("Cluster %s, brokers: %d, controller: %s, %s.", c.ID, len(c.Brokers), controller, kind),
				fmt.Sprintf("Topics: %d, partitions: %d, without a leader: %d, under-replicated: %d.", c.Topics, c.Partitions, c.Offline, c.UnderReplicated),
			}}
		},
	}.Command(env)
}
