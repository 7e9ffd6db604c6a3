package stackcmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// clientOf returns client settings with a short timeout, because a user waits for the result. A timeout greater than 0
// replaces the default.
func clientOf(env *cli.Env, c cli.Cluster, timeout time.Duration) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Security, cfg.Getenv = c.Brokers, c.Security, env.Getenv
	if timeout > 0 {
		cfg.RequestTimeout, cfg.DialTimeout = timeout, min(timeout, cfg.DialTimeout)
	}
	return cfg
}

func doctorVerb(env *cli.Env) *cobra.Command {
	return cli.Verb[lookArgs, doctor.Report]{
		Use: "doctor", Short: "Find problems of a Kafka setup, with cause and fix; exit code 10 on problems",
		Long: "Checks everything that health checks, plus Java and the state folder, and shows cause and fix of each problem: no listener,\n" +
			"another program on the port, wrong TLS or login, certificates, unreachable advertised addresses, topics that differ from\n" +
			"the catalog, replicas, clocks, permissions, Connect, disk. It changes nothing.",
		Example: "  smartlb kafka doctor\n  smartlb kafka doctor --profile prod\n  smartlb kafka doctor -b kafka-1:9092 -o json",
		Flags:   func(f *pflag.FlagSet, a *lookArgs) { a.flags(f) },
		Run: func(ctx context.Context, env *cli.Env, a lookArgs) (doctor.Report, error) {
			q, err := a.question(env)
			if err != nil {
				return doctor.Report{}, err
			}
			r := doctor.Examine(doctor.Gather(ctx, q))
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			if !r.Healthy {
				return r, cli.ErrUnhealthy
			}
			return r, nil
		},
		Table: doctorTable,
	}.Command(env)
}

// doctorTable lists the problems first, each with its cause and its fix.
func doctorTable(r doctor.Report) cli.Table {
	t := cli.Table{}
	count := map[doctor.Status]int{}
	for _, status := range []doctor.Status{doctor.Problem, doctor.Warning, doctor.OK, doctor.Skipped} {
		for _, c := range r.Checks {
			if c.Status != status {
				continue
			}
			count[status]++
			t.Above = append(t.Above, fmt.Sprintf("%-8s %s: %s", status, c.Group, cli.OneLine(c.Found)))
			if c.Cause != "" {
				t.Above = append(t.Above, "         cause: "+cli.OneLine(c.Cause))
			}
			if c.Fix != "" {
				t.Above = append(t.Above, "         fix:   "+cli.OneLine(c.Fix))
			}
		}
	}
	t.Below = []string{fmt.Sprintf("Problems: %d, warnings: %d, ok: %d, skipped: %d.", count[doctor.Problem], count[doctor.Warning], count[doctor.OK], count[doctor.Skipped])}
	return t
}
