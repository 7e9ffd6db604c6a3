// Package configcmd holds the commands about the configuration: check a file, publish it over config-updates, show the
// current revision and its history.
package configcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Commands returns the noun config.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("config", "Check, publish and show configurations",
		"Configuration is a log: `apply` publishes a revision to config-updates, every node applies it while it serves,\n`history` lists all revisions, and `rollback` publishes an old revision again.",
		validate(env), example(env), apply(env), show(env), history(env), diff(env), rollback(env), hashPassword(env), signingKey(env))}
}

type validation struct {
	File     string          `json:"file"`
	Valid    bool            `json:"valid"`
	Mistakes config.Mistakes `json:"mistakes"`
	Warnings config.Mistakes `json:"warnings"` // valid, but without effect
	Services int             `json:"services"`
	Routes   int             `json:"routes"`
}

func validate(env *cli.Env) *cobra.Command {
	type args struct{ file string }
	return cli.Verb[args, validation]{
		Use: "validate FILE", Short: "Report all mistakes of a file, with line, path and allowed values",
		Example: "  smartlb config validate smartlb.yaml\n  smartlb config validate smartlb.yaml -o json",
		Args:    cli.Words(func(a *args) []*string { return []*string{&a.file} }, "FILE"),
		Run: func(_ context.Context, env *cli.Env, a args) (validation, error) {
			v := validation{File: a.file, Mistakes: config.Mistakes{}, Warnings: config.Mistakes{}}
			src, err := os.ReadFile(a.file)
			if err != nil {
				return v, err
			}
			d, err := config.Parse(src)
			if errors.As(err, &v.Mistakes) {
				if env.Output == "json" || env.Output == "yaml" {
					return v, cli.ErrFailed
				}
				return v, cli.Mistakes(a.file, err)
			}
			v.Valid, v.Services, v.Routes, v.Warnings = true, len(d.Services), len(d.Routes), append(v.Warnings, d.Warnings...)
			return v, err
		},
		Table: func(v validation) cli.Table {
			t := cli.Table{Above: []string{fmt.Sprintf("%s is valid: %s, %s", v.File, readable.Count(v.Routes, "route"), readable.Count(v.Services, "service"))}}
			for _, w := range v.Warnings {
				t.Above = append(t.Above, config.Mistake{Line: w.Line, Text: "warning: " + w.Path + ": " + w.Text}.In(v.File))
			}
			return t
		},
	}.Command(env)
}

func example(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.None, cli.None]{
		Use: "example", Short: "Print a commented configuration with every key",
		Example: "  smartlb config example > smartlb.yaml",
		Run: func(_ context.Context, env *cli.Env, _ cli.None) (cli.None, error) {
			_, err := env.Out.Write(config.Example)
			return cli.None{}, err
		},
	}.Command(env)
}

type applyArgs struct {
	cli.Brokers
	file, base, comment string
	wait, adopt         bool
}

// applied is the result of apply and rollback.
type applied struct {
	Revision string      `json:"revision"`
	Base     string      `json:"base"`
	Nodes    []nodeState `json:"nodes"` // set with --wait
}

type nodeState struct {
	Node     string   `json:"node"`
	State    string   `json:"state"`
	Revision string   `json:"revision"`
	Errors   []string `json:"errors"`
}

func apply(env *cli.Env) *cobra.Command {
	return cli.Verb[applyArgs, applied]{
		Use: "apply FILE", Short: "Publish a file's listeners, routes and services to every node",
		Long:    "FILE becomes a new revision; node settings in FILE are left out. Exit status 0\nmeans that this revision is current. If two revisions have the same base, the first in the log wins on every node; the\nother is refused, and the error names the winner.",
		Example: "  smartlb config apply smartlb.yaml\n  smartlb config apply smartlb.yaml --wait --comment 'two more instances'\n  smartlb config apply smartlb.yaml --adopt     # after the log was lost",
		Flags: func(f *pflag.FlagSet, a *applyArgs) {
			a.Declare(f)
			f.StringVar(&a.base, "base", "", "`revision` that the file was made from (default: the current revision)")
			f.StringVar(&a.comment, "comment", "", "reason, shown in the history")
			f.BoolVar(&a.wait, "wait", false, "wait until every node that reported in the last 15 s has applied or refused it")
			f.BoolVar(&a.adopt, "adopt", false, "make it current regardless of the log, also on nodes that kept their last good configuration because the log was lost")
		},
		Args: cli.Words(func(a *applyArgs) []*string { return []*string{&a.file} }, "FILE"),
		Run: func(ctx context.Context, env *cli.Env, a applyArgs) (applied, error) {
			part, err := readFile(env, a.file)
			if err != nil {
				return applied{}, err
			}
			return publish(ctx, env, a, part)
		},
		Table: appliedTable,
	}.Command(env)
}

