package kafkacmd

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

type truncateArgs struct {
	cli.Brokers
	topic      string
	before     string
	partitions []int32
	execute    bool
}

func deleteRecords(env *cli.Env) *cobra.Command {
	return cli.Verb[truncateArgs, admin.Truncation]{
		Use: "delete-records TOPIC --before POSITION", Short: "Delete the oldest records of a topic",
		Long: "Deletes the records before a position: an offset, end, -N from the end, or @TIME. Without --execute it only counts them.",
		Example: "  smartlb kafka topics delete-records my-topic --before @-24h\n  smartlb kafka topics delete-records my-topic --before end --execute\n" +
			"  smartlb kafka topics delete-records my-topic --before 1000 -p 0 --execute",
		Flags: func(f *pflag.FlagSet, a *truncateArgs) {
			a.Declare(f)
			f.StringVar(&a.before, "before", "", "`position` of the first record that is kept")
			f.Int32SliceVarP(&a.partitions, "partitions", "p", nil, "`numbers` of partitions, separated by commas (default: all)")
			cli.HideDefault(f, "partitions")
			executeFlag(f, &a.execute)
		},
		Args: cli.Words(func(a *truncateArgs) []*string { return []*string{&a.topic} }, "TOPIC"),
		Complete: func(ctx context.Context, env *cli.Env, a *truncateArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a truncateArgs) (admin.Truncation, error) {
			if a.before == "" {
				return admin.Truncation{}, cli.Usagef("--before is missing")
			}
			at, err := admin.ParsePosition(a.before, time.Now())
			if err != nil || at.Relative() {
				return admin.Truncation{}, cli.Usagef("--before: %q %w", a.before, admin.ErrPosition)
			}
			all, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.Truncated, error) {
				return admin.DeleteRecords(ctx, client, a.topic, at, a.partitions, a.execute)
			})
			out := admin.TruncationOf(a.topic, at, all, a.execute)
			return reported(env, out, err, len(out.Partitions) > 0)
		},
		Table: func(d admin.Truncation) cli.Table {
			t := cli.Table{Head: []string{"TOPIC", "PARTITION", "START", "NEW-START", "RECORDS", "ERROR"}}
			for _, p := range d.Partitions {
				t.Rows = append(t.Rows, []string{p.Topic, strconv.Itoa(int(p.Partition)), known(p.From), known(p.To), strconv.FormatInt(p.Records, 10), p.Error})
			}
			if !d.Deleted {
				t.Below = []string{dry("deleted")}
			} else {
				t.Below = []string{fmt.Sprintf("Deleted %s.", readable.Count(d.Records, "record"))}
			}
			return t
		},
	}.Command(env)
}
