package routing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/telemetry/capacity"
)

type capacityArgs struct {
	adminArgs
	target float64
}

// capacities shows what the services can carry.
func capacities(env *cli.Env) *cobra.Command {
	return cli.Verb[capacityArgs, []api.Capacity]{
		Use: "capacity [SERVICE]", Short: "Show how many more requests each service can carry",
		Long:    "Show how many more requests per second each service can carry, how many instances it can lose at the present load, whether it survives the loss of its largest zone and region, and how sure that is. With SERVICE, also its zones, regions and instances. Numbers come from measurements: what is not known is shown as unknown. docs/capacity.md explains them.",
		Example: "  smartlb capacity\n  smartlb capacity payments --target 0.6\n  smartlb capacity -o json | jq '.[] | {service, headroom, survives}'",
		Flags: func(f *pflag.FlagSet, a *capacityArgs) {
			a.flags(f)
			f.Float64Var(&a.target, "target", capacity.DefaultTarget, "`share` of the capacity that may be used, 0.05 to 1")
		},
		Args: func(a *capacityArgs, words []string) error { return optionalService(&a.adminArgs, words) },
		Complete: func(ctx context.Context, env *cli.Env, a *capacityArgs, words []string) []string {
			if len(words) > 0 {
				return nil
			}
			return serviceNames(ctx, env, a.adminArgs)
		},
		Run: func(ctx context.Context, env *cli.Env, a capacityArgs) (out []api.Capacity, err error) {
			if !(a.target >= capacity.MinTarget && a.target <= capacity.MaxTarget) {
				return nil, cli.Usagef("--target: want %v to %v, got %v", capacity.MinTarget, capacity.MaxTarget, a.target)
			}
			return out, cli.Admin(env, a.admin).Get(ctx, "/api/v1/capacity?"+api.CapacityQuery{Service: a.name, Target: a.target}.Values().Encode(), &out)
		},
		Defaults: capacityArgs{target: capacity.DefaultTarget},
		Table: func(list []api.Capacity) cli.Table {
			if len(list) == 1 {
				return oneCapacity(list[0])
			}
			return capacityTable(list)
		},
	}.Command(env)
}

// serviceNames lists the ids of all services, for completion.
func serviceNames(ctx context.Context, env *cli.Env, a adminArgs) (names []string) {
	all, err := servicesOf(ctx, env, adminArgs{admin: a.admin})
	if err != nil {
		return nil
	}
	for _, s := range all {
		names = append(names, s.ID)
	}
	return names
}

func capacityTable(list []api.Capacity) cli.Table {
	t := cli.Table{Head: []string{"SERVICE", "LOAD", "CAPACITY", "HEADROOM", "MAY LOSE", "RECOMMENDED", "CONFIDENCE", "NOTE"}}
	areas := slices.ContainsFunc(list, func(c api.Capacity) bool { return len(c.Zones)+len(c.Regions) > 0 })
	if areas {
		t.Head = slices.Insert(t.Head, lossColumn, "SURVIVES LOSS OF")
	}
	for _, c := range list {
		least := ""
		if c.AtLeast {
			least = ">= "
		}
		row := []string{
			c.Service, orUnknown(c.Load, ""), orUnknown(c.Capacity, least), orUnknown(c.Headroom, least), mayLose(c, least), recommended(c), c.Confidence, c.Reason,
		}
		if areas {
			row = slices.Insert(row, lossColumn, largestLosses(c))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

const lossColumn = 5 // after MAY LOSE

// largestLosses says whether a service survives the loss of its largest zone and of its largest region.
func largestLosses(c api.Capacity) string {
	var parts []string
	if len(c.Zones) > 0 {
		parts = append(parts, "zone "+c.Zones[0].Zone+": "+c.Zones[0].Survives)
	}
	if len(c.Regions) > 0 {
		parts = append(parts, "region "+c.Regions[0].Region+": "+c.Regions[0].Survives)
	}
	return strings.Join(parts, ", ")
}

// oneCapacity shows a service with its zones and instances.
func oneCapacity(c api.Capacity) cli.Table {
	t := cli.Table{Head: []string{"INSTANCE", "ZONE", "STATE", "LOAD", "CAPACITY", "LIMITED BY", "CONFIDENCE", "NOTE"}}
	t.Above = []string{c.Service + ": " + c.Text, "confidence: " + c.Confidence + because(c.Reason)}
	for _, z := range c.Zones {
		t.Above = append(t.Above, survives("zone", z.Zone, z.Loss, c))
	}
	for _, r := range c.Regions {
		t.Above = append(t.Above, survives("region", r.Region, r.Loss, c))
	}
	if c.Recommended != nil {
		t.Above = append(t.Above, fmt.Sprintf("needs %d instances for the present load at %.0f %% use", *c.Recommended, 100*c.Target))
	}
	for _, i := range c.Instances {
		least, bound := "", i.Bound
		if i.Bound == capacity.BySeen {
			least, bound = ">= ", "unknown"
		}
		t.Rows = append(t.Rows, []string{i.ID, i.Zone, i.State, orUnknown(i.Load, ""), orUnknown(i.Rate, least), bound, i.Confidence, i.Reason})
	}
	return t
}

// survives says whether the instances outside of an area carry the load of a service.
func survives(kind, name string, l api.Loss, c api.Capacity) string {
	text := fmt.Sprintf("survives the loss of %s %s (%d of %d instances): %s", kind, name, l.Instances, c.Serving, l.Survives)
	switch {
	case l.Rest == nil:
		return text
	case c.AtLeast:
		return text + ", the others carry at least " + orUnknown(l.Rest, "")
	}
	return text + ", the others carry " + orUnknown(l.Rest, "")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func orUnknown(v *float64, least string) string {
	switch {
	case v == nil:
		return "unknown"
	case *v < 0:
		return least + "-" + capacity.Number(-*v) + "/s"
	}
	return least + capacity.Number(*v) + "/s"
}

func mayLose(c api.Capacity, least string) string {
	if c.Survives == nil || *c.Survives == 0 && c.AtLeast {
		return "unknown"
	}
	return strings.TrimSpace(fmt.Sprintf("%s%d of %d", least, *c.Survives, c.Serving))
}

func recommended(c api.Capacity) string {
	if c.Recommended == nil {
		return "unknown"
	}
	return fmt.Sprint(*c.Recommended)
}
