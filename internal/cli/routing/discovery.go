package routing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/api"
)

// discovery lists the sources of instances.
func discovery(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, []api.Service]{
		Use: "discovery [SERVICE]", Short: "List the sources of instances with their age and errors",
		Long:    "List the sources of instances (`services[].discovery`) as one node sees them: when each gave its last good answer, how many instances it lists, and why the latest attempt failed. The instances of a source that fails stay in use. docs/discovery.md explains the states.",
		Example: "  smartlb discovery\n  smartlb discovery payments -o json | jq '.[].discovery.sources'",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Args:    optionalService,
		Run: func(ctx context.Context, env *cli.Env, a adminArgs) ([]api.Service, error) {
			all, err := servicesOf(ctx, env, a)
			if err != nil {
				return nil, err
			}
			out := slices.DeleteFunc(all, func(s api.Service) bool { return s.Discovery == nil })
			if a.name != "" && len(out) == 0 {
				return out, fmt.Errorf("service %q has no discovery: its instances are those of the configuration", a.name)
			}
			return out, nil
		},
		Table: func(list []api.Service) cli.Table { return sourceTable(list, time.Now()) },
	}.Command(env)
}

func sourceTable(list []api.Service, now time.Time) cli.Table {
	if len(list) == 0 {
		return cli.Table{Above: []string{"no service has discovery: all instances are those of the configuration"}}
	}
	t := cli.Table{Head: []string{"SERVICE", "SOURCE", "STATE", "INSTANCES", "AGE", "HELD", "ERROR"}}
	for _, s := range list {
		for i, source := range s.Discovery.Sources {
			age := "never"
			if !source.At.IsZero() {
				age = now.Sub(source.At).Round(time.Second).String()
			}
			held := "" // of the service, which the first row shows
			if i == 0 {
				held = fmt.Sprint(s.Discovery.Held)
			}
			t.Rows = append(t.Rows, []string{s.ID, source.Source, sourceState(source), fmt.Sprint(source.Instances), age, held, sourceError(source)})
		}
	}
	return t
}

// sourceError returns why a source fails, or which instances it does not permit.
func sourceError(s api.DiscoverySource) string {
	if s.Error == "" && s.Refused > 0 {
		return fmt.Sprintf("refused %d times: %s", s.Refused, s.Refusal)
	}
	return s.Error
}

func sourceState(s api.DiscoverySource) string {
	switch {
	case s.Stale:
		return "stale"
	case s.Error != "":
		return "failing"
	case s.Saved:
		return "saved"
	case s.At.IsZero():
		return "waiting"
	}
	return "ok"
}

// discoveryNotes says what is wrong with the sources of a service.
func discoveryNotes(d api.Discovery) (notes []string) {
	for _, s := range d.Sources {
		kind, _, _ := strings.Cut(s.Source, " ")
		if state := sourceState(s); state == "stale" || state == "failing" {
			notes = append(notes, kind+" "+state)
		}
	}
	if d.Held > 0 {
		notes = append(notes, fmt.Sprintf("%d held", d.Held))
	}
	return notes
}
