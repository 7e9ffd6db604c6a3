package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
)

type topicsArgs struct {
	cli.Brokers
	all bool
}

func topics(env *cli.Env) *cobra.Command {
	return cli.Verb[topicsArgs, []ops.Topic]{
		Use: "topics", Short: "List topics",
		Example: "  smartlb kafka topics\n  smartlb kafka topics -o json -b localhost:9092",
		Flags: func(f *pflag.FlagSet, a *topicsArgs) {
			a.Declare(f)
			f.BoolVar(&a.all, "all", false, "also those internal to Kafka")
		},
		Run: func(ctx context.Context, env *cli.Env, a topicsArgs) ([]ops.Topic, error) {
			c, err := catalog()
			if err != nil {
				return nil, err
			}
			return with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) ([]ops.Topic, error) {
				return ops.ListTopics(ctx, admin, c, a.all)
			})
		},
		Table: func(all []ops.Topic) cli.Table {
			t := cli.Table{Head: []string{"TOPIC", "PARTITIONS", "REPLICAS", "MESSAGES", "KIND"}, Wide: 1}
			for _, x := range all {
				t.Rows = append(t.Rows, []string{x.Name, strconv.Itoa(x.Partitions), strconv.Itoa(x.Replicas), strconv.FormatInt(x.Messages, 10), x.Kind})
			}
			return t
		},
	}.Command(env)
}

func initTopics(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, ops.Ensured]{
		Use: "init-topics", Short: "Create the topics of the catalog that do not exist",
		Long:    "Creates the topics of deployment/kafka/topics.yaml that do not exist, and leaves the others as they are. It waits for a broker that is still starting.",
		Example: "  smartlb kafka init-topics",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) (ops.Ensured, error) {
			c, err := catalog()
			if err != nil {
				return ops.Ensured{}, err
			}
			done, err := with(ctx, env, t, func(ctx context.Context, admin *kafka.Admin) (ops.Ensured, error) {
				return ops.EnsureTopics(ctx, admin, c)
			})
			for _, m := range done.Missing {
				env.Say("not created: %s: %s", m.Topic, m.Reason)
			}
			for _, s := range done.Drift {
				env.Say("differs, left as it is: %s", s)
			}
			return done, err
		},
		Table: func(e ops.Ensured) cli.Table {
			t := cli.Table{Head: []string{"TOPIC", "RESULT"}}
			for _, n := range e.Created {
				t.Rows = append(t.Rows, []string{n, "created"})
			}
			for _, n := range e.Existed {
				t.Rows = append(t.Rows, []string{n, "exists"})
			}
			for _, m := range e.Missing {
				t.Rows = append(t.Rows, []string{m.Topic, "missing"})
			}
			return t
		},
	}.Command(env)
}

type createArgs struct {
	cli.Brokers
	topic    ops.NewTopic
	configs  []string
	validate bool
}

// created is the result of create-topic.
type created struct {
	Name       string `json:"name"`
	Partitions int32  `json:"partitions"`
	Replicas   int16  `json:"replicas"`
	Created    bool   `json:"created"` // false: it was only validated
}

