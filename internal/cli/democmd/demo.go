// Package democmd holds the commands about the demo: its instances, its load, and faults of instances while it runs.
package democmd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/demo"
	"github.com/smartlb/smartlb/internal/stack/child"
	"github.com/smartlb/smartlb/report"
	reportkafka "github.com/smartlb/smartlb/report/kafka"
)

// Commands returns the noun demo.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{cli.Noun("demo", "Demo instances and load; break and heal them", "", service(env), load(env), breakInstance(env), heal(env))}
}

type serviceArgs struct {
	service, instance, listen string
	brokers                   []string
	latency                   time.Duration
	workers                   int
	noReport, withParent      bool
}

func service(env *cli.Env) *cobra.Command {
	return cli.Verb[serviceArgs, cli.None]{
		Use: "service", Short: "Run one demo instance: an HTTP server with a set service time",
		Example: `  smartlb demo service --service user-service --instance user-service-9 --listen 127.0.0.1:9009 --latency 20ms
  smartlb demo service --service user-service --instance user-service-9 --listen 127.0.0.1:9009 --no-report`,
		Defaults: serviceArgs{service: "user-service", instance: "user-service-1", listen: "127.0.0.1:9001", latency: 20 * time.Millisecond, workers: demo.Workers},
		Flags: func(f *pflag.FlagSet, a *serviceArgs) {
			f.StringVar(&a.service, "service", a.service, "service id")
			f.StringVar(&a.instance, "instance", a.instance, "instance id")
			f.StringVar(&a.listen, "listen", a.listen, "`address`")
			f.StringSliceVarP(&a.brokers, "brokers", "b", nil, "Kafka brokers to report to (default KAFKA_BROKER or localhost:9092)")
			f.DurationVar(&a.latency, "latency", a.latency, "mean service time (lognormal)")
			f.IntVar(&a.workers, "workers", a.workers, "requests served at the same time; further requests wait")
			f.BoolVar(&a.noReport, "no-report", false, "do not report to Kafka")
			f.BoolVar(&a.withParent, "with-parent", false, "stop when standard input ends")
			_ = f.MarkHidden("with-parent")
		},
		Run: runService,
	}.Command(env)
}

func runService(ctx context.Context, env *cli.Env, a serviceArgs) (cli.None, error) {
	if a.withParent {
		var cancel context.CancelFunc
		ctx, cancel = child.WithParent(ctx)
		defer cancel()
	}
	l, err := net.Listen("tcp", a.listen)
	if err != nil {
		return cli.None{}, fmt.Errorf("%w (choose another address with --listen)", err)
	}
	s := demo.NewServer(demo.Instance{Service: a.service, ID: a.instance, Addr: a.listen, Latency: a.latency, Workers: a.workers})
	app := s.Handler()
	if !a.noReport {
		reported, stop, err := a.report(ctx, env, s, app)
		if err != nil {
			return cli.None{}, err
		}
		defer stop()
		app = reported
	}
	env.Log.Info("demo instance serves", "service", a.service, "instance", a.instance, "address", l.Addr().String(), "pid", os.Getpid(), "reports", !a.noReport)
	return cli.None{}, demo.Serve(ctx, l, s.Control(app))
}

