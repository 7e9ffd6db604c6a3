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
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

func apply(env *cli.Env) *cobra.Command {
	return cli.Verb[planArgs, admin.Applied]{
		Use: "apply [TOPIC...]", Short: "Make the cluster's topics match the catalog; never deletes a topic",
		Long: "Carries out the steps of plan that lose no records; other steps need their --allow flag. Reads the result back. After a failed step it continues, and exits " +
			"with 1. Exits with 3 if a step needs a permission or is impossible. With --create-only it leaves existing topics as they are and waits for a broker that is starting.",
		Example: "  smartlb kafka apply\n  smartlb kafka apply --create-only\n  smartlb kafka apply -f topics.yaml my-topic --allow-repartition",
		Flags: func(f *pflag.FlagSet, a *planArgs) {
			a.flags(f)
			f.BoolVar(&a.createOnly, "create-only", false, "create missing topics and leave existing topics as they are")
			f.BoolVar(&a.repartition, "allow-repartition", false, "allow more partitions for topics with records: records of one key are then in two partitions")
			f.BoolVar(&a.loss, "allow-loss", false, "allow changes that delete records or refuse records that were accepted before")
		},
		Args:     (*planArgs).takeTopics,
		Complete: completeCatalog,
		Run: func(ctx context.Context, env *cli.Env, a planArgs) (admin.Applied, error) {
			s, err := a.spec()
			if err != nil {
				return admin.Applied{}, err
			}
			done, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) (admin.Applied, error) {
				if s.CreateOnly {
					return admin.CreateMissing(ctx, client, s)
				}
				return admin.Apply(ctx, client, s)
			})
			if s.CreateOnly {
				for _, d := range done.Remaining {
					env.Say("differs, left unchanged: %s", d)
				}
			}
			if err == nil && done.Blocked > 0 {
				return done, cli.ErrDrift
			}
			return reported(env, done, err, len(done.Steps) > 0)
		},
		Table: appliedTable,
	}.Command(env)
}

func appliedTable(a admin.Applied) cli.Table {
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
		case s.Kind == topic.Create && s.Result == admin.Done:
			result = "created"
		case s.Kind == topic.Create && s.Result == admin.Left:
			result, text = "exists", ""
		}
		t.Rows = append(t.Rows, []string{s.Topic, result, text})
	}
	if len(t.Rows) == 0 {
		return cli.Table{Above: []string{"No changes: the cluster matches the catalog."}}
	}
	t.Below = []string{fmt.Sprintf("%d done, %d failed, %d blocked.", a.Done, a.Failed, a.Blocked)}
	return t
}

func export(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, topic.File]{
		Use: "export", Short: "Print the cluster's topics as a catalog",
		Long:    "For this YAML, `kafka plan -f` shows no difference. The line `cluster: ID` binds it to this cluster; remove it to use the catalog elsewhere.",
		Example: "  smartlb kafka export > topics.yaml",
		Forms:   "yaml,json",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) (topic.File, error) {
			c, err := catalog()
			if err != nil {
				return topic.File{}, err
			}
			return with(ctx, env, t, func(ctx context.Context, client *kafka.Admin) (topic.File, error) {
				return admin.Export(ctx, client, c)
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