func publish(ctx context.Context, env *cli.Env, a applyArgs, document []byte) (applied, error) {
	cfg, err := a.Answering(ctx, env)
	if err != nil {
		return applied{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout+5*time.Second)
	defer cancel()
	base := a.base
	if base == "" {
		state, err := load(ctx, env, cfg, a.Timeout)
		if err != nil {
			return applied{}, err
		}
		base = state.Revision
	}
	change := configlog.Change{Document: document, Base: base, Author: cli.Author(env), Comment: a.comment, Adopt: a.adopt}
	revision, err := configlog.Publish(ctx, cfg, change, env.Log)
	if errors.Is(err, configlog.ErrLost) && a.base == "" && base == "" {
		// The log was empty, and a node that was starting published its own file first.
		if state, _ := load(ctx, env, cfg, a.Timeout); state.FirstFromFile() {
			base = state.Revision
			change.Base = base
			revision, err = configlog.Publish(ctx, cfg, change, env.Log)
		}
	}
	out := applied{Revision: revision, Base: base, Nodes: []nodeState{}}
	if err != nil || !a.wait {
		return out, err
	}
	out.Nodes, err = await(ctx, env, cfg, revision)
	return out, err
}

// awaitPoll is the pause between two reads of the nodes' states. Nodes report a change immediately.
const awaitPoll = 200 * time.Millisecond

// await reads the nodes' states until each node has applied or refused a revision.
func await(ctx context.Context, env *cli.Env, cfg kafka.Config, revision string) ([]nodeState, error) {
	for began := time.Now(); ; {
		nodes, err := nodes.Live(ctx, cfg, env.Log)
		if err != nil {
			return []nodeState{}, fmt.Errorf("revision %s is published; waiting for the nodes: %w", revision, err)
		}
		out, pending, refused := []nodeState{}, []string{}, []string{}
		for _, n := range nodes {
			if !slices.Contains(n.Roles, event.RoleProxy) || cfg.Signing.On() && n.Key == "" {
				continue
			}
			out = append(out, nodeState{n.Node, n.ConfigState, n.Revision, append([]string{}, n.Errors...)})
			switch {
			case n.RefusedRevision == revision:
				refused = append(refused, n.Node+": "+strings.Join(n.Errors, "; "))
			case n.Revision != revision:
				pending = append(pending, n.Node)
			}
		}
		if len(pending) == 0 {
			if len(refused) > 0 {
				return out, fmt.Errorf("revision %s is current, but was refused by %s", revision, strings.Join(refused, ", "))
			}
			return out, nil
		}
		if time.Since(began) > time.Second { // most nodes report within this time
			env.Log.Info("waiting for nodes", "pending", pending)
		}
		select {
		case <-ctx.Done():
			return out, fmt.Errorf("revision %s is current, but not yet applied by %s", revision, strings.Join(pending, ", "))
		case <-time.After(awaitPoll):
		}
	}
}

func appliedTable(a applied) cli.Table {
	t := cli.Table{Above: []string{fmt.Sprintf("revision %s is current (made from %s)", a.Revision, or(a.Base, "nothing"))}}
	if len(a.Nodes) > 0 {
		t.Head = []string{"NODE", "STATE", "REVISION"}
		for _, n := range a.Nodes {
			t.Rows = append(t.Rows, []string{n.Node, n.State, n.Revision})
		}
	}
	return t
}

type current struct {
	Revision  string   `json:"revision"`
	Document  string   `json:"document"`
	Overrides []string `json:"overrides"`
}

type showArgs struct {
	cli.Brokers
	revision string
}

func show(env *cli.Env) *cobra.Command {
	return cli.Verb[showArgs, current]{
		Use: "show [REVISION]", Short: "Print the current configuration, or an older revision",
		Example: "  smartlb config show > smartlb.yaml\n  smartlb config show 4-1f09ab",
		Flags:   func(f *pflag.FlagSet, a *showArgs) { a.Declare(f) },
		Args: func(a *showArgs, words []string) error {
			if len(words) > 1 {
				return cli.Usagef("unexpected argument %q", words[1])
			}
			if len(words) == 1 {
				a.revision = words[0]
			}
			return nil
		},
		Run: func(ctx context.Context, env *cli.Env, a showArgs) (current, error) {
			state, err := state(ctx, env, a.Brokers)
			if err != nil {
				return current{}, err
			}
			c := current{Revision: state.Revision, Document: state.Document, Overrides: []string{}}
			for _, o := range state.Overrides {
				c.Overrides = append(c.Overrides, configlog.Describe(o))
			}
			if a.revision != "" {
				document, err := state.DocumentOf(a.revision)
				if err != nil {
					return c, err
				}
				c = current{Revision: a.revision, Document: document, Overrides: []string{}}
			}
			if c.Revision == "" {
				return c, errors.New("the log holds no configuration yet; publish a configuration with `smartlb config apply FILE`")
			}
			return c, nil
		},
		Table: func(c current) cli.Table {
			t := cli.Table{Above: []string{"# revision " + c.Revision, strings.TrimRight(c.Document, "\n")}}
			for _, o := range c.Overrides {
				t.Below = append(t.Below, "# override: "+o)
			}
			return t
		},
	}.Command(env)
}

func history(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, []configlog.Entry]{
		Use: "history", Short: "List every revision and override, oldest first",
		Example: "  smartlb config history\n  smartlb config history -o json | jq '.[] | select(.author == \"ada\")'",
		Flags:   func(f *pflag.FlagSet, b *cli.Brokers) { b.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, b cli.Brokers) ([]configlog.Entry, error) {
			s, err := state(ctx, env, b)
			return append([]configlog.Entry{}, s.History...), err
		},
		Table: func(entries []configlog.Entry) cli.Table {
			t := cli.Table{Head: []string{"OFFSET", "TIME", "REVISION", "BASE", "AUTHOR", "SIGNED BY", "RESULT", "COMMENT"}}
			for _, e := range entries {
				comment := e.Comment
				if e.Summary != "" {
					comment = strings.TrimSpace(e.Summary + " " + comment)
				}
				signer := "unsigned"
				if e.Authenticated {
					signer = "key " + e.Key
				}
				t.Rows = append(t.Rows, []string{fmt.Sprint(e.Offset), readable.Time(e.Timestamp), e.Revision, e.Base, e.Author, signer, e.Outcome(), comment})
			}
			return t
		},
	}.Command(env)
}

