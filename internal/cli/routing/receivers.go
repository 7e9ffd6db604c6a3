package routing

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/api"
)

// receivers lists the receivers of alerts.
func receivers(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, api.AlertReceivers]{
		Use: "receivers", Short: "List the receivers of alerts with their state, and the node that sends",
		Long:    "List the receivers of alerts in the configuration of a node with the role analyzer. One node of the fleet sends; ask that node for the state of its receivers.",
		Example: "  smartlb alerts receivers\n  smartlb alerts receivers -o json | jq '.receivers[] | select(.state == \"failing\")'",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Run: func(ctx context.Context, env *cli.Env, a adminArgs) (out api.AlertReceivers, err error) {
			return out, cli.Admin(env, a.admin).Get(ctx, "/api/v1/alerts/receivers", &out)
		},
		Table: receiverTable,
	}.Command(env)
}

func receiverTable(r api.AlertReceivers) cli.Table {
	if len(r.Receivers) == 0 {
		return cli.Table{Above: []string{"the configuration of node " + r.Node + " has no receivers of alerts"}}
	}
	sender := "node " + r.Node + " sends alerts"
	if !r.Sends {
		sender = "node " + r.Node + " does not send alerts; sender: " + cmp.Or(r.Sender, "unknown")
	}
	t := cli.Table{Above: []string{sender}, Head: []string{"RECEIVER", "TYPE", "STATE", "ALERTS", "DELIVERED", "FAILED", "LAST", "TARGET", "ERROR"}}
	for _, one := range r.Receivers {
		failure := ""
		if one.State == api.ReceiverFailing {
			failure = one.Error
		}
		t.Rows = append(t.Rows, []string{one.Name, one.Type, one.State, fmt.Sprint(one.Alerts), fmt.Sprint(one.Delivered), fmt.Sprint(one.Failed), readable.Time(one.LastDelivered), one.Target, failure})
	}
	return t
}

// testReceiver sends a test message.
func testReceiver(env *cli.Env) *cobra.Command {
	return cli.Verb[adminArgs, ended]{
		Use: "test RECEIVER", Short: "Send a test message to a receiver of alerts and show its answer",
		Example: "  smartlb alerts test chat",
		Flags:   func(f *pflag.FlagSet, a *adminArgs) { a.flags(f) },
		Args:    cli.Words(func(a *adminArgs) []*string { return []*string{&a.name} }, "RECEIVER"),
		Complete: func(ctx context.Context, env *cli.Env, a *adminArgs, words []string) []string {
			var out api.AlertReceivers
			if len(words) > 0 || cli.Admin(env, a.admin).Get(ctx, "/api/v1/alerts/receivers", &out) != nil {
				return nil
			}
			var names []string
			for _, r := range out.Receivers {
				names = append(names, r.Name)
			}
			return names
		},
		Run: func(ctx context.Context, env *cli.Env, a adminArgs) (r ended, err error) {
			return r, cli.Admin(env, a.admin).Do(ctx, http.MethodPost, "/api/v1/alerts/receivers/"+url.PathEscape(a.name)+"/test", map[string]any{}, &r)
		},
		Table: func(r ended) cli.Table { return cli.Table{Above: []string{r.Result}} },
	}.Command(env)
}
