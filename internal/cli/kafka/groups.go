package kafka

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
)

func groups(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, []ops.Group]{
		Use: "groups", Short: "List consumer groups",
		Example: "  smartlb kafka groups",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) ([]ops.Group, error) {
			return with(ctx, env, t, ops.ListGroups)
		},
		Table: func(all []ops.Group) cli.Table {
			t := cli.Table{Head: []string{"GROUP", "STATE", "PROTOCOL"}}
			for _, g := range all {
				t.Rows = append(t.Rows, []string{g.Name, g.State, g.Protocol})
			}
			return t
		},
	}.Command(env)
}

func describeGroup(env *cli.Env) *cobra.Command {
	return cli.Verb[nameArgs, ops.GroupDescription]{
		Use: "describe-group GROUP", Short: "Describe a consumer group: members, offsets, lag",
		Example: "  smartlb kafka describe-group my-consumer-group",
		Flags:   func(f *pflag.FlagSet, a *nameArgs) { a.Declare(f) },
		Args:    cli.Words(nameWord, "GROUP"),
		Run: func(ctx context.Context, env *cli.Env, a nameArgs) (ops.GroupDescription, error) {
			return with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (ops.GroupDescription, error) {
				return ops.DescribeGroup(ctx, admin, a.name)
			})
		},
		Table: func(d ops.GroupDescription) cli.Table {
			t := cli.Table{
				Above: []string{fmt.Sprintf("Group: %s  State: %s  Type: %s  Assignor: %s  Members: %d  Lag: %d",
					d.Name, d.State, d.Type, orNone(d.Assignor), d.Members, d.Lag)},
				Head: []string{"GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"},
			}
			for _, r := range d.Rows {
				t.Rows = append(t.Rows, []string{
					d.Name, r.Topic, strconv.Itoa(int(r.Partition)), known(r.Current), known(r.End), known(r.Lag), r.Consumer, r.Host, r.Client,
				})
			}
			return t
		},
	}.Command(env)
}

// known prints an offset that may not be known.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}