func createTopic(env *cli.Env) *cobra.Command {
	return cli.Verb[createArgs, created]{
		Use: "create-topic NAME [PARTITIONS [REPLICAS]]", Short: "Create a topic",
		Example: "  smartlb kafka create-topic my-topic 3 1\n  smartlb kafka create-topic my-topic 3 1 -c retention.ms=3600000",
		Flags: func(f *pflag.FlagSet, a *createArgs) {
			a.Declare(f)
			f.StringArrayVarP(&a.configs, "config", "c", nil, "key=value, may be repeated")
			f.BoolVar(&a.validate, "validate-only", false, "ask the broker whether it would, and create nothing")
		},
		Args: func(a *createArgs, words []string) error {
			if len(words) < 1 || len(words) > 3 {
				return fmt.Errorf("NAME [PARTITIONS [REPLICAS]] is expected")
			}
			a.topic = ops.NewTopic{Name: words[0], Partitions: 1, Replicas: 1, Configs: map[string]string{}}
			if len(words) > 1 {
				n, err := strconv.ParseInt(words[1], 10, 32)
				if err != nil || n < 1 {
					return fmt.Errorf("PARTITIONS: %q is not a positive number", words[1])
				}
				a.topic.Partitions = int32(n)
			}
			if len(words) > 2 {
				n, err := strconv.ParseInt(words[2], 10, 16)
				if err != nil || n < 1 {
					return fmt.Errorf("REPLICAS: %q is not a positive number", words[2])
				}
				a.topic.Replicas = int16(n)
			}
			return nil
		},
		Run: func(ctx context.Context, env *cli.Env, a createArgs) (created, error) {
			for _, c := range a.configs {
				key, value, ok := strings.Cut(c, "=")
				if !ok {
					return created{}, cli.Usagef("--config %s: key=value is expected", c)
				}
				a.topic.Configs[key] = value
			}
			result := created{a.topic.Name, a.topic.Partitions, a.topic.Replicas, !a.validate}
			return with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (created, error) {
				return result, ops.CreateTopic(ctx, admin, a.topic, a.validate)
			})
		},
		Table: func(c created) cli.Table {
			word := "Created"
			if !c.Created {
				word = "Valid:"
			}
			return cli.Table{Above: []string{fmt.Sprintf("%s topic %s with %d partitions and %d replicas.", word, c.Name, c.Partitions, c.Replicas)}}
		},
	}.Command(env)
}

type nameArgs struct {
	cli.Brokers
	name string
}

func nameWord(a *nameArgs) []*string { return []*string{&a.name} }

func describeTopic(env *cli.Env) *cobra.Command {
	return cli.Verb[nameArgs, ops.Description]{
		Use: "describe-topic TOPIC", Short: "Describe a topic: partitions, offsets, configuration",
		Example: "  smartlb kafka describe-topic service-metrics\n  smartlb kafka describe-topic service-metrics -o wide",
		Flags:   func(f *pflag.FlagSet, a *nameArgs) { a.Declare(f) },
		Args:    cli.Words(nameWord, "TOPIC"),
		Complete: func(ctx context.Context, env *cli.Env, a *nameArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a nameArgs) (ops.Description, error) {
			c, err := catalog()
			if err != nil {
				return ops.Description{}, err
			}
			return with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (ops.Description, error) {
				return ops.DescribeTopic(ctx, admin, c, a.name)
			})
		},
		Table: describeTable,
	}.Command(env)
}

func describeTable(d ops.Description) cli.Table {
	var set []string
	for _, c := range d.Configs {
		if c.Set {
			set = append(set, c.Name+"="+c.Value)
		}
	}
	t := cli.Table{
		Above: []string{fmt.Sprintf("Topic: %s  TopicId: %s  PartitionCount: %d  ReplicationFactor: %d  Configs: %s",
			d.Name, d.ID, len(d.Partitions), d.Replicas, strings.Join(set, ","))},
		Head: []string{"PARTITION", "LEADER", "START", "END", "MESSAGES", "REPLICAS", "ISR"},
		Wide: 2,
	}
	if d.Description != "" {
		t.Above = append(t.Above, fmt.Sprintf("%s. Written by: %s. Key: %s. Schema: %s", d.Description, d.Owner, d.Key, orNone(d.Schema)))
	}
	for _, p := range d.Partitions {
		t.Rows = append(t.Rows, []string{
			strconv.Itoa(int(p.Partition)), strconv.Itoa(int(p.Leader)),
			strconv.FormatInt(p.Start, 10), strconv.FormatInt(p.End, 10), strconv.FormatInt(p.End-p.Start, 10),
			fmt.Sprint(p.Replicas), fmt.Sprint(p.InSync),
		})
	}
	return t
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
