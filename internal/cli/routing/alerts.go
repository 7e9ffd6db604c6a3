package routing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/api"
)

type alertsArgs struct {
	admin string
	past  bool
}

// alerts lists alerts and holds the verbs about silences.
func alerts(env *cli.Env) *cobra.Command {
	c := cli.Verb[alertsArgs, []api.Alert]{
		Use: "alerts", Short: "List pending and firing alerts",
		Example: "  smartlb alerts\n  smartlb alerts --past\n  smartlb alerts silence --rule fast-failing --label service=user-service --for 1h --reason 'known, ticket 12'\n  smartlb alerts unsilence 3fa1c02b\n  smartlb alerts receivers",
		Flags: func(f *pflag.FlagSet, a *alertsArgs) {
			cli.AdminFlag(f, &a.admin)
			f.BoolVar(&a.past, "past", false, "also resolved alerts")
		},
		Run: func(ctx context.Context, env *cli.Env, a alertsArgs) (out []api.Alert, err error) {
			path := "/api/v1/alerts"
			if a.past {
				path += "?past=true"
			}
			return out, cli.Admin(env, a.admin).Get(ctx, path, &out)
		},
		Table: alertTable,
	}.Command(env)
	c.AddCommand(silences(env), silence(env), unsilence(env), receivers(env), testReceiver(env))
	return c
}

func alertTable(list []api.Alert) cli.Table {
	if len(list) == 0 {
		return cli.Table{Above: []string{"no alerts"}}
	}
	t := cli.Table{Head: []string{"STATUS", "SEVERITY", "RULE", "SINCE", "SUMMARY"}}
	for _, a := range list {
		status := a.Status
		if a.Silence != nil {
			status += ", silenced"
		}
		t.Rows = append(t.Rows, []string{status, a.Severity, a.RuleID, readable.Time(a.StartsAt), a.Annotations.Summary})
	}
	return t
}

type silenceArgs struct {
	admin, rule, reason, id string
	labels                  []string
	length                  time.Duration
}

func silence(env *cli.Env) *cobra.Command {
	return cli.Verb[silenceArgs, api.Silence]{
		Use: "silence", Short: "Silence alerts on every node for a time; they stay visible as silenced",
		Example:  "  smartlb alerts silence --rule fast-failing --label instance=user-service-3 --for 4h --reason 'being replaced'\n  smartlb alerts silence --label service=user-service",
		Defaults: silenceArgs{length: time.Hour},
		Flags: func(f *pflag.FlagSet, a *silenceArgs) {
			cli.AdminFlag(f, &a.admin)
			f.StringVar(&a.rule, "rule", "", "`rule` of the alerts")
			f.StringArrayVar(&a.labels, "label", nil, "`name=value` label of the alerts; may be repeated, all must match")
			f.DurationVar(&a.length, "for", a.length, "how long, at most 720h")
			f.StringVar(&a.reason, "reason", "", "reason, shown to other operators")
		},
		Run: func(ctx context.Context, env *cli.Env, a silenceArgs) (out api.Silence, err error) {
			labels := map[string]string{}
			for _, l := range a.labels {
				k, v, ok := strings.Cut(l, "=")
				if !ok || k == "" {
					return out, cli.Usagef("--label %s: want name=value", l)
				}
				labels[k] = v
			}
			if a.rule == "" && len(labels) == 0 {
				return out, cli.Usagef("--rule or --label is missing: name the alerts to silence")
			}
			body := map[string]any{"ruleId": a.rule, "labels": labels, "durationMs": a.length.Milliseconds(), "reason": a.reason}
			return out, cli.Admin(env, a.admin).Do(ctx, http.MethodPost, "/api/v1/silences", body, &out)
		},
		Table: func(s api.Silence) cli.Table {
			return cli.Table{Above: []string{fmt.Sprintf("silence %s is in effect until %s; to end it, run smartlb alerts unsilence %s", s.ID, readable.Time(s.EndsAt), s.ID)}}
		},
	}.Command(env)
}

type ended struct {
	Result string `json:"result"`
}

func unsilence(env *cli.Env) *cobra.Command {
	return cli.Verb[silenceArgs, ended]{
		Use: "unsilence ID", Short: "End a silence",
		Example: "  smartlb alerts unsilence 3fa1c02b",
		Flags:   func(f *pflag.FlagSet, a *silenceArgs) { cli.AdminFlag(f, &a.admin) },
		Args:    cli.Words(func(a *silenceArgs) []*string { return []*string{&a.id} }, "ID"),
		Run: func(ctx context.Context, env *cli.Env, a silenceArgs) (r ended, err error) {
			return r, cli.Admin(env, a.admin).Do(ctx, http.MethodDelete, "/api/v1/silences/"+url.PathEscape(a.id), nil, &r)
		},
		Table: func(r ended) cli.Table { return cli.Table{Above: []string{r.Result}} },
	}.Command(env)
}

func silences(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, []api.Silence]{
		Use: "silences", Short: "List silences, also ended ones",
		Example: "  smartlb alerts silences",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Run: func(ctx context.Context, env *cli.Env, a adminArgs) (out []api.Silence, err error) {
			return out, cli.Admin(env, a.admin).Get(ctx, "/api/v1/silences", &out)
		},
		Table: func(list []api.Silence) cli.Table {
			if len(list) == 0 {
				return cli.Table{Above: []string{"no silences"}}
			}
			t := cli.Table{Head: []string{"ID", "STATE", "UNTIL", "BY", "WHAT", "REASON"}}
			for _, s := range list {
				state := "active"
				if time.Until(s.EndsAt) <= 0 {
					state = "ended"
				}
				what := []string{}
				for k, v := range s.Labels {
					what = append(what, k+"="+v)
				}
				slices.Sort(what)
				t.Rows = append(t.Rows, []string{s.ID, state, readable.Time(s.EndsAt), s.Author, strings.TrimSpace(s.RuleID + " " + strings.Join(what, " ")), s.Reason})
			}
			return t
		},
	}.Command(env)
}
