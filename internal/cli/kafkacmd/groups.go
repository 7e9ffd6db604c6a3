package kafkacmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

func listGroups(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, []admin.Group]{
		Use: "list", Short: "List consumer groups with state and protocol",
		Example: "  smartlb kafka groups",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) ([]admin.Group, error) {
			return with(ctx, env, t, admin.ListGroups)
		},
		Table: func(all []admin.Group) cli.Table {
			t := cli.Table{Head: []string{"GROUP", "STATE", "PROTOCOL", "TYPE", "COORDINATOR"}, Wide: 2}
			for _, g := range all {
				t.Rows = append(t.Rows, []string{g.Name, g.State, g.Protocol, g.Type, strconv.Itoa(int(g.Coordinator))})
			}
			return t
		},
	}.Command(env)
}

func describeGroups(env *cli.Env) *cobra.Command {
	return cli.Verb[namesArgs, []admin.GroupDescription]{
		Use: "describe GROUP...|--all", Short: "Describe consumer groups: members, offsets, lag",
		Example: "  smartlb kafka groups describe my-consumer-group\n  smartlb kafka groups describe --all",
		Flags: func(f *pflag.FlagSet, a *namesArgs) {
			a.Declare(f)
			f.BoolVar(&a.all, "all", false, "every group")
		},
		Args: func(a *namesArgs, words []string) error {
			a.names = words
			switch {
			case a.all && len(words) > 0:
				return cli.Usagef("--all selects every group; unexpected argument %q", words[0])
			case a.all:
				return nil
			}
			return checkNames("GROUP (or --all)", words)
		},
		Complete: func(ctx context.Context, env *cli.Env, a *namesArgs, words []string) []string {
			return anyGroup(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a namesArgs) ([]admin.GroupDescription, error) {
			all, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.GroupDescription, error) {
				return admin.DescribeGroups(ctx, client, a.names...)
			})
			return reported(env, all, err, a.all && len(all) > 0)
		},
		Table: groupsTable,
	}.Command(env)
}

func groupsTable(all []admin.GroupDescription) cli.Table {
	t := cli.Table{Head: []string{"GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"}}
	total := int64(0)
	for _, d := range all {
		line := fmt.Sprintf("Group: %s  State: %s  Type: %s  Assignor: %s  Members: %d  Lag: %d", d.Name, d.State, d.Type, orNone(d.Assignor), d.Members, d.Lag)
		if d.Error != "" {
			line += "  Error: " + d.Error
		}
		t.Above = append(t.Above, line)
		total += d.Lag
		for _, r := range d.Rows {
			t.Rows = append(t.Rows, []string{
				d.Name, r.Topic, strconv.Itoa(int(r.Partition)), known(r.Current), known(r.End), known(r.Lag), r.Consumer, r.Host, r.Client,
			})
		}
		if len(d.Topics) > 1 {
			for _, x := range d.Topics {
				t.Below = append(t.Below, fmt.Sprintf("%s: lag of %s %d in %d partitions.", d.Name, x.Topic, x.Lag, x.Partitions))
			}
		}
	}
	if len(all) != 1 {
		t.Below = append(t.Below, fmt.Sprintf("%d groups, lag %d in all.", len(all), total))
	}
	return t
}

type resetArgs struct {
	cli.Brokers
	spec   admin.ResetSpec
	to     string
	topics []string
}

