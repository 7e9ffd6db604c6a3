package kafkacmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// applied is a connector after its settings from a file were applied.
type applied struct {
	connect.Applied
	State         string   `json:"state,omitempty"`         // set with --wait, such as "RUNNING, tasks: 1 RUNNING"
	Problems      []string `json:"problems,omitempty"`      // set with --wait: failures and their reasons
	MissingTopics []string `json:"missingTopics,omitempty"` // topics that the connector waits for
}

func connectApply(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, []applied]{
		Use: "apply -f FILE", Short: "Create connectors or change their settings; idempotent",
		Long: "The settings of the file replace the settings of the connector. They are validated before anything is changed. A file holds one connector or several: " +
			"{name, config} as the worker takes it, or settings with a name among them, in JSON or YAML.\n\n" +
			"A new source connector whose settings do not mention topic.creation gets topic.creation.default.* with the defaults of the broker, so that the worker creates its topics.\n\n" +
			"With --wait the command ends when the state of each connector stays the same for 3 s, and exits with 1 when a connector or task has failed.",
		Example: "  smartlb kafka connect apply -f my-source.yaml --wait",
		Flags: func(f *pflag.FlagSet, a *connectArgs) {
			fileFlag(f, a)
			waitFlag(f, a)
			f.BoolVar(&a.create, "create-topics", true, "let the worker create the topics of new source connectors")
		},
		Run: asks(func(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs) ([]applied, error) {
			specs, err := readSpecs(env, a.file)
			if err != nil {
				return nil, err
			}
			for _, s := range specs {
				for k, v := range s.Config {
					if v == connect.Masked {
						return nil, fmt.Errorf("connector %s: %s is masked; replace it with the secret, or better with a reference to it", s.Name, k)
					}
				}
			}
			out, failed := []applied{}, false
			for _, s := range specs {
				done, err := applyOne(ctx, env, c, a, s)
				if err != nil {
					env.Say("smartlb: %v", err)
				}
				failed = failed || err != nil || len(done.Problems) > 0
				out = append(out, done)
			}
			if failed {
				return out, cli.ErrFailed
			}
			return out, nil
		}),
		Table: func(all []applied) cli.Table {
			t := cli.Table{Head: []string{"CONNECTOR", "RESULT", "STATE", "CHANGED"}}
			for _, a := range all {
				t.Rows = append(t.Rows, []string{a.Name, a.Result, a.State, strings.Join(a.Changed, ", ")})
				t.Below = append(t.Below, a.Problems...)
				t.Below = append(t.Below, missingOf(connect.Connector{Name: a.Name, MissingTopics: a.MissingTopics})...)
			}
			return t
		},
	}.Command(env)
}

func waitFlag(f *pflag.FlagSet, a *connectArgs) {
	f.BoolVar(&a.wait, "wait", false, "wait until the connector and its tasks run, and show failures; at most --timeout")
}

func applyOne(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs, s connect.Spec) (applied, error) {
	out := applied{Applied: connect.Applied{Name: s.Name, Result: "failed", Changed: []string{}}}
	kind, err := c.Kind(ctx, s.Config["connector.class"])
	if err != nil {
		return out, err
	}
	config := s.Config
	if a.create {
		now, err := c.Get(ctx, s.Name, true)
		if err != nil && !errors.Is(err, connect.ErrNotFound) {
			return out, err
		}
		if err != nil {
			now = nil
		}
		config = connect.WithTopicCreation(kind, config, now)
	}
	done, err := c.Apply(ctx, s.Name, config)
	if err != nil {
		return out, err
	}
	out.Applied = done
	seen := []connect.Connector{{Name: s.Name, Type: kind, Config: config}}
	if err := findMissing(ctx, env, c, seen); err != nil {
		return out, err
	}
	out.MissingTopics = seen[0].MissingTopics
	if !a.wait {
		return out, nil
	}
	now, err := c.Await(ctx, s.Name, connect.DefaultSteady())
	out.State, out.Problems = now.Summary(), now.Problems()
	return out, err
}
