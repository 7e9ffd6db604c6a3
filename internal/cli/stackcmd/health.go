package stackcmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// lookArgs selects what health and doctor check.
type lookArgs struct {
	cli.Brokers
	zookeeper, ui, connect string
	wait, every            time.Duration
	watch                  bool
}

func (a *lookArgs) flags(f *pflag.FlagSet) {
	a.Declare(f)
	f.StringVar(&a.zookeeper, "zookeeper", "", "`address` of ZooKeeper, or none (default ZOOKEEPER_HOST or localhost:2181)")
	f.StringVar(&a.ui, "console", "", "`address` of the web UI, or none (default: the web UI of the stack here, or "+defaultUI+")")
	f.StringVar(&a.connect, "connect", "", "`address` of Kafka Connect, or none (default "+defaultConnect+")")
}

// question builds the list of checks from the flags. If a profile names the cluster, it omits the services on this
// machine, except those that a flag names.
func (a lookArgs) question(env *cli.Env) (doctor.Question, error) {
	cluster, err := a.Cluster(env)
	if err != nil {
		return doctor.Question{}, err
	}
	cfg := clientOf(env, cluster, a.Timeout)
	if err := cfg.Validate(); err != nil {
		return doctor.Question{}, cli.Usagef("%s: %w", cluster.Origin, err)
	}
	all, err := topic.Parse(deployment.Topics)
	if err != nil {
		return doctor.Question{}, err
	}
	q := doctor.Question{Kafka: cfg, Origin: cluster.Origin, Catalog: all, KafkaBroker: env.Getenv("KAFKA_BROKER")}
	q.ZooKeeper, q.UI, q.Connect = a.zookeeper, a.ui, a.connect
	if cluster.Profile == "" {
		if q.StateDir, err = stack.Dir(env.Getenv); err != nil {
			q.StateDir = "" // without a state folder there is no local stack
		}
		here := a.here(env, q.StateDir)
		q.ZooKeeper, q.UI, q.Connect = cmp.Or(a.zookeeper, here.Zookeeper), cmp.Or(a.ui, here.UI), cmp.Or(a.connect, here.Connect)
		q.Java = func(ctx context.Context) (string, error) {
			java, err := distribution.FindJava(ctx, env.Getenv)
			return java.Version, err
		}
	}
	for _, one := range []*string{&q.ZooKeeper, &q.UI, &q.Connect} {
		if *one == "none" {
			*one = ""
		}
	}
	return q, nil
}

// here returns the addresses of the services on this machine. ZOOKEEPER_HOST takes precedence over a running stack,
// because the user set it on purpose.
func (a lookArgs) here(env *cli.Env, dir string) stack.Addresses {
	at := stack.Here(dir, stack.Addresses{Zookeeper: defaultZookeeper, UI: defaultUI, Connect: defaultConnect})
	at.Zookeeper = cmp.Or(env.Getenv("ZOOKEEPER_HOST"), at.Zookeeper)
	return at
}

// healthGroups are the groups that health checks; doctor checks all groups.
var healthGroups = [...]string{
	doctor.GroupZooKeeper, doctor.GroupKafka, doctor.GroupUI, doctor.GroupConnect, doctor.GroupListeners,
	doctor.GroupTopics, doctor.GroupReplicas, doctor.GroupClock, doctor.GroupDisk,
}

// service is one line of health.
type service struct {
	Name   string         `json:"name"`
	Status doctor.Status  `json:"status"`
	Checks []doctor.Check `json:"checks"`
}

// healthReport is the result of health.
type healthReport struct {
	Healthy  bool      `json:"healthy"` // there are no problems
	Services []service `json:"services"`
}

func healthOf(r doctor.Report) healthReport {
	h := healthReport{Healthy: true, Services: []service{}}
	for _, name := range healthGroups {
		checks, worst := r.Group(name)
		if len(checks) == 0 {
			continue
		}
		h.Healthy = h.Healthy && worst != doctor.Problem
		h.Services = append(h.Services, service{name, worst, checks})
	}
	return h
}

func healthTable(h healthReport) cli.Table {
	t := cli.Table{Head: []string{"SERVICE", "STATUS", "FOUND"}}
	for _, s := range h.Services {
		for _, c := range s.Checks {
			t.Rows = append(t.Rows, []string{s.Name, string(c.Status), c.Found})
		}
	}
	if !h.Healthy || slices.ContainsFunc(h.Services, func(s service) bool { return s.Status == doctor.Warning }) {
		t.Below = []string{"smartlb kafka doctor shows causes and fixes."}
	}
	return t
}

func health(env *cli.Env) *cobra.Command {
	return cli.Verb[lookArgs, healthReport]{
		Use: "health", Short: "Check ZooKeeper, Kafka, UI and Connect; exit code 10 if one is unhealthy",
		Long: "Checks ZooKeeper by TCP and its mode, Kafka by listing topics, the web UI by HTTP, Kafka Connect, advertised listeners,\n" +
			"topics, replicas, clocks and the disk. Optional services that were not started on this machine are skipped.",
		Example:  "  smartlb kafka health || echo down\n  smartlb kafka health --wait 60s\n  smartlb kafka health --watch\n  smartlb kafka health -o json",
		Defaults: lookArgs{every: 2 * time.Second},
		Flags: func(f *pflag.FlagSet, a *lookArgs) {
			a.flags(f)
			f.DurationVar(&a.wait, "wait", 0, "repeat until everything is healthy, at most this long")
			f.BoolVar(&a.watch, "watch", false, "repeat until Ctrl-C")
			f.DurationVar(&a.every, "every", a.every, "interval of --watch")
		},
		Run:   runHealth,
		Table: healthTable,
	}.Command(env)
}

func runHealth(ctx context.Context, env *cli.Env, a lookArgs) (healthReport, error) {
	if a.watch && a.wait > 0 {
		return healthReport{}, cli.Usagef("use either --watch or --wait, not both")
	}
	if a.every < 100*time.Millisecond {
		return healthReport{}, cli.Usagef("--every %s: want at least 100ms", a.every)
	}
	q, err := a.question(env)
	if err != nil {
		return healthReport{}, err
	}
	end := time.Now().Add(a.wait)
	pause := a.every
	if a.wait > 0 {
		pause = 500 * time.Millisecond
	}
	for {
		h := healthOf(doctor.Examine(doctor.Gather(ctx, q)))
		again := a.watch || (!h.Healthy && time.Now().Add(pause).Before(end))
		switch {
		case ctx.Err() != nil:
			return h, ctx.Err()
		case !again && !h.Healthy:
			return h, cli.ErrUnhealthy
		case !again:
			return h, nil
		case a.watch:
			if err := env.Print(h, func() cli.Table { return watched(h) }); err != nil {
				return h, err
			}
		}
		select {
		case <-ctx.Done():
			return h, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// watched formats one report of many with --watch: one line for each service that is not healthy.
func watched(h healthReport) cli.Table {
	line := readable.Time(time.Now()) + " healthy"
	if !h.Healthy {
		line = readable.Time(time.Now()) + " UNHEALTHY"
	}
	t := cli.Table{Above: []string{line}}
	for _, s := range h.Services {
		for _, c := range s.Checks {
			if c.Status == doctor.Problem || c.Status == doctor.Warning {
				t.Above = append(t.Above, fmt.Sprintf("  %s (%s): %s", s.Name, c.Status, c.Found))
			}
		}
	}
	return t
}