func rollback(env *cli.Env) *cobra.Command {
	return cli.Verb[applyArgs, applied]{
		Use: "rollback REVISION", Short: "Publish an older revision again, as a new revision",
		Example: "  smartlb config rollback 4-1f09ab --wait",
		Flags: func(f *pflag.FlagSet, a *applyArgs) {
			a.Declare(f)
			f.BoolVar(&a.wait, "wait", false, "wait until every node that reported in the last 15 s has applied or refused it")
			f.StringVar(&a.comment, "comment", "", "reason, shown in the history")
		},
		Args: cli.Words(func(a *applyArgs) []*string { return []*string{&a.file} }, "REVISION"),
		Run: func(ctx context.Context, env *cli.Env, a applyArgs) (applied, error) {
			s, err := state(ctx, env, a.Brokers)
			if err != nil {
				return applied{}, err
			}
			c, err := s.Rollback(a.file, a.comment)
			if err != nil {
				return applied{}, err
			}
			a.base, a.comment = c.Base, c.Comment
			return publish(ctx, env, a, c.Document)
		},
		Table: appliedTable,
	}.Command(env)
}

func state(ctx context.Context, env *cli.Env, b cli.Brokers) (configlog.State, error) {
	cfg, err := b.Answering(ctx, env)
	if err != nil {
		return configlog.State{}, err
	}
	return load(ctx, env, cfg, b.Timeout)
}

func load(ctx context.Context, env *cli.Env, cfg kafka.Config, timeout time.Duration) (configlog.State, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return configlog.Load(ctx, cfg, env.Log)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
