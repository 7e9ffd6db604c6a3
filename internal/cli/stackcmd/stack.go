package stackcmd

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
)

// stackVerb returns a verb that acts on the local stack and prints its status.
func stackVerb(env *cli.Env, v cli.Verb[stackArgs, stackStatus], act func(context.Context, *cli.Env, stack.Runtime) error) *cobra.Command {
	verb := v.Use
	v.Run = func(ctx context.Context, env *cli.Env, a stackArgs) (stackStatus, error) {
		r, err := a.runtime(ctx, env, verb)
		if err != nil {
			return stackStatus{}, err
		}
		if err := act(ctx, env, r); err != nil {
			return stackStatus{}, err
		}
		s := look(ctx, r)
		if verb == "status" && !s.Healthy {
			return s, cli.ErrUnhealthy
		}
		return s, nil
	}
	v.Table = statusTable
	return v.Command(env)
}

func start(env *cli.Env) *cobra.Command {
	return stackVerb(env, cli.Verb[stackArgs, stackStatus]{
		Use: "start", Short: "Start the local Kafka stack and wait until it is healthy",
		Long: "Starts ZooKeeper, Kafka, Kafka Connect and the web UI one after another, each when the previous services are healthy, and\n" +
			"creates the topics. Services that already run are left running. A service that crashes later is restarted.",
		Example: "  smartlb kafka start\n  smartlb kafka start --mode kraft\n  smartlb kafka start --runtime embedded --broker-listen 127.0.0.1:19092 --broker-internal none --console none",
		Flags:   func(f *pflag.FlagSet, a *stackArgs) { a.flags(f) },
	}, func(ctx context.Context, env *cli.Env, r stack.Runtime) error { return r.Start(ctx, env.Say) })
}

func stop(env *cli.Env) *cobra.Command {
	return stackVerb(env, cli.Verb[stackArgs, stackStatus]{
		Use: "stop", Short: "Stop the local Kafka stack; a start in progress is aborted", Example: "  smartlb kafka stop",
		Flags: func(f *pflag.FlagSet, a *stackArgs) { a.runtimeFlag(f) },
	}, func(ctx context.Context, env *cli.Env, r stack.Runtime) error { return r.Stop(ctx, env.Say) })
}

func restart(env *cli.Env) *cobra.Command {
	return stackVerb(env, cli.Verb[stackArgs, stackStatus]{
		Use: "restart", Short: "Stop and start the local Kafka stack, with the settings of the last start", Example: "  smartlb kafka restart",
		Flags: func(f *pflag.FlagSet, a *stackArgs) { a.flags(f) },
	}, func(ctx context.Context, env *cli.Env, r stack.Runtime) error {
		if err := r.Stop(ctx, env.Say); err != nil {
			return err
		}
		return r.Start(ctx, env.Say)
	})
}

func status(env *cli.Env) *cobra.Command {
	return stackVerb(env, cli.Verb[stackArgs, stackStatus]{
		Use: "status", Short: "Show the services of the local Kafka stack; exit code 10 if a required service is down",
		Example: "  smartlb kafka status\n  smartlb kafka status -o json",
		Flags:   func(f *pflag.FlagSet, a *stackArgs) { a.runtimeFlag(f) },
	}, func(context.Context, *cli.Env, stack.Runtime) error { return nil })
}

// supervise is the command of the supervisor's process.
func supervise(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.None, cli.None]{
		Use: "supervise", Short: "Restart services of the local stack that crash", Hidden: true,
		Run: func(ctx context.Context, env *cli.Env, _ cli.None) (cli.None, error) {
			r, err := stackArgs{}.runtime(ctx, env, "supervise")
			if err != nil {
				return cli.None{}, err
			}
			env.Log.Info("watching", slog.String("runtime", r.Name), slog.Any("services", r.Names()))
			return cli.None{}, r.Supervise(ctx, env.Log)
		},
	}.Command(env)
}
