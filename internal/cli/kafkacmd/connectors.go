package kafkacmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// readSpecs reads connectors from a file, or from stdin if path is -.
func readSpecs(env *cli.Env, path string) ([]connect.Spec, error) {
	if path == "" {
		return nil, cli.Usagef("-f FILE is missing")
	}
	var doc []byte
	var err error
	if path == "-" {
		doc, err = io.ReadAll(io.LimitReader(env.In, 16<<20))
	} else {
		doc, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	return connect.ParseFile(doc)
}

func fileFlag(f *pflag.FlagSet, a *connectArgs) {
	a.flags(f)
	f.StringVarP(&a.file, "file", "f", "", "`path` of a JSON or YAML file with connectors, - for stdin")
}

// validated holds the mistakes in one connector of a file.
type validated struct {
	Name   string            `json:"name"`
	Valid  bool              `json:"valid"`
	Errors []connect.Invalid `json:"errors"`
}

func connectValidate(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, []validated]{
		Use: "validate -f FILE", Short: "Validate settings on the worker; exit code 1 on a mistake",
		Example: "  smartlb kafka connect validate -f my-source.yaml",
		Flags:   fileFlag,
		Run: asks(func(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs) ([]validated, error) {
			specs, err := readSpecs(env, a.file)
			if err != nil {
				return nil, err
			}
			out, bad := []validated{}, false
			for _, s := range specs {
				errs, err := c.Validate(ctx, s.Config)
				if err != nil {
					return nil, fmt.Errorf("connector %s: %w", s.Name, err)
				}
				out = append(out, validated{s.Name, len(errs) == 0, errs})
				bad = bad || len(errs) > 0
			}
			if bad {
				return out, cli.ErrFailed
			}
			return out, nil
		}),
		Table: func(all []validated) cli.Table {
			t := cli.Table{Head: []string{"CONNECTOR", "SETTING", "RESULT"}}
			for _, v := range all {
				if v.Valid {
					t.Rows = append(t.Rows, []string{v.Name, "", "valid"})
				}
				for _, e := range v.Errors {
					t.Rows = append(t.Rows, []string{v.Name, e.Setting, strings.Join(e.Errors, "; ")})
				}
			}
			return t
		},
	}.Command(env)
}

// acted is a connector after an action.
type acted struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	State  string `json:"state"` // current state; the worker may still be working
	Done   bool   `json:"done"`
	Error  string `json:"error,omitempty"`

	Problems []string `json:"problems,omitempty"` // set with --wait: failures and their reasons
}

func connectAct(env *cli.Env, what connect.Action, short string) *cobra.Command {
	return cli.Verb[connectArgs, []acted]{
		Use: string(what) + " CONNECTOR...", Short: short,
		Example: "  smartlb kafka connect " + string(what) + " my-source",
		Flags: func(f *pflag.FlagSet, a *connectArgs) {
			a.flags(f)
			if what == connect.Restart {
				f.BoolVar(&a.failed, "failed", false, "restart only the failed connector or tasks")
				waitFlag(f, a)
			}
		},
		Args: connectorNames, Complete: connectors,
		Run: asks(func(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs) ([]acted, error) {
			act := what
			if a.failed {
				act = connect.RestartFailed
			}
			return actOn(ctx, env, c, a, act)
		}),
		Table: actedTable,
	}.Command(env)
}

func actOn(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs, what connect.Action) ([]acted, error) {
	out, failed := []acted{}, false
	for _, name := range a.names {
		x := acted{Name: name, Action: string(what), Done: true}
		if err := c.Do(ctx, name, what); err != nil {
			env.Say("smartlb: %v", err)
			x.Done, x.Error, failed = false, err.Error(), true
		} else if a.wait {
			failed = x.await(ctx, env, c) || failed
		} else if what != connect.Delete {
			x.State = reached(ctx, c, name, what)
		}
		out = append(out, x)
	}
	if failed {
		return out, cli.ErrFailed
	}
	return out, nil
}

// await waits until the state of the connector is stable, and reports whether something failed.
func (x *acted) await(ctx context.Context, env *cli.Env, c *connect.Client) (failed bool) {
	now, err := c.Await(ctx, x.Name, connect.DefaultSteady())
	x.State, x.Problems = now.Summary(), now.Problems()
	if err != nil {
		env.Say("smartlb: %v", err)
		x.Error = err.Error()
	}
	return err != nil || len(x.Problems) > 0
}

// reached waits up to 5 s for the target state of an action and returns the current state. Workers respond before the
// action is complete.
func reached(ctx context.Context, c *connect.Client, name string, what connect.Action) string {
	wanted := map[connect.Action]string{connect.Pause: "PAUSED", connect.Stop: "STOPPED"}[what]
	if wanted == "" {
		wanted = "RUNNING"
	}
	state := ""
	for began := time.Now(); time.Since(began) < 5*time.Second && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		now, err := c.Describe(ctx, name)
		if err != nil {
			break
		}
		state = now.State
		there := state == wanted
		for _, t := range now.Tasks {
			there = there && (t.State == wanted || t.State == "FAILED")
		}
		if there || now.Failed() {
			break
		}
	}
	return state
}

func actedTable(all []acted) cli.Table {
	t := cli.Table{Head: []string{"CONNECTOR", "ACTION", "RESULT", "STATE"}}
	undone := false
	for _, x := range all {
		result := "done"
		switch {
		case x.Error != "":
			result = "failed"
		case !x.Done:
			result, undone = "not done", true
		}
		t.Rows = append(t.Rows, []string{x.Name, x.Action, result, x.State})
		t.Below = append(t.Below, x.Problems...)
	}
	if undone {
		t.Below = append(t.Below, dry("deleted"))
	}
	return t
}

func connectDelete(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, []acted]{
		Use: "delete CONNECTOR...", Short: "Delete connectors; their topics are kept",
		Example: "  smartlb kafka connect delete my-source --execute",
		Flags:   func(f *pflag.FlagSet, a *connectArgs) { a.flags(f); executeFlag(f, &a.execute) },
		Args:    connectorNames, Complete: connectors,
		Run: asks(func(ctx context.Context, env *cli.Env, c *connect.Client, a connectArgs) ([]acted, error) {
			out := []acted{}
			for _, name := range a.names { // check that all connectors exist before the first is deleted
				now, err := c.Describe(ctx, name)
				if err != nil {
					return nil, err
				}
				out = append(out, acted{Name: name, Action: string(connect.Delete), State: now.State})
			}
			if !a.execute {
				return out, nil
			}
			return actOn(ctx, env, c, a, connect.Delete)
		}),
		Table: actedTable,
	}.Command(env)
}

func connectOffsets(env *cli.Env) *cobra.Command {
	return cli.Verb[connectArgs, []connect.Offset]{
		Use: "offsets CONNECTOR", Short: "Show the offsets of a connector",
		Example: "  smartlb kafka connect offsets my-source",
		Flags:   func(f *pflag.FlagSet, a *connectArgs) { a.flags(f) },
		Args:    oneConnector, Complete: firstConnector,
		Run: asks(func(ctx context.Context, _ *cli.Env, c *connect.Client, a connectArgs) ([]connect.Offset, error) {
			return c.Offsets(ctx, a.names[0])
		}),
		Table: func(all []connect.Offset) cli.Table {
			t := cli.Table{Head: []string{"PARTITION", "OFFSET"}}
			for _, o := range all {
				t.Rows = append(t.Rows, []string{string(o.Partition), string(o.Offset)})
			}
			return t
		},
	}.Command(env)
}