func resetGroup(env *cli.Env) *cobra.Command {
	return cli.Verb[resetArgs, admin.Reset]{
		Use: "reset GROUP --to POSITION", Short: "Move the offsets of a consumer group",
		Long: "Shows old and new offsets; --execute moves them. The group must have no members. Positions: earliest, latest, an offset, -N from the end, " +
			"@TIME (2026-01-02T15:04:05Z, 15:04, @-1h), shift:N from the committed offset. Without -t all topics with committed offsets are moved; with -t a missing group is created.",
		Example: "  smartlb kafka groups reset my-group --to earliest\n  smartlb kafka groups reset my-group --to @-1h -t service-metrics --execute\n" +
			"  smartlb kafka groups reset my-group --to shift:-100 -t service-metrics:0,2 --execute",
		Flags: func(f *pflag.FlagSet, a *resetArgs) {
			a.Declare(f)
			f.StringVar(&a.to, "to", "", "new `position` of the group")
			f.StringArrayVarP(&a.topics, "topic", "t", nil, "`topic[:partitions]`, may be repeated")
			executeFlag(f, &a.spec.Execute)
		},
		Args: cli.Words(func(a *resetArgs) []*string { return []*string{&a.spec.Group} }, "GROUP"),
		Complete: func(ctx context.Context, env *cli.Env, a *resetArgs, words []string) []string {
			if len(words) > 0 {
				return nil
			}
			return anyGroup(ctx, env, a.Brokers, words)
		},
		CompleteFlags: map[string]func(context.Context, *cli.Env, *resetArgs) []string{
			"topic": func(ctx context.Context, env *cli.Env, a *resetArgs) []string {
				return anyTopic(ctx, env, a.Brokers, nil)
			},
			"to": func(context.Context, *cli.Env, *resetArgs) []string { return []string{"earliest", "latest"} },
		},
		Run: func(ctx context.Context, env *cli.Env, a resetArgs) (admin.Reset, error) {
			if a.to == "" {
				return admin.Reset{}, cli.Usagef("--to is missing")
			}
			var err error
			if a.spec.To, err = admin.ParsePosition(a.to, time.Now()); err != nil {
				return admin.Reset{}, cli.Usagef("--to: %w", err)
			}
			for _, t := range a.topics {
				parts, err := topicParts(t)
				if err != nil {
					return admin.Reset{}, err
				}
				a.spec.Topics = append(a.spec.Topics, parts)
			}
			return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) (admin.Reset, error) {
				return admin.ResetGroup(ctx, client, a.spec)
			})
		},
		Table: func(r admin.Reset) cli.Table {
			t := cli.Table{Head: []string{"GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET", "LAG", "NEW-LAG"}}
			for _, x := range r.Rows {
				t.Rows = append(t.Rows, []string{r.Group, x.Topic, strconv.Itoa(int(x.Partition)), known(x.From), known(x.To), known(x.LagBefore), known(x.LagAfter)})
			}
			if r.New {
				t.Above = []string{"The group does not exist yet."}
			}
			if !r.Executed {
				t.Below = []string{dry("moved")}
			}
			return t
		},
	}.Command(env)
}

// topicParts parses TOPIC or TOPIC:0,2.
func topicParts(text string) (admin.TopicParts, error) {
	name, list, given := strings.Cut(text, ":")
	out := admin.TopicParts{Topic: name}
	if !given {
		return out, nil
	}
	for p := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil || n < 0 {
			return out, cli.Usagef("-t %s: %q is not a partition number", text, p)
		}
		out.Partitions = append(out.Partitions, int32(n))
	}
	return out, nil
}

func deleteGroups(env *cli.Env) *cobra.Command {
	return cli.Verb[namesArgs, []admin.DeletedGroup]{
		Use: "delete GROUP...", Short: "Delete consumer groups with their offsets",
		Example: "  smartlb kafka groups delete my-group\n  smartlb kafka groups delete my-group --execute",
		Flags:   func(f *pflag.FlagSet, a *namesArgs) { a.Declare(f); executeFlag(f, &a.execute) },
		Args:    takes("GROUP"),
		Complete: func(ctx context.Context, env *cli.Env, a *namesArgs, words []string) []string {
			return anyGroup(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a namesArgs) ([]admin.DeletedGroup, error) {
			done, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.DeletedGroup, error) {
				return admin.DeleteGroups(ctx, client, a.execute, a.names...)
			})
			return reported(env, done, err, len(done) > 0)
		},
		Table: func(all []admin.DeletedGroup) cli.Table {
			t := cli.Table{Head: []string{"GROUP", "STATE", "TOPICS", "LAG", "RESULT"}}
			undone := 0
			for _, g := range all {
				result := "deleted"
				switch {
				case g.Error != "":
					result = g.Error
				case !g.Deleted:
					result = "would be deleted"
					undone++
				}
				t.Rows = append(t.Rows, []string{g.Group, g.State, strconv.Itoa(g.Topics), strconv.FormatInt(g.Lag, 10), result})
			}
			if undone > 0 {
				t.Below = []string{dry("deleted")}
			}
			return t
		},
	}.Command(env)
}
