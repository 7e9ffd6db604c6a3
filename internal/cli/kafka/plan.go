package kafka

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
	"github.com/smartlb/smartlb/internal/topic"
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
	load        ops.Load
}

// planned is the result of plan: a plan, or an estimate.
type planned struct {
	*ops.Plan
	*ops.Estimate
}

func (a *planArgs) flags(f *pflag.FlagSet) {
	a.Declare(f)
	f.StringVarP(&a.file, "file", "f", "", "`path` of the catalog (default the one that the program carries: deployment/kafka/topics.yaml)")
	f.BoolVar(&a.reset, "reset-unmanaged", false, "settings that the catalog does not name go back to the default")
}

// spec reads the catalog and puts together what is compared.
func (a planArgs) spec() (ops.PlanSpec, error) {
	f, err := catalogFile(a.file)
	if err != nil {
		return ops.PlanSpec{}, err
	}
	s := ops.PlanSpec{File: f, Only: a.only, ResetUnmanaged: a.reset, CreateOnly: a.createOnly}
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
	return some("TOPIC", words)
}

// completeCatalog offers the topics of the catalog.
func completeCatalog(_ context.Context, _ *cli.Env, a *planArgs, words []string) []string {
	f, err := catalogFile(a.file)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(f.Catalog().Names(), func(n string) bool { return slices.Contains(words, n) })
}

