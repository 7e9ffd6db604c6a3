package kafkacmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

type topicsArgs struct {
	cli.Brokers
	all bool
}

func listTopics(env *cli.Env) *cobra.Command {
	return cli.Verb[topicsArgs, []admin.Topic]{
		Use: "list", Short: "List topics with partitions, replicas and messages",
		Example: "  smartlb kafka topics\n  smartlb kafka topics -o json -b localhost:9092",
		Flags: func(f *pflag.FlagSet, a *topicsArgs) {
			a.Declare(f)
			f.BoolVar(&a.all, "all", false, "also topics internal to Kafka")
		},
		Run: func(ctx context.Context, env *cli.Env, a topicsArgs) ([]admin.Topic, error) {
			c, err := catalog()
			if err != nil {
				return nil, err
			}
			return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.Topic, error) {
				return admin.ListTopics(ctx, client, c, a.all)
			})
		},
		Table: func(all []admin.Topic) cli.Table {
			t := cli.Table{Head: []string{"TOPIC", "PARTITIONS", "REPLICAS", "MESSAGES", "KIND"}, Wide: 1}
			for _, x := range all {
				t.Rows = append(t.Rows, []string{x.Name, strconv.Itoa(x.Partitions), strconv.Itoa(x.Replicas), strconv.FormatInt(x.Messages, 10), x.Kind})
			}
			return t
		},
	}.Command(env)
}

// namesArgs are the arguments of verbs about several names.
type namesArgs struct {
	cli.Brokers
	names   []string
	all     bool
	execute bool
}

// takes returns a function that reads at least one name; what is the kind of the names.
func takes(what string) func(*namesArgs, []string) error {
	return func(a *namesArgs, words []string) error {
		a.names = words
		return checkNames(what, words)
	}
}

// executeFlag declares --execute.
func executeFlag(f *pflag.FlagSet, to *bool) {
	f.BoolVar(to, "execute", false, "carry it out; without this flag the command only shows what would happen")
}

func describeTopics(env *cli.Env) *cobra.Command {
	return cli.Verb[namesArgs, []admin.Description]{
		Use: "describe TOPIC...", Short: "Describe topics: partitions, offsets, settings",
		Example: "  smartlb kafka topics describe service-metrics\n  smartlb kafka topics describe service-metrics alerts -o wide",
		Flags:   func(f *pflag.FlagSet, a *namesArgs) { a.Declare(f) },
		Args:    takes("TOPIC"),
		Complete: func(ctx context.Context, env *cli.Env, a *namesArgs, words []string) []string {
			return anyTopic(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a namesArgs) ([]admin.Description, error) {
			c, err := catalog()
			if err != nil {
				return nil, err
			}
			return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.Description, error) {
				return admin.DescribeTopics(ctx, client, c, a.names...)
			})
		},
		Table: describeTable,
	}.Command(env)
}

func describeTable(all []admin.Description) cli.Table {
	t := cli.Table{
		Head: []string{"TOPIC", "PARTITION", "LEADER", "START", "END", "MESSAGES", "REPLICAS", "ISR"},
		Wide: 2,
	}
	for _, d := range all {
		var set []string
		for _, c := range d.Configs {
			if c.Set {
				set = append(set, c.Name+"="+c.Value)
			}
		}
		t.Above = append(t.Above, fmt.Sprintf("Topic: %s  TopicId: %s  PartitionCount: %d  ReplicationFactor: %d  Configs: %s",
			d.Name, d.ID, len(d.Partitions), d.Replicas, strings.Join(set, ",")))
		if d.Description != "" {
			t.Above = append(t.Above, fmt.Sprintf("%s. Written by: %s. Key: %s. Schema: %s", d.Description, d.Owner, d.Key, orNone(d.Schema)))
		}
		for _, p := range d.Partitions {
			messages := int64(-1)
			if p.Start >= 0 && p.End >= 0 {
				messages = p.End - p.Start
			}
			leader := strconv.Itoa(int(p.Leader))
			if p.Leader < 0 {
				leader = "none"
			}
			t.Rows = append(t.Rows, []string{
				d.Name, strconv.Itoa(int(p.Partition)), leader,
				known(p.Start), known(p.End), known(messages), fmt.Sprint(p.Replicas), fmt.Sprint(p.InSync),
			})
		}
	}
	return t
}

// known formats an offset; a negative offset is unknown.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

