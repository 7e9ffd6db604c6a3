package serve

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/child"
	"github.com/smartlb/smartlb/internal/cli"
)

type runArgs struct {
	nodeFlags
	roles []string
}

// Run is `smartlb run`.
func Run(env *cli.Env) *cobra.Command {
	return cli.Verb[runArgs, cli.None]{
		Use: "run", Short: "Run chosen roles in this process",
		Long: "Runs any of the roles proxy, analyzer, console and broker in this process, in the foreground.",
		Example: `  smartlb run --roles proxy --config smartlb.yaml --kafka kafka-1:9092,kafka-2:9092
  smartlb run --roles analyzer,console --kafka kafka-1:9092
  smartlb run --roles broker --data /var/lib/smartlb`,
		Defaults: runArgs{nodeFlags: nodeFlags{data: "data"}},
		Flags: func(f *pflag.FlagSet, a *runArgs) {
			f.StringSliceVar(&a.roles, "roles", nil, "some of `proxy,analyzer,console,broker`")
			a.declare(f, 30*time.Second)
		},
		Run: run,
	}.Command(env)
}

func run(ctx context.Context, env *cli.Env, a runArgs) (cli.None, error) {
	if err := app.CheckRoles(a.roles); err != nil {
		return cli.None{}, cli.Usagef("--roles: %w", err)
	}
	if a.data == "" {
		a.data = "data"
	}
	d, traffic, err := a.load(env)
	if err != nil {
		return cli.None{}, err
	}
	o, err := a.options(env, d, traffic)
	if err != nil {
		return cli.None{}, err
	}
	o.Roles = a.roles
	if len(a.roles) == 1 && a.roles[0] == app.RoleBroker {
		o.Kafka, o.Broker.Dir = false, a.data
	}
	if a.withParent {
		var cancel context.CancelFunc
		ctx, cancel = child.WithParent(ctx)
		defer cancel()
	}
	one, err := app.New(o)
	if err != nil {
		return cli.None{}, err
	}
	go say(ctx, env, one, a.roles)
	return cli.None{}, one.Run(ctx)
}

// say prints the addresses once everything serves.
func say(ctx context.Context, env *cli.Env, a *app.App, roles []string) {
	select {
	case <-ctx.Done():
		return
	case <-a.Ready():
	}
	for _, name := range a.Names() {
		env.Log.Info("listening", "name", name, "address", a.Addr(name))
	}
	env.Log.Info("ready", "node", a.Node(), "roles", roles)
}
