package kafkacmd

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/connect"
	"github.com/smartlb/smartlb/internal/stack"
)

// connectArgs are the flags and words of the verbs about connectors.
type connectArgs struct {
	url     string
	timeout time.Duration
	names   []string
	file    string
	all     bool
	failed  bool
	execute bool
	wait    bool
	create  bool // the worker creates the topics of source connectors
}

func (a *connectArgs) flags(f *pflag.FlagSet) {
	f.StringVar(&a.url, "connect", "", "`URL` of a Connect worker (default SMARTLB_CONNECT, CONNECT_URL, the worker of the stack running here or "+connect.Default().URL+")")
	f.DurationVar(&a.timeout, "timeout", 30*time.Second, "timeout, also for a worker group that rebalances")
}

func (a connectArgs) client(env *cli.Env) (*connect.Client, error) {
	cfg := connect.Default()
	origin := "--connect"
	if cfg.URL = a.url; cfg.URL == "" {
		if cfg.URL, origin = env.First("SMARTLB_CONNECT", "CONNECT_URL"); cfg.URL == "" {
			cfg.URL, origin = cmp.Or(localWorker(env), connect.Default().URL), "the worker of this machine"
		}
	}
	if a.timeout <= 0 {
		return nil, cli.Usagef("--timeout %v is not positive", a.timeout)
	}
	cfg.Timeout = a.timeout
	c, err := connect.New(cfg)
	if err != nil {
		return nil, cli.Usagef("%s: %w", origin, err)
	}
	return c, nil
}

// localWorker returns the address of Connect in the stack that runs on this machine; empty: no such stack runs.
func localWorker(env *cli.Env) string {
	dir, err := stack.Dir(env.Getenv)
	if err != nil {
		return ""
	}
	if _, runs := stack.Find(dir); !runs {
		return ""
	}
	c, _, err := stack.Recall(dir)
	if err != nil {
		return ""
	}
	return c.Addresses.Connect
}

// asks runs f with a client and the timeout.
func asks[R any](f func(context.Context, *cli.Env, *connect.Client, connectArgs) (R, error)) func(context.Context, *cli.Env, connectArgs) (R, error) {
	return func(ctx context.Context, env *cli.Env, a connectArgs) (R, error) {
		c, err := a.client(env)
		if err != nil {
			var none R
			return none, err
		}
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return f(ctx, env, c, a)
	}
}

// connectors completes every word with the names of connectors.
func connectors(ctx context.Context, env *cli.Env, a *connectArgs, words []string) []string {
	a.timeout = completionTimeout
	c, err := a.client(env)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	all, err := c.Names(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(n string) bool { return slices.Contains(words, n) })
}

func oneConnector(a *connectArgs, words []string) error {
	a.names = words
	if err := checkNames("CONNECTOR", words); err != nil {
		return err
	}
	if len(words) > 1 {
		return cli.Usagef("unexpected argument %q", words[1])
	}
	return nil
}

func connectorNames(a *connectArgs, words []string) error {
	a.names = words
	return checkNames("CONNECTOR", words)
}

func connectNoun(env *cli.Env) *cobra.Command {
	return cli.Noun("connect", "Kafka Connect: connectors and their tasks", "",
		connectInfo(env), connectPlugins(env), connectList(env), connectGet(env), connectDescribe(env), connectValidate(env), connectApply(env),
		connectAct(env, connect.Pause, "Pause connectors; their tasks stay assigned"),
		connectAct(env, connect.Resume, "Resume paused or stopped connectors"),
		connectAct(env, connect.Stop, "Stop connectors: their tasks end, settings and offsets are kept"),
		connectAct(env, connect.Restart, "Restart connectors with their tasks"),
		connectDelete(env), connectOffsets(env))
}

func connectInfo(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, connect.Info]{
		Use: "info", Short: "Show the worker's version and cluster",
		Example: "  smartlb kafka connect info",
		Flags:   func(f *pflag.FlagSet, a *connectArgs) { a.flags(f) },
		Run: asks(func(ctx context.Context, _ *cli.Env, c *connect.Client, _ connectArgs) (connect.Info, error) {
			return c.Info(ctx)
		}),
		Table: func(i connect.Info) cli.Table {
			return cli.Table{Above: []string{fmt.Sprintf("Kafka Connect %s (%s), cluster %s.", i.Version, i.Commit, i.Cluster)}}
		},
	}.Command(env)
}