type createArgs struct {
	cli.Brokers
	name       string
	like       string
	partitions int32
	replicas   int16
	configs    []string
	validate   bool
	flags      *pflag.FlagSet // distinguishes -p 0 from a missing -p
}

func (a createArgs) given(flag string) bool { return a.flags != nil && a.flags.Changed(flag) }

// created is the result of create.
type created struct {
	Name       string            `json:"name"`
	Partitions int32             `json:"partitions"`
	Replicas   int16             `json:"replicas"`
	Configs    map[string]string `json:"configs"`
	Created    bool              `json:"created"` // false: the broker only validated the topic
}

func createTopic(env *cli.Env) *cobra.Command {
	return cli.Verb[createArgs, created]{
		Use: "create TOPIC", Short: "Create a topic",
		Example: "  smartlb kafka topics create my-topic -p 3 -r 1\n  smartlb kafka topics create my-topic -p 3 -c retention.ms=7d\n  smartlb kafka topics create copy --like service-metrics",
		Flags: func(f *pflag.FlagSet, a *createArgs) {
			a.Declare(f)
			a.flags = f
			f.Int32VarP(&a.partitions, "partitions", "p", 0, "`number` of partitions (default 1; with --like as the other topic)")
			f.Int16VarP(&a.replicas, "replicas", "r", 0, "`number` of replicas (default: the cluster's default)")
			f.StringArrayVarP(&a.configs, "config", "c", nil, "`key=value`, may be repeated; units are allowed: 7d, 11MiB")
			f.StringVar(&a.like, "like", "", "`topic` to copy partitions, replicas and settings from, unless given by flags")
			f.BoolVar(&a.validate, "validate-only", false, "let the broker validate the request, and create nothing")
		},
		Args: cli.Words(func(a *createArgs) []*string { return []*string{&a.name} }, "TOPIC"),
		Run: func(ctx context.Context, env *cli.Env, a createArgs) (created, error) {
			configs, err := pairs("--config", a.configs)
			if err != nil {
				return created{}, err
			}
			if a.partitions < 0 || a.partitions == 0 && a.given("partitions") {
				return created{}, cli.Usagef("--partitions %d: want at least 1", a.partitions)
			}
			if a.replicas < 0 || a.replicas == 0 && a.given("replicas") {
				return created{}, cli.Usagef("--replicas %d: want at least 1", a.replicas)
			}
			return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) (created, error) {
				t, err := a.topic(ctx, client, configs)
				if err == nil {
					err = admin.CreateTopic(ctx, client, t, a.validate)
				}
				if err != nil || a.validate {
					return created{t.Name, t.Partitions, t.Replicas, t.Configs, false}, err
				}
				d, err := admin.DescribeTopic(ctx, client, nil, t.Name) // read back the created topic
				if errors.Is(err, admin.ErrNoTopic) {                   // the topic exists, but this broker does not know it yet
					return created{t.Name, t.Partitions, t.Replicas, t.Configs, true}, nil
				}
				return created{t.Name, int32(len(d.Partitions)), int16(d.Replicas), t.Configs, true}, err
			})
		},
		Table: func(c created) cli.Table {
			word, replicas := "Created", strconv.Itoa(int(c.Replicas))
			if !c.Created {
				word = "Valid:"
			}
			if c.Replicas < 0 {
				replicas = "default"
			}
			return cli.Table{Above: []string{fmt.Sprintf("%s topic %s, partitions: %d, replicas: %s.", word, c.Name, c.Partitions, replicas)}}
		},
		CompleteFlags: map[string]func(context.Context, *cli.Env, *createArgs) []string{
			"config": func(context.Context, *cli.Env, *createArgs) []string { return settingNames() },
			"like": func(ctx context.Context, env *cli.Env, a *createArgs) []string {
				return anyTopic(ctx, env, a.Brokers, nil)
			},
		},
	}.Command(env)
}

// topic builds the topic to create.
func (a createArgs) topic(ctx context.Context, client *kafka.Admin, configs map[string]string) (admin.NewTopic, error) {
	t := admin.NewTopic{Name: a.name, Partitions: 1, Replicas: -1, Configs: map[string]string{}}
	if a.like != "" {
		var err error
		if t, err = admin.Like(ctx, client, a.like, a.name); err != nil {
			return t, err
		}
	}
	if a.partitions > 0 {
		t.Partitions = a.partitions
	}
	if a.replicas > 0 {
		t.Replicas = a.replicas
	}
	for k, v := range configs {
		t.Configs[k] = topic.FromHuman(k, v)
	}
	return t, nil
}

