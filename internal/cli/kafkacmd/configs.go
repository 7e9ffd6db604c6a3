package kafkacmd

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

type configArgs struct {
	cli.Brokers
	of      admin.Resource
	set     []string // key=value
	unset   []string
	all     bool
	execute bool
}

// resource reads the first word as the topic or broker and passes the other words to rest.
func (a *configArgs) resource(words []string, rest func([]string) error) error {
	if len(words) == 0 || words[0] == "" {
		return cli.Usagef("TOPIC or broker:ID is missing")
	}
	var err error
	if a.of, err = admin.ParseResource(words[0]); err != nil {
		return err
	}
	return rest(words[1:])
}

func showConfigs(env *cli.Env) *cobra.Command {
	return cli.Verb[configArgs, []admin.Setting]{
		Use: "show TOPIC|broker:ID", Short: "Show settings with their source and default",
		Example: "  smartlb kafka configs show service-metrics\n  smartlb kafka configs show broker:1 --all -o wide",
		Flags: func(f *pflag.FlagSet, a *configArgs) {
			a.Declare(f)
			f.BoolVar(&a.all, "all", false, "also settings that have their default")
		},
		Args: func(a *configArgs, words []string) error {
			return a.resource(words, func(rest []string) error {
				if len(rest) > 0 {
					return cli.Usagef("unexpected argument %q", rest[0])
				}
				return nil
			})
		},
		Complete: completeConfigs,
		Run: func(ctx context.Context, env *cli.Env, a configArgs) ([]admin.Setting, error) {
			all, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.Setting, error) {
				return admin.DescribeConfigs(ctx, client, a.of)
			})
			if err == nil && !a.all {
				all = slices.DeleteFunc(all, func(s admin.Setting) bool { return s.Source == "default" })
			}
			return all, err
		},
		Table: func(all []admin.Setting) cli.Table {
			t := cli.Table{Head: []string{"NAME", "VALUE", "MEANS", "SOURCE", "DEFAULT", "CHANGEABLE"}, Wide: 1}
			for _, s := range all {
				value, change := s.Value, "yes"
				if s.Sensitive {
					value = "(secret)"
				}
				if s.ReadOnly {
					change = "by restart"
				}
				means := s.Human
				if means == s.Value {
					means = ""
				}
				t.Rows = append(t.Rows, []string{s.Name, value, means, s.Source, s.Default, change})
			}
			if len(all) == 0 {
				return cli.Table{Above: []string{"Nothing is set; --all shows the defaults."}}
			}
			return t
		},
	}.Command(env)
}

// changeFlags declares the flags that all changes of settings share.
func changeFlags(f *pflag.FlagSet, a *configArgs) {
	a.Declare(f)
	executeFlag(f, &a.execute)
	f.Lookup("execute").Usage = "also apply changes that may lose data; without this flag they are only shown"
}

func setConfigs(env *cli.Env) *cobra.Command {
	return cli.Verb[configArgs, []admin.ChangedConfig]{
		Use: "set TOPIC|broker:ID KEY=VALUE...", Short: "Change settings; other settings stay as they are",
		Long:    "Values may be in units: 7d, 90min, 11MiB, unlimited. A change that may lose data needs --execute.",
		Example: "  smartlb kafka configs set my-topic retention.ms=7d max.message.bytes=11MiB\n  smartlb kafka configs set broker:1 log.cleaner.threads=2",
		Flags:   changeFlags,
		Args: func(a *configArgs, words []string) error {
			return a.resource(words, func(rest []string) error {
				a.set = rest
				return checkNames("KEY=VALUE", rest)
			})
		},
		Complete: completeConfigs, Run: changeConfigs, Table: changedTable,
	}.Command(env)
}

