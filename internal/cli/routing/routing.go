// Package routing holds the commands that show or change how a node routes traffic: services, instances, explain,
// decisions, drain, undrain, route, alerts, audit.
package routing

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/api"
)

// Commands returns the verbs about traffic.
func Commands(env *cli.Env) []*cobra.Command {
	return []*cobra.Command{services(env), instances(env), discovery(env), capacities(env), explain(env), drain(env), undrain(env), decisions(env), route(env), alerts(env), auditLog(env)}
}

type adminArgs struct{ admin, name string }

func (a *adminArgs) flags(f *pflag.FlagSet) { cli.AdminFlag(f, &a.admin) }

func services(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, []api.Service]{
		Use: "services", Short: "List the services with rate, errors and instances",
		Example: "  smartlb services\n  smartlb services -o json | jq '.[].id'",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Run: func(ctx context.Context, env *cli.Env, a adminArgs) (out []api.Service, err error) {
			return out, cli.Admin(env, a.admin).Get(ctx, "/api/v1/services", &out)
		},
		Table: func(list []api.Service) cli.Table {
			t := cli.Table{Head: []string{"SERVICE", "POLICY", "RATE", "ERRORS", "MEDIAN", "IN FLIGHT", "INSTANCES", "NOTE"}}
			for _, s := range list {
				in := 0
				for _, i := range s.Instances {
					if i.State == "in" {
						in++
					}
				}
				var notes []string
				if s.Panic {
					notes = append(notes, "panic")
				}
				if d := s.Discovery; d != nil {
					notes = append(notes, discoveryNotes(*d)...)
				}
				if s.Insecure {
					notes = append(notes, "insecure TLS")
				}
				t.Rows = append(t.Rows, []string{s.ID, s.Policy, rate(s.Rate), percent(s.ErrorRate), ms(s.MedianMs), inFlight(s), fmt.Sprintf("%d/%d in", in, len(s.Instances)), strings.Join(notes, ", ")})
			}
			return t
		},
	}.Command(env)
}

// inFlight returns the requests in flight, with their limit and the requests that wait for it.
func inFlight(s api.Service) string {
	q := s.Queue
	switch {
	case q == nil:
		return fmt.Sprint(s.Active)
	case q.Waiting > 0:
		return fmt.Sprintf("%d of %d, %d waiting", s.Active, q.Limit, q.Waiting)
	}
	return fmt.Sprintf("%d of %d", s.Active, q.Limit)
}

// optionalService reads the name of a service, which may be left out.
func optionalService(a *adminArgs, words []string) error {
	if len(words) > 1 {
		return cli.Usagef("unexpected argument %q", words[1])
	}
	a.name = strings.Join(words, "")
	return nil
}

// servicesOf returns the service that was named, or all of them.
func servicesOf(ctx context.Context, env *cli.Env, a adminArgs) ([]api.Service, error) {
	var all []api.Service
	if err := cli.Admin(env, a.admin).Get(ctx, "/api/v1/services", &all); err != nil {
		return nil, err
	}
	out := []api.Service{}
	for _, s := range all {
		if a.name == "" || s.ID == a.name {
			out = append(out, s)
		}
	}
	if len(out) == 0 && a.name != "" {
		return out, fmt.Errorf("there is no service %q; see smartlb services", a.name)
	}
	return out, nil
}

func instances(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, []api.Service]{
		Use: "instances [SERVICE]", Short: "List instances with share, latency, errors, score and cost",
		Example: "  smartlb instances\n  smartlb instances user-service -o wide",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Args:    optionalService,
		Run:     servicesOf,
		Table:   instanceTable,
	}.Command(env)
}

func instanceTable(list []api.Service) cli.Table {
	t := cli.Table{Head: []string{"INSTANCE", "STATE", "SHARE", "FAIR", "RATE", "P50", "P95", "ERRORS", "SCORE", "COST", "FACTS AGE", "ADDRESS"}, Wide: 1}
	for _, s := range list {
		for _, i := range s.Instances {
			score, age := "", ""
			if i.Facts != nil {
				score = "unknown"
				if i.Facts.Known {
					score = fmt.Sprintf("%.2f", i.Facts.Score)
				}
				age = (time.Duration(i.Facts.AgeMs) * time.Millisecond).Round(100 * time.Millisecond).String()
			}
			t.Rows = append(t.Rows, []string{
				i.ID, standing(i), percent(i.Share), percent(i.FairShare), rate(i.Rate), ms(i.P50Ms), ms(i.P95Ms), errors(i),
				score, fmt.Sprintf("%.2f", i.Cost.Total), age, i.Address,
			})
		}
	}
	return t
}

// standing returns an instance's state together with its problems.
func standing(i api.Instance) string {
	switch i.Condition {
	case api.ConditionFailing, api.ConditionSilenced, api.ConditionUnknown:
		return i.State + ", " + i.Condition
	}
	return i.State
}

// errors returns an instance's error rate. Without requests, it returns the state of the latest requests.
func errors(i api.Instance) string {
	switch {
	case i.Rate > 0:
		return percent(i.ErrorRate)
	case i.Failures > 0:
		return fmt.Sprintf("last %d failed", i.Failures)
	}
	return "unknown"
}

func explain(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, api.Explanation]{
		Use: "explain INSTANCE", Short: "Explain why an instance gets its share of requests",
		Example: "  smartlb explain user-service-3\n  smartlb explain user-service/user-service-3 -o json",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Args:    cli.Words(func(a *adminArgs) []*string { return []*string{&a.name} }, "INSTANCE"),
		Run: func(ctx context.Context, env *cli.Env, a adminArgs) (e api.Explanation, err error) {
			service, instance := split(a.name)
			path := "/api/v1/instances/" + url.PathEscape(instance) + "/explain"
			if service != "" {
				path += "?service=" + url.QueryEscape(service)
			}
			return e, cli.Admin(env, a.admin).Get(ctx, path, &e)
		},
		Table:    func(e api.Explanation) cli.Table { return cli.Table{Above: e.Lines} },
		Complete: completeInstances,
	}.Command(env)
}

func completeInstances(ctx context.Context, env *cli.Env, a *adminArgs, words []string) []string {
	if len(words) > 0 {
		return nil
	}
	return cli.Admin(env, a.admin).Instances(ctx)
}

// split splits service/instance. A name without a slash is an instance.
func split(name string) (service, instance string) {
	if s, i, ok := strings.Cut(name, "/"); ok {
		return s, i
	}
	return "", name
}

func rate(v float64) string    { return fmt.Sprintf("%.1f/s", v) }
func percent(v float64) string { return fmt.Sprintf("%.1f %%", v*100) }

func ms(v float64) string {
	if v <= 0 {
		return ""
	}
	if v >= 1000 {
		return fmt.Sprintf("%.3g s", v/1000)
	}
	return fmt.Sprintf("%.3g ms", v)
}
