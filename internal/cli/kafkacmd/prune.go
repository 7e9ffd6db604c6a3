package kafkacmd

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

type pruneArgs struct {
	planArgs
	spec admin.PruneSpec
}

func prune(env *cli.Env) *cobra.Command {
	return cli.Verb[pruneArgs, []admin.Prunable]{
		Use: "prune [TOPIC...]", Short: "List topics that are not in the catalog; delete the topics that are named",
		Long: "Without --execute nothing is deleted. With --execute the named topics are deleted after each name was typed again on stdin. Topics of Kafka and\n" +
			"Connect and topics that a group reads are protected; topics with records need --force.",
		Example: "  smartlb kafka prune\n  smartlb kafka prune my-topic --execute",
		Flags: func(f *pflag.FlagSet, a *pruneArgs) {
			a.Declare(f)
			f.StringVarP(&a.file, "file", "f", "", "`path` of the catalog (default: the built-in catalog)")
			f.BoolVar(&a.spec.Force, "force", false, "also delete topics with records")
			executeFlag(f, &a.spec.Execute)
		},
		Args: func(a *pruneArgs, words []string) error {
			a.spec.Names = words
			if len(words) == 0 {
				return nil
			}
			return checkNames("TOPIC", words)
		},
		Complete: func(ctx context.Context, env *cli.Env, a *pruneArgs, words []string) []string {
			return anyTopic(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a pruneArgs) ([]admin.Prunable, error) {
			if a.spec.Execute && len(a.spec.Names) == 0 {
				return nil, cli.Usagef("TOPIC is missing: --execute deletes only the named topics")
			}
			var err error
			if a.spec.File, err = catalogFile(a.file); err != nil {
				return nil, err
			}
			look := a.spec
			look.Execute = false
			found, err := prunable(ctx, env, a, look)
			if err != nil || !a.spec.Execute {
				return found, err
			}
			if err := typed(env, a.spec.Names); err != nil {
				return nil, err
			}
			done, err := prunable(ctx, env, a, a.spec)
			return reported(env, done, err, len(done) > 0)
		},
		Table: func(all []admin.Prunable) cli.Table {
			if len(all) == 0 {
				return cli.Table{Above: []string{"The catalog names every topic of the cluster."}}
			}
			t := cli.Table{Head: []string{"TOPIC", "MESSAGES", "RESULT"}}
			for _, p := range all {
				result := "may be deleted"
				switch {
				case p.Deleted:
					result = "deleted"
				case p.Error != "":
					result = p.Error
				case p.Protected != "":
					result = "protected: " + p.Protected
				}
				t.Rows = append(t.Rows, []string{p.Topic, strconv.FormatInt(p.Messages, 10), result})
			}
			return t
		},
	}.Command(env)
}

func prunable(ctx context.Context, env *cli.Env, a pruneArgs, spec admin.PruneSpec) ([]admin.Prunable, error) {
	return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.Prunable, error) {
		return admin.Prune(ctx, client, spec)
	})
}

// typed asks the user to type each name again.
func typed(env *cli.Env, names []string) error {
	in := bufio.NewScanner(env.In)
	for _, name := range names {
		env.Say("Type %s to delete it with all its records:", name)
		if !in.Scan() || strings.TrimSpace(in.Text()) != name {
			return fmt.Errorf("nothing was deleted: the name %s was not typed", name)
		}
	}
	return nil
}