func deleteTopics(env *cli.Env) *cobra.Command {
	return cli.Verb[namesArgs, []admin.DeletedTopic]{
		Use: "delete TOPIC...", Short: "Delete topics with all their records",
		Long:    "Shows what the topics hold; --execute deletes them. Topics internal to Kafka are refused.",
		Example: "  smartlb kafka topics delete my-topic\n  smartlb kafka topics delete my-topic --execute",
		Flags:   func(f *pflag.FlagSet, a *namesArgs) { a.Declare(f); executeFlag(f, &a.execute) },
		Args:    takes("TOPIC"),
		Complete: func(ctx context.Context, env *cli.Env, a *namesArgs, words []string) []string {
			return anyTopic(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a namesArgs) ([]admin.DeletedTopic, error) {
			done, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.DeletedTopic, error) {
				return admin.DeleteTopics(ctx, client, a.execute, a.names...)
			})
			return reported(env, done, err, len(done) > 0)
		},
		Table: func(all []admin.DeletedTopic) cli.Table {
			t := cli.Table{Head: []string{"TOPIC", "PARTITIONS", "MESSAGES", "RESULT"}}
			undone := 0
			for _, d := range all {
				result := "deleted"
				switch {
				case d.Error != "":
					result = d.Error
				case !d.Deleted:
					result = "would be deleted"
					undone++
				}
				t.Rows = append(t.Rows, []string{d.Topic, strconv.Itoa(d.Partitions), strconv.FormatInt(d.Messages, 10), result})
			}
			if undone > 0 {
				t.Below = []string{dry("deleted")}
			}
			return t
		},
	}.Command(env)
}

// reported prints an error on stderr and returns ErrFailed, if the result shows that a part was done. Otherwise it
// returns the error.
func reported[R any](env *cli.Env, result R, err error, partly bool) (R, error) {
	if err == nil || !partly {
		return result, err
	}
	env.Say("smartlb: %v", err)
	return result, cli.ErrFailed
}

type growArgs struct {
	cli.Brokers
	topic   string
	to      string
	execute bool
}

func addPartitions(env *cli.Env) *cobra.Command {
	return cli.Verb[growArgs, admin.Grown]{
		Use: "add-partitions TOPIC N", Short: "Set the number of partitions of a topic to N, or add N with +N",
		Long: "A topic with records needs --execute: " +
			"afterwards, records of one key are in two partitions.",
		Example: "  smartlb kafka topics add-partitions my-topic 6\n  smartlb kafka topics add-partitions my-topic +3 --execute",
		Flags:   func(f *pflag.FlagSet, a *growArgs) { a.Declare(f); executeFlag(f, &a.execute) },
		Args: func(a *growArgs, words []string) error {
			if err := cli.Words(func(a *growArgs) []*string { return []*string{&a.topic, &a.to} }, "TOPIC", "N")(a, words); err != nil {
				return err
			}
			if n, err := strconv.ParseUint(strings.TrimPrefix(a.to, "+"), 10, 31); err != nil || n == 0 {
				return cli.Usagef("N: %q is not a positive number", a.to)
			}
			return nil
		},
		Complete: func(ctx context.Context, env *cli.Env, a *growArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a growArgs) (admin.Grown, error) {
			return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) (admin.Grown, error) {
				n, _ := strconv.Atoi(strings.TrimPrefix(a.to, "+")) // the argument was checked before
				if strings.HasPrefix(a.to, "+") {
					d, err := admin.DescribeTopic(ctx, client, nil, a.topic)
					if err != nil {
						return admin.Grown{}, err
					}
					n += len(d.Partitions)
				}
				return admin.AddPartitions(ctx, client, a.topic, n, a.execute)
			})
		},
		Table: func(g admin.Grown) cli.Table {
			t := cli.Table{Above: []string{fmt.Sprintf("%s: partitions %d -> %d.", g.Topic, g.From, g.To)}}
			if g.Warning != "" {
				t.Above = append(t.Above, "Warning: "+g.Warning+".")
			}
			if !g.Done {
				t.Above = append(t.Above, dry("changed"))
			}
			return t
		},
	}.Command(env)
}
