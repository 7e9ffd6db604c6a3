package kafkacmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

type planArgs struct {
	cli.Brokers
	file        string
	only        []string
	reset       bool
	exitCode    bool
	createOnly  bool
	repartition bool
	loss        bool
	load        topic.Load
}

// planned is the result of plan: a plan, or an estimate.
type planned struct {
	*admin.Plan
	*topic.Estimate
}

func (a *planArgs) flags(f *pflag.FlagSet) {
	a.Declare(f)
	f.StringVarP(&a.file, "file", "f", "", "`path` of the catalog (default: the built-in deployment/kafka/topics.yaml)")
	f.BoolVar(&a.reset, "reset-unmanaged", false, "reset settings that are not in the catalog to their default")
}

// spec reads the catalog and builds the comparison.
func (a planArgs) spec() (admin.PlanSpec, error) {
	f, err := catalogFile(a.file)
	if err != nil {
		return admin.PlanSpec{}, err
	}
	s := admin.PlanSpec{File: f, Only: a.only, ResetUnmanaged: a.reset, CreateOnly: a.createOnly}
	if a.repartition {
		s.Allow = append(s.Allow, topic.Repartition)
	}
	if a.loss {
		s.Allow = append(s.Allow, topic.Loss)
	}
	return s, nil
}

func (a *planArgs) takeTopics(words []string) error {
	a.only = words
	if len(words) == 0 {
		return nil
	}
	return checkNames("TOPIC", words)
}

// completeCatalog completes with the topics of the catalog.
func completeCatalog(_ context.Context, _ *cli.Env, a *planArgs, words []string) []string {
	f, err := catalogFile(a.file)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(f.Catalog().Names(), func(n string) bool { return slices.Contains(words, n) })
}

func plan(env *cli.Env) *cobra.Command {
	return cli.Verb[planArgs, planned]{
		Use: "plan [TOPIC...]", Short: "Show the changes that make the cluster's topics match the catalog",
		Long:    "Compares and changes nothing: + create, ~ change, ! impossible, ? not in the catalog, left as it is. With --exit-code the exit code is 3 if they differ.",
		Example: "  smartlb kafka plan\n  smartlb kafka plan -f topics.yaml --exit-code -o json\n  smartlb kafka plan --estimate 200 --proxies 2",
		Flags: func(f *pflag.FlagSet, a *planArgs) {
			a.flags(f)
			f.BoolVar(&a.exitCode, "exit-code", false, "exit with 3 if cluster and catalog differ")
			f.IntVar(&a.load.Instances, "estimate", 0, "contact no cluster; estimate the bytes that this many `instances` write per day and that are kept")
			f.IntVar(&a.load.Proxies, "proxies", 1, "`number` of proxies that send to all instances, for --estimate")
			f.Float64Var(&a.load.Requests, "requests", 100, "`requests` per instance and second, for --estimate")
		},
		Args:     (*planArgs).takeTopics,
		Complete: completeCatalog,
		Run: func(ctx context.Context, env *cli.Env, a planArgs) (planned, error) {
			s, err := a.spec()
			if err != nil {
				return planned{}, err
			}
			if l := a.load; l.Instances != 0 {
				if l.Instances < 0 || l.Instances > 1_000_000 || l.Proxies < 0 || l.Proxies > 10_000 || !(l.Requests >= 0 && l.Requests <= 1e6) {
					return planned{}, cli.Usagef("--estimate, --proxies and --requests must be positive, and at most 1000000, 10000 and 1000000")
				}
				e := topic.EstimateLoad(s.File.Catalog(), l)
				return planned{Estimate: &e}, nil
			}
			p, err := with(ctx, env, a.Brokers, func(ctx context.Context, client *kafka.Admin) (admin.Plan, error) {
				return admin.MakePlan(ctx, client, s)
			})
			if err == nil && a.exitCode && p.Drift {
				err = cli.ErrDrift
			}
			return planned{Plan: &p}, err
		},
		Table: func(p planned) cli.Table {
			if p.Estimate != nil {
				return estimateTable(*p.Estimate)
			}
			return planTable(*p.Plan)
		},
	}.Command(env)
}

func planTable(p admin.Plan) cli.Table {
	var t cli.Table
	for _, s := range p.Steps {
		if s.Kind != topic.Foreign { // foreign topics may be many: they are counted below
			t.Above = append(t.Above, s.String())
		}
	}
	c := p.Counts
	switch {
	case !p.Drift:
		t.Below = []string{"No changes: the cluster matches the catalog."}
	default:
		t.Below = []string{fmt.Sprintf("Cluster %s: %d to create, %d to change (%d need a permission), %d impossible, %d settings unmanaged.",
			p.Cluster, c.Create, c.Change, c.Guarded, c.Impossible, c.Unmanaged)}
	}
	if c.Foreign > 0 {
		t.Below = append(t.Below, fmt.Sprintf("%d topics are not in the catalog; smartlb kafka prune lists them.", c.Foreign))
	}
	return t
}

func estimateTable(e topic.Estimate) cli.Table {
	t := cli.Table{
		Above: []string{fmt.Sprintf("%d instances, %d proxies, %g requests/s per instance:", e.Instances, e.Proxies, e.Requests)},
		Head:  []string{"TOPIC", "RECORDS/DAY", "BYTES/DAY", "RETENTION", "KEPT"},
	}
	for _, x := range e.Topics {
		t.Rows = append(t.Rows, []string{x.Topic, strconv.FormatInt(x.Records, 10), bytesOf(x.PerDay), x.Retention, bytesOf(x.Kept)})
	}
	t.Rows = append(t.Rows, []string{"all", "", bytesOf(e.PerDay), "", bytesOf(e.Kept)})
	t.Below = []string{"Assumed:"}
	for _, a := range e.Assumptions {
		t.Below = append(t.Below, "- "+a)
	}
	return t
}