// report wraps the application with the public report package, as the service of a user would.
func (a serviceArgs) report(ctx context.Context, env *cli.Env, s *demo.Server, app http.Handler) (http.Handler, func(), error) {
	brokers, err := cli.Brokers{List: a.brokers}.Config(env)
	if err != nil {
		return nil, nil, err
	}
	publisher, err := reportkafka.NewPublisher(reportkafka.Config{Brokers: brokers.Brokers})
	if err != nil {
		return nil, nil, err
	}
	// Many demo instances share this machine, so its CPU usage does not describe one instance.
	reporter, err := report.New(report.Config{
		ServiceID: a.service, InstanceID: a.instance, Publisher: publisher, NoUsage: true, Utilization: s.Utilization(),
		Tags: map[string]string{"environment": "demo", "region": "local"},
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = reporter.Run(ctx) }() // it ends with ctx
	return reporter.Middleware(app), func() {
		cancel()
		<-done
		closing, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = publisher.Close(closing)
	}, nil
}

type loadArgs struct {
	target     string
	scale      float64
	withParent bool
}

func load(env *cli.Env) *cobra.Command {
	return cli.Verb[loadArgs, demo.LoadStats]{
		Use: "load", Short: "Send the demo's light load, open loop, until Ctrl-C",
		Example:  "  smartlb demo load --scale 3\n  smartlb demo load --target http://localhost:8080 -o json",
		Defaults: loadArgs{target: "http://localhost:8080", scale: 1},
		Flags: func(f *pflag.FlagSet, a *loadArgs) {
			f.StringVar(&a.target, "target", a.target, "`URL` of the proxy")
			f.Float64Var(&a.scale, "scale", a.scale, "factor of the light load of 20 requests per second")
			f.BoolVar(&a.withParent, "with-parent", false, "stop when standard input ends")
			_ = f.MarkHidden("with-parent")
		},
		Run: func(ctx context.Context, _ *cli.Env, a loadArgs) (demo.LoadStats, error) {
			if a.scale <= 0 || a.scale > 1000 {
				return demo.LoadStats{}, cli.Usagef("--scale %v: want more than 0, at most 1000", a.scale)
			}
			if a.withParent {
				var cancel context.CancelFunc
				ctx, cancel = child.WithParent(ctx)
				defer cancel()
			}
			l := demo.NewLoad(a.target, demo.Fleet(0), a.scale)
			err := l.Run(ctx)
			return l.Stats(), err
		},
		Table: func(s demo.LoadStats) cli.Table {
			return cli.Table{Above: []string{fmt.Sprintf("%d sent, %d answered, %d failed, %d skipped", s.Sent, s.OK, s.Failed, s.Skipped)}}
		},
	}.Command(env)
}

type faultArgs struct {
	admin, instance string
	errorRate       float64
	latency         time.Duration
}

type faultResult struct {
	Instance string `json:"instance"`
	Result   string `json:"result"`
}

func breakInstance(env *cli.Env) *cobra.Command {
	return cli.Verb[faultArgs, faultResult]{
		Use: "break INSTANCE", Short: "Make a demo instance fail or slow down, to watch traffic leave it",
		Example:  "  smartlb demo break user-service-3 --error-rate 1 --latency 1ms\n  smartlb demo break order-service-2 --error-rate 0 --latency 500ms",
		Defaults: faultArgs{errorRate: 1},
		Flags: func(f *pflag.FlagSet, a *faultArgs) {
			cli.AdminFlag(f, &a.admin)
			f.Float64Var(&a.errorRate, "error-rate", a.errorRate, "share of requests answered 500, 0 to 1")
			f.DurationVar(&a.latency, "latency", 0, "mean service time instead of its own; 0: unchanged")
		},
		Args: cli.Words(func(a *faultArgs) []*string { return []*string{&a.instance} }, "INSTANCE"),
		Run: func(ctx context.Context, env *cli.Env, a faultArgs) (faultResult, error) {
			body := map[string]any{"errorRate": a.errorRate, "latencyMs": float64(a.latency) / 1e6}
			return setFault(ctx, env, a, body)
		},
		Table: faultTable, Complete: completeInstances,
	}.Command(env)
}

func heal(env *cli.Env) *cobra.Command {
	return cli.Verb[faultArgs, faultResult]{
		Use: "heal INSTANCE", Short: "Heal a broken demo instance",
		Example: "  smartlb demo heal user-service-3",
		Flags:   func(f *pflag.FlagSet, a *faultArgs) { cli.AdminFlag(f, &a.admin) },
		Args:    cli.Words(func(a *faultArgs) []*string { return []*string{&a.instance} }, "INSTANCE"),
		Run: func(ctx context.Context, env *cli.Env, a faultArgs) (faultResult, error) {
			return setFault(ctx, env, a, map[string]any{"heal": true})
		},
		Table: faultTable, Complete: completeInstances,
	}.Command(env)
}

func setFault(ctx context.Context, env *cli.Env, a faultArgs, body any) (faultResult, error) {
	var answer struct{ Result string }
	err := cli.Admin(env, a.admin).Do(ctx, http.MethodPost, "/api/v1/demo/instances/"+a.instance+"/fault", body, &answer)
	return faultResult{a.instance, answer.Result}, err
}

func faultTable(r faultResult) cli.Table {
	hint := "watch it: smartlb explain " + r.Instance
	return cli.Table{Above: []string{r.Instance + " is " + r.Result + "; " + hint}}
}

func completeInstances(ctx context.Context, env *cli.Env, a *faultArgs, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	return cli.Admin(env, a.admin).Instances(ctx)
}
