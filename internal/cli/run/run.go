package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
)

// args of the verb.
type args struct {
	roles    []string
	parentFD int
	broker   BrokerOptions
}

// roles that this binary has.
func roles() []string { return []string{"broker"} }

// Group offers the verb run.
func Group(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Verb[args, cli.None]{
		Use:   "run --roles ROLE[,ROLE]",
		Short: "Run roles in this process until SIGTERM",
		Example: `  smartlb run --roles broker --data ./data
  smartlb run --roles broker --data ./data --broker-listen 127.0.0.1:0`,
		Defaults: args{parentFD: -1, broker: DefaultBrokerOptions()},
		Flags: func(f *pflag.FlagSet, a *args) {
			f.StringSliceVar(&a.roles, "roles", nil, "what to run: "+strings.Join(roles(), ", "))
			f.IntVar(&a.parentFD, "parent-fd", a.parentFD, "end when the pipe inherited as this descriptor closes")
			a.broker.Flags(f)
		},
		Run: func(ctx context.Context, env *cli.Env, a args) (cli.None, error) {
			if len(a.roles) == 0 {
				return cli.None{}, cli.Usagef("--roles is missing; there are %s", strings.Join(roles(), ", "))
			}
			for _, r := range a.roles {
				if !slices.Contains(roles(), r) {
					return cli.None{}, cli.Usagef("--roles: there is no role %q; there are %s", r, strings.Join(roles(), ", "))
				}
			}
			if a.parentFD >= 0 {
				followed, stop, err := stack.FollowParent(ctx, a.parentFD)
				if err != nil {
					return cli.None{}, fmt.Errorf("--parent-fd: %w", err)
				}
				defer stop()
				ctx = followed
			}
			err := Broker(ctx, env.Log, a.broker)
			if errors.Is(context.Cause(ctx), stack.ErrParentGone) {
				env.Log.Info("the parent process is gone")
			}
			return cli.None{}, err
		},
	}.Command(env)}
}