func unsetConfigs(env *cli.Env) *cobra.Command {
	return cli.Verb[configArgs, []admin.ChangedConfig]{
		Use: "unset TOPIC|broker:ID KEY...", Short: "Reset settings to their defaults",
		Example: "  smartlb kafka configs unset my-topic segment.ms",
		Flags:   changeFlags,
		Args: func(a *configArgs, words []string) error {
			return a.resource(words, func(rest []string) error {
				a.unset = rest
				return checkNames("KEY", rest)
			})
		},
		Complete: completeConfigs, Run: changeConfigs, Table: changedTable,
	}.Command(env)
}

func alterTopic(env *cli.Env) *cobra.Command {
	return cli.Verb[configArgs, []admin.ChangedConfig]{
		Use: "alter TOPIC -c KEY=VALUE...", Short: "Set settings of a topic, as kafka configs set does",
		Example: "  smartlb kafka topics alter my-topic -c retention.ms=1d --execute",
		Flags: func(f *pflag.FlagSet, a *configArgs) {
			changeFlags(f, a)
			f.StringArrayVarP(&a.set, "config", "c", nil, "`key=value`, may be repeated; units are allowed: 7d, 11MiB")
		},
		Args: func(a *configArgs, words []string) error {
			return a.resource(words, func(rest []string) error {
				if len(rest) > 0 {
					return cli.Usagef("unexpected argument %q; name settings with -c", rest[0])
				}
				if a.of.Topic == "" {
					return cli.Usagef("%s is not a topic; see smartlb kafka configs set", a.of)
				}
				return checkNames("-c KEY=VALUE", a.set)
			})
		},
		Complete: func(ctx context.Context, env *cli.Env, a *configArgs, words []string) []string {
			return completeTopics(ctx, env, a.Brokers, words)
		},
		CompleteFlags: map[string]func(context.Context, *cli.Env, *configArgs) []string{
			"config": func(context.Context, *cli.Env, *configArgs) []string { return settingNames() },
		},
		Run: changeConfigs, Table: changedTable,
	}.Command(env)
}

func changeConfigs(ctx context.Context, env *cli.Env, a configArgs) ([]admin.ChangedConfig, error) {
	set, err := pairs("setting", a.set)
	if err != nil {
		return nil, err
	}
	return with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) ([]admin.ChangedConfig, error) {
		return admin.ChangeConfigs(ctx, client, admin.ConfigChange{Of: a.of, Set: set, Unset: a.unset, Execute: a.execute})
	})
}

func changedTable(all []admin.ChangedConfig) cli.Table {
	t := cli.Table{Head: []string{"OF", "NAME", "FROM", "TO", "RESULT"}}
	undone := false
	for _, c := range all {
		from, to, result := topic.Human(c.Name, c.From), topic.Human(c.Name, c.To), "done"
		if c.From == "" {
			from = "(default)"
		}
		if c.To == "" {
			to = "(default)"
		}
		if !c.Done {
			result, undone = "not done", true
			if c.Danger != "" {
				result = "not done: " + c.Danger
			}
		}
		t.Rows = append(t.Rows, []string{c.Resource, c.Name, from, to, result})
	}
	if undone {
		t.Below = []string{dry("changed")}
	}
	return t
}

// completeConfigs completes topics and brokers, then names of settings.
func completeConfigs(ctx context.Context, env *cli.Env, a *configArgs, words []string) []string {
	if len(words) == 0 {
		return append(anyTopic(ctx, env, a.Brokers, nil), "broker:")
	}
	of, err := admin.ParseResource(words[0])
	if err != nil {
		return nil
	}
	return names(ctx, env, a.Brokers, words, func(ctx context.Context, client *kafka.Admin) ([]string, error) {
		all, err := admin.DescribeConfigs(ctx, client, of)
		var keys []string
		for _, s := range all {
			keys = append(keys, s.Name)
		}
		return keys, err
	})
}

// settingNames returns the names of topic settings in the form for completion before a value.
func settingNames() []string {
	all := topic.ConfigNames()
	for i := range all {
		all[i] += "="
	}
	return all
}
