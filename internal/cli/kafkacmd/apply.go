package kafkacmd

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

func apply(env *cli.Env) *cobra.Command {
	return cli.Verb[planArgs, ops.Applied]{
		Use: "apply [TOPIC...]", Short: "Make the cluster's topics like the catalog; nothing is ever deleted",
		Long: "Creates and changes what plan shows, as far as it loses nothing; the rest needs its permission. Reads back what it did, goes on after a step that failed and then exits " +
			"with 1. Exits with 3 where something stays that needs a permission or cannot be. With --create-only existing topics are left as they are, and a broker that is still starting is waited for.",
		Example: "  smartlb kafka apply\n  smartlb kafka apply --create-only\n  smartlb kafka apply -f topics.yaml my-topic --allow-repartition",
		Flags: func(f *pflag.FlagSet, a *planArgs) {
			a.flags(f)
			f.BoolVar(&a.createOnly, "create-only", false, "create what is missing and leave the rest as it is")
			f.BoolVar(&a.repartition, "allow-repartition", false, "add partitions to topics with records: those of one key are in two partitions then")
			f.BoolVar(&a.loss, "allow-loss", false, "make changes that delete records or refuse what was taken")
		},
		Args:     (*planArgs).takeTopics,
		Complete: completeCatalog,
		Run: func(ctx context.Context, env *cli.Env, a planArgs) (ops.Applied, error) {
			s, err := a.spec()
			if err != nil {
				return ops.Applied{}, err
			}
			done, err := with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (ops.Applied, error) {
				if s.CreateOnly {
					return ops.CreateMissing(ctx, admin, s)
				}
				return ops.Apply(ctx, admin, s)
			})
			if s.CreateOnly {
				for _, d := range done.Remaining {
					env.Say("differs, left as it is: %s", d)
				}
			}
			if err == nil && done.Blocked > 0 {
				return done, cli.ErrDrift
			}
			return told(env, done, err, len(done.Steps) > 0)
		},
		Table: appliedTable,
	}.Command(env)
}

func appliedTable(a ops.Applied) cli.Table {
	t := cli.Table{Head: []string{"TOPIC", "RESULT", "STEP"}}
	for _, s := range a.Steps {
		if s.Kind == topic.Foreign {
			continue
		}
		text := strings.TrimPrefix(s.Step.String(), s.Mark()+" "+s.Topic+" ")
		if s.Error != "" {
			text += ": " + s.Error
		}
		result := string(s.Result)
		switch {
		case s.Kind == topic.Create && s.Result == ops.Done:
			result = "created"
		case s.Kind == topic.Create && s.Result == ops.Left:
			result, text = "exists", ""
		}
		t.Rows = append(t.Rows, []string{s.Topic, result, text})
	}
	if len(t.Rows) == 0 {
		return cli.Table{Above: []string{"No changes: the cluster is as the catalog says."}}
	}
	t.Below = []string{fmt.Sprintf("%d done, %d failed, %d blocked.", a.Done, a.Failed, a.Blocked)}
	return t
}

func export(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, topic.File]{
		Use: "export", Short: "Write the cluster's topics down as a catalog",
		Long:    "Prints YAML that `kafka plan -f` finds nothing to do with. It is pinned to the cluster by its id; take the line away to use it elsewhere.",
		Example: "  smartlb kafka export > topics.yaml",
		Forms:   "yaml,json",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) (topic.File, error) {
			c, err := catalog()
			if err != nil {
				return topic.File{}, err
			}
			return with(ctx, env, t, func(ctx context.Context, admin *kafka.Admin) (topic.File, error) {
				return ops.Export(ctx, admin, c)
			})
		},
		Table: func(f topic.File) cli.Table {
			var b bytes.Buffer
			if err := yaml.NewEncoder(&b, yaml.UseSingleQuote(false), yaml.IndentSequence(true)).Encode(f); err != nil {
				return cli.Table{Above: []string{"# " + err.Error()}}
			}
			return cli.Table{Above: strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")}
		},
	}.Command(env)
}