func plan(env *cli.Env) *cobra.Command {
	return cli.Verb[planArgs, planned]{
		Use: "plan [TOPIC...]", Short: "Show what it takes to make the cluster's topics like the catalog",
		Long:    "Compares and changes nothing. + is created, ~ is changed, ! cannot be, ? is left alone. With --exit-code the exit code is 3 where they differ.",
		Example: "  smartlb kafka plan\n  smartlb kafka plan -f topics.yaml --exit-code -o json\n  smartlb kafka plan --estimate 200 --proxies 2",
		Flags: func(f *pflag.FlagSet, a *planArgs) {
			a.flags(f)
			f.BoolVar(&a.exitCode, "exit-code", false, "exit with 3 where cluster and catalog differ")
			f.IntVar(&a.load.Instances, "estimate", 0, "ask no cluster; tell the bytes that so many `instances` write a day and that are kept")
			f.IntVar(&a.load.Proxies, "proxies", 1, "`how many` send to all of them, for --estimate")
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
				e := ops.EstimateLoad(s.File.Catalog(), l)
				return planned{Estimate: &e}, nil
			}
			p, err := with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (ops.Plan, error) {
				return ops.MakePlan(ctx, admin, s)
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

func planTable(p ops.Plan) cli.Table {
	var t cli.Table
	for _, s := range p.Steps {
		if s.Kind != topic.Foreign { // counted below; they may be many
			t.Above = append(t.Above, s.String())
		}
	}
	c := p.Counts
	switch {
	case !p.Drift:
		t.Below = []string{"No changes: the cluster is as the catalog says."}
	default:
		t.Below = []string{fmt.Sprintf("Cluster %s: %d to create, %d to change (%d need a permission), %d impossible, %d settings left alone.",
			p.Cluster, c.Create, c.Change, c.Guarded, c.Impossible, c.Unmanaged)}
	}
	if c.Foreign > 0 {
		t.Below = append(t.Below, fmt.Sprintf("%d topics are not in the catalog; smartlb kafka prune lists them.", c.Foreign))
	}
	return t
}

func estimateTable(e ops.Estimate) cli.Table {
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

func apply(env *cli.Env) *cobra.Command {
	return cli.Verb[planArgs, ops.Applied]{
		Use: "apply [TOPIC...]", Short: "Make the cluster's topics like the catalog; nothing is ever deleted",
		Long: "Creates and changes what plan shows, as far as it loses nothing; the rest needs its permission. Reads back what it did, goes on after a step that failed and then exits " +
			"with 1. Exits with 3 where something stays that needs a permission or cannot be. With --create-only existing topics are left as they are, and a broker that is still starting is waited for.",
		Example: "  smartlb kafka apply\n  smartlb kafka apply --create-only\n  smartlb kafka apply -f topics.yaml my-topic --allow-repartition",
		Flags: func(f *pflag.FlagSet, a *planArgs) {
			a.flags(f)
			f.BoolVar(&a.createOnly, "create-only", false, "create what is missing and leave the rest as it is")
			f.BoolVar(&a.repartition, "allow-repartition", false, "add partitions to topics with records: those of one key are in two partitions then")
			f.BoolVar(&a.loss, "allow-loss", false, "make changes that delete records or refuse what was taken")
		},
		Args:     (*planArgs).takeTopics,
		Complete: completeCatalog,
		Run: func(ctx context.Context, env *cli.Env, a planArgs) (ops.Applied, error) {
			s, err := a.spec()
			if err != nil {
				return ops.Applied{}, err
			}
			done, err := with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) (ops.Applied, error) {
				if s.CreateOnly {
					return ops.CreateMissing(ctx, admin, s)
				}
				return ops.Apply(ctx, admin, s)
			})
			if s.CreateOnly {
				for _, d := range done.Remaining {
					env.Say("differs, left as it is: %s", d)
				}
			}
			if err == nil && done.Blocked > 0 {
				return done, cli.ErrDrift
			}
			return told(env, done, err, len(done.Steps) > 0)
		},
		Table: appliedTable,
	}.Command(env)
}

func appliedTable(a ops.Applied) cli.Table {
	t := cli.Table{Head: []string{"TOPIC", "RESULT", "STEP"}}
	for _, s := range a.Steps {
		if s.Kind == topic.Foreign {
			continue
		}
		text := strings.TrimPrefix(s.Step.String(), s.Mark()+" "+s.Topic+" ")
		if s.Error != "" {
			text += ": " + s.Error
		}
		result := string(s.Result)
		switch {
		case s.Kind == topic.Create && s.Result == ops.Done:
			result = "created"
		case s.Kind == topic.Create && s.Result == ops.Left:
			result, text = "exists", ""
		}
		t.Rows = append(t.Rows, []string{s.Topic, result, text})
	}
	if len(t.Rows) == 0 {
		return cli.Table{Above: []string{"No changes: the cluster is as the catalog says."}}
	}
	t.Below = []string{fmt.Sprintf("%d done, %d failed, %d blocked.", a.Done, a.Failed, a.Blocked)}
	return t
}

func export(env *cli.Env) *cobra.Command {
	return cli.Verb[cli.Brokers, topic.File]{
		Use: "export", Short: "Write the cluster's topics down as a catalog",
		Long:    "Prints YAML that `kafka plan -f` finds nothing to do with. It is pinned to the cluster by its id; take the line away to use it elsewhere.",
		Example: "  smartlb kafka export > topics.yaml",
		Forms:   "yaml,json",
		Flags:   func(f *pflag.FlagSet, t *cli.Brokers) { t.Declare(f) },
		Run: func(ctx context.Context, env *cli.Env, t cli.Brokers) (topic.File, error) {
			c, err := catalog()
			if err != nil {
				return topic.File{}, err
			}
			return with(ctx, env, t, func(ctx context.Context, admin *kafka.Admin) (topic.File, error) {
				return ops.Export(ctx, admin, c)
			})
		},
		Table: func(f topic.File) cli.Table {
			var b bytes.Buffer
			if err := yaml.NewEncoder(&b, yaml.UseSingleQuote(false), yaml.IndentSequence(true)).Encode(f); err != nil {
				return cli.Table{Above: []string{"# " + err.Error()}}
			}
			return cli.Table{Above: strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")}
		},
	}.Command(env)
}

type pruneArgs struct {
	planArgs
	spec ops.PruneSpec
}

func prune(env *cli.Env) *cobra.Command {
	return cli.Verb[pruneArgs, []ops.Prunable]{
		Use: "prune [TOPIC...]", Short: "List topics that the catalog does not name; delete those that are named here",
		Long: "Without --execute nothing is deleted. With it the named topics are, after each name was typed once more on stdin. Topics of Kafka and Connect and topics that a group reads " +
			"are protected, and those with records unless --force.",
		Example: "  smartlb kafka prune\n  smartlb kafka prune my-topic --execute",
		Flags: func(f *pflag.FlagSet, a *pruneArgs) {
			a.Declare(f)
			f.StringVarP(&a.file, "file", "f", "", "`path` of the catalog (default the one that the program carries)")
			f.BoolVar(&a.spec.Force, "force", false, "also topics that hold records")
			executeFlag(f, &a.spec.Execute)
		},
		Args: func(a *pruneArgs, words []string) error {
			a.spec.Names = words
			if len(words) == 0 {
				return nil
			}
			return some("TOPIC", words)
		},
		Complete: func(ctx context.Context, env *cli.Env, a *pruneArgs, words []string) []string {
			return anyTopic(ctx, env, a.Brokers, words)
		},
		Run: func(ctx context.Context, env *cli.Env, a pruneArgs) ([]ops.Prunable, error) {
			if a.spec.Execute && len(a.spec.Names) == 0 {
				return nil, cli.Usagef("--execute deletes what is named: TOPIC is missing")
			}
			var err error
			if a.spec.File, err = catalogFile(a.file); err != nil {
				return nil, err
			}
			look := a.spec
			look.Execute = false
			found, err := prunable(ctx, env, a, look)
			if err != nil || !a.spec.Execute {
				return found, err
			}
			if err := typed(env, a.spec.Names); err != nil {
				return nil, err
			}
			done, err := prunable(ctx, env, a, a.spec)
			return told(env, done, err, len(done) > 0)
		},
		Table: func(all []ops.Prunable) cli.Table {
			if len(all) == 0 {
				return cli.Table{Above: []string{"The catalog names every topic of the cluster."}}
			}
			t := cli.Table{Head: []string{"TOPIC", "MESSAGES", "RESULT"}}
			for _, p := range all {
				result := "may be deleted"
				switch {
				case p.Deleted:
					result = "deleted"
				case p.Error != "":
					result = p.Error
				case p.Protected != "":
					result = "protected: " + p.Protected
				}
				t.Rows = append(t.Rows, []string{p.Topic, strconv.FormatInt(p.Messages, 10), result})
			}
			return t
		},
	}.Command(env)
}

func prunable(ctx context.Context, env *cli.Env, a pruneArgs, spec ops.PruneSpec) ([]ops.Prunable, error) {
	return with(ctx, env, a.Brokers, func(ctx context.Context, admin *kafka.Admin) ([]ops.Prunable, error) {
		return ops.Prune(ctx, admin, spec)
	})
}

// typed asks for each name once more.
func typed(env *cli.Env, names []string) error {
	in := bufio.NewScanner(env.In)
	for _, name := range names {
		env.Say("Type %s to delete it with all its records:", name)
		if !in.Scan() || strings.TrimSpace(in.Text()) != name {
			return fmt.Errorf("nothing was deleted: %s was not typed", name)
		}
	}
	return nil
}
