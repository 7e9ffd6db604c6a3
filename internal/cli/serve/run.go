package serve

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/app"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/child"
)

type runArgs struct {
	nodeFlags
	roles []string
}

// Run is `smartlb run`.
func Run(env *cli.Env) *cobra.Command {
	return cli.Verb[runArgs, cli.None]{
		Use: "run", Short: "Run one or more roles in this process",
		Long: "The roles are proxy, analyzer, collector, console and broker. The process stays in the foreground.",
		Example: `  smartlb run --roles proxy --config smartlb.yaml --kafka kafka-1:9092,kafka-2:9092
  smartlb run --roles proxy --config smartlb.yaml --config-source file --watch
  smartlb run --roles analyzer,console --kafka kafka-1:9092
  smartlb run --roles broker --data /var/lib/smartlb`,
		Defaults: runArgs{nodeFlags: nodeFlags{data: "data"}},
		Flags: func(f *pflag.FlagSet, a *runArgs) {
			f.StringSliceVar(&a.roles, "roles", nil, "one or more of `proxy,analyzer,collector,console,broker`")
			a.declare(f, 30*time.Second)
		},
		Run: run,
	}.Command(env)
}

func run(ctx context.Context, env *cli.Env, a runArgs) (cli.None, error) {
	defer env.LogAside()()
	if err := app.CheckRoles(a.roles); err != nil {
		return cli.None{}, cli.Usagef("--roles: %w", err)
	}
	d, traffic, err := a.load(env)
	if err != nil {
		return cli.None{}, err
	}
	if a.data == "" {
		a.data = "data"
	}
	o, err := a.options(env, d, traffic)
	if err != nil {
		return cli.None{}, err
	}
	o.Roles = a.roles
	undo, err := inherit(env, &o, &a.nodeFlags)
	if err != nil {
		return cli.None{}, err
	}
	defer undo()
	switch {
	case slices.Contains(a.roles, event.RoleBroker):
		o.Upgrade.Refused = "this process runs the embedded broker, whose data only one process may open: restart it"
	case a.withParent:
		o.Upgrade.Refused = "another process started this process and supervises it: restart that process"
	}
	if len(a.roles) == 1 && a.roles[0] == event.RoleBroker {
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
	said := make(chan error, 1)
	go func() { said <- a.writeReady(ctx, one) }()
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		say(ctx, env, one, o)
	}()
	err = one.Run(ctx)
	<-printed
	return cli.None{}, ended(err, <-said, a.removeReady())
}

// writeReady tells the parent process that the broker serves. In a process without a broker, it reports the console.
func (a runArgs) writeReady(ctx context.Context, one *app.App) error {
	if a.readyFile == "" {
		return nil
	}
	select {
	case <-one.Ready():
	case <-one.Stopped():
		return nil
	}
	if slices.Contains(a.roles, event.RoleBroker) { // ready includes that the catalog's topics exist
		select {
		case <-one.TopicsReady():
		case <-one.Stopped():
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return stack.WriteReady(a.readyFile, stack.Readiness{PID: os.Getpid(), Address: cmp.Or(one.Addr("broker"), one.Addr("console")), Internal: one.Addr("broker-internal")})
}

func (a runArgs) removeReady() error {
	if a.readyFile == "" {
		return nil
	}
	if err := os.Remove(a.readyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// say prints the addresses when all listeners serve, and tells the service manager about start and stop.
func say(ctx context.Context, env *cli.Env, a *app.App, o app.Options) {
	select {
	case <-ctx.Done():
		return
	case <-a.Stopped():
		return
	case <-a.Ready():
	}
	for _, name := range a.Names() {
		env.Log.Info("listening", "name", name, "address", a.Addr(name))
	}
	env.Log.Info("ready", "node", a.Node(), "roles", o.Roles)
	o.Manager.Ready()
	select {
	case <-ctx.Done():
		o.Manager.Stopping()
	case <-a.Stopped():
	}
}