func connectPlugins(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, []connect.Plugin]{
		Use: "plugins", Short: "List the connector classes of the worker",
		Example: "  smartlb kafka connect plugins\n  smartlb kafka connect plugins --all",
		Flags: func(f *pflag.FlagSet, a *connectArgs) {
			a.flags(f)
			f.BoolVar(&a.all, "all", false, "also converters, transformations and predicates")
		},
		Run: asks(func(ctx context.Context, _ *cli.Env, c *connect.Client, a connectArgs) ([]connect.Plugin, error) {
			return c.Plugins(ctx, a.all)
		}),
		Table: func(all []connect.Plugin) cli.Table {
			t := cli.Table{Head: []string{"TYPE", "CLASS", "VERSION"}}
			for _, p := range all {
				t.Rows = append(t.Rows, []string{p.Type, p.Class, p.Version})
			}
			return t
		},
	}.Command(env)
}

func connectList(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, []connect.Connector]{
		Use: "list", Short: "List connectors with their states",
		Example: "  smartlb kafka connect list",
		Flags:   func(f *pflag.FlagSet, a *connectArgs) { a.flags(f) },
		Run: asks(func(ctx context.Context, env *cli.Env, c *connect.Client, _ connectArgs) ([]connect.Connector, error) {
			all, err := c.List(ctx)
			if err != nil {
				return all, err
			}
			return all, findMissing(ctx, env, c, all)
		}),
		Table: func(all []connect.Connector) cli.Table {
			t := cli.Table{Head: []string{"CONNECTOR", "TYPE", "STATE", "TASKS", "CLASS", "WORKER"}, Wide: 2}
			for _, c := range all {
				t.Rows = append(t.Rows, []string{c.Name, c.Type, stateOf(c), tasksOf(c), c.Class, c.Worker})
				t.Below = append(t.Below, c.Problems()...)
				t.Below = append(t.Below, missingOf(c)...)
			}
			return t
		},
	}.Command(env)
}

func connectGet(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, map[string]string]{
		Use: "get CONNECTOR", Short: "Show a connector's settings; secrets are masked",
		Example:  "  smartlb kafka connect get my-source\n  smartlb kafka connect get my-source -o yaml > my-source.yaml",
		Flags:    func(f *pflag.FlagSet, a *connectArgs) { a.flags(f) },
		Args:     oneConnector,
		Complete: firstConnector,
		Run: asks(func(ctx context.Context, _ *cli.Env, c *connect.Client, a connectArgs) (map[string]string, error) {
			return c.Get(ctx, a.names[0], false)
		}),
		Table: func(config map[string]string) cli.Table {
			t := cli.Table{Head: []string{"SETTING", "VALUE"}}
			for _, k := range slices.Sorted(maps.Keys(config)) {
				t.Rows = append(t.Rows, []string{k, config[k]})
			}
			return t
		},
	}.Command(env)
}

func firstConnector(ctx context.Context, env *cli.Env, a *connectArgs, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	return connectors(ctx, env, a, words)
}

func connectDescribe(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, connect.Connector]{
		Use: "describe CONNECTOR", Short: "Describe a connector: tasks with their errors, topics, settings",
		Example:  "  smartlb kafka connect describe my-source",
		Flags:    func(f *pflag.FlagSet, a *connectArgs) { a.flags(f) },
		Args:     oneConnector,
		Complete: firstConnector,
		Run: asks(func(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs) (connect.Connector, error) {
			one, err := c.Describe(ctx, a.names[0])
			if err != nil {
				return one, err
			}
			all := []connect.Connector{one}
			err = findMissing(ctx, env, c, all)
			return all[0], err
		}),
		Table: func(c connect.Connector) cli.Table {
			t := cli.Table{
				Above: []string{fmt.Sprintf("Connector: %s  Type: %s  State: %s  Class: %s  Worker: %s  Topics: %s",
					c.Name, c.Type, c.State, c.Class, c.Worker, orNone(strings.Join(c.Topics, ",")))},
				Head: []string{"TASK", "STATE", "WORKER", "WHY"},
			}
			if c.Trace != "" {
				t.Above = append(t.Above, "Why: "+connect.Cause(c.Trace))
			}
			for _, task := range c.Tasks {
				t.Rows = append(t.Rows, []string{strconv.Itoa(task.ID), task.State, task.Worker, connect.Cause(task.Trace)})
			}
			t.Below = append(t.Below, missingOf(c)...)
			if c.Failed() {
				t.Below = append(t.Below, "-o json shows the full stack traces; to retry, run smartlb kafka connect restart --failed "+c.Name+".")
			}
			return t
		},
	}.Command(env)
}
