package routing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/console/api"
)

type overrideArgs struct {
	adminArgs
	reason  string
	hold    time.Duration
	wait    bool
	timeout time.Duration
}

// overridden is the result of the verbs.
type overridden struct {
	api.Overridden
	Service  string `json:"service"`
	Instance string `json:"instance"`
	InFlight *int64 `json:"inFlight,omitempty"` // set with --wait: requests in flight from the queried node
}

func drain(env *cli.Env) *cobra.Command {
	return overrideVerb(env, cli.Verb[overrideArgs, overridden]{
		Use: "drain INSTANCE", Short: "Send an instance no new requests; requests in flight finish",
		Long: "Takes effect at once on the node of --admin, and through config-updates on all nodes. While Kafka is unavailable, the\n" +
			"node keeps the drain on disk and publishes it later.",
		Example:  "  smartlb drain user-service-3\n  smartlb drain user-service-3 --for 30m --reason 'new kernel'\n  smartlb drain user-service/user-service-3 --wait && systemctl restart user-service",
		Defaults: overrideArgs{timeout: 5 * time.Minute},
		Flags: func(f *pflag.FlagSet, a *overrideArgs) {
			a.flags(f)
			f.StringVar(&a.reason, "reason", "", "reason, shown in explain, history and the audit log")
			f.DurationVar(&a.hold, "for", 0, "end the drain after this `time`, such as 30m (default: until undrain)")
			f.BoolVar(&a.wait, "wait", false, "wait until the node of --admin has no request in flight to it")
			f.DurationVar(&a.timeout, "timeout", a.timeout, "with --wait: longest wait")
		},
	}, "drain")
}

func undrain(env *cli.Env) *cobra.Command {
	return overrideVerb(env, cli.Verb[overrideArgs, overridden]{
		Use: "undrain INSTANCE", Short: "Return a drained instance to rotation, through slow start",
		Example: "  smartlb undrain user-service-3",
		Flags: func(f *pflag.FlagSet, a *overrideArgs) {
			a.flags(f)
			f.StringVar(&a.reason, "reason", "", "reason, shown in the history and the audit log")
		},
	}, "undrain")
}

// overrideVerb completes a verb that sets an override.
func overrideVerb(env *cli.Env, v cli.Verb[overrideArgs, overridden], action string) *cobra.Command {
	v.Args = cli.Words(func(a *overrideArgs) []*string { return []*string{&a.name} }, "INSTANCE")
	v.Run = func(ctx context.Context, env *cli.Env, a overrideArgs) (overridden, error) {
		return override(ctx, env, a, action)
	}
	v.Table = func(r overridden) cli.Table {
		t := cli.Table{Above: []string{r.Result + ": in effect, and published to every node"}}
		if r.Note != "" {
			t.Above = []string{r.Result + ": " + r.Note}
		}
		if r.InFlight != nil {
			t.Above = append(t.Above, fmt.Sprintf("%s: %s in flight", r.Instance, requests(*r.InFlight)))
		}
		return t
	}
	v.Complete = func(ctx context.Context, env *cli.Env, a *overrideArgs, words []string) []string {
		return completeInstances(ctx, env, &a.adminArgs, words)
	}
	return v.Command(env)
}

func override(ctx context.Context, env *cli.Env, a overrideArgs, action string) (overridden, error) {
	client := cli.Admin(env, a.admin)
	var r overridden
	r.Service, r.Instance = split(a.name)
	if a.hold < 0 || a.wait && a.timeout <= 0 {
		return r, cli.Usagef("--for and --timeout: want more than 0")
	}
	if r.Service == "" { // the API needs the service; the explanation contains it
		e, err := explanation(ctx, client, r)
		if err != nil {
			return r, err
		}
		r.Service = e.Service
	}
	body := map[string]any{"action": action, "reason": a.reason, "author": cli.Author(env)}
	if a.hold > 0 {
		body["for"] = a.hold.String()
	}
	path := "/api/v1/services/" + url.PathEscape(r.Service) + "/instances/" + url.PathEscape(r.Instance) + "/override"
	if err := client.Do(ctx, http.MethodPost, path, body, &r.Overridden); err != nil || !a.wait {
		return r, err
	}
	return r, awaitDrained(ctx, client, &r, a.timeout)
}

func explanation(ctx context.Context, client cli.AdminClient, r overridden) (e api.Explanation, err error) {
	path := "/api/v1/instances/" + url.PathEscape(r.Instance) + "/explain"
	if r.Service != "" {
		path += "?service=" + url.QueryEscape(r.Service)
	}
	return e, client.Get(ctx, path, &e)
}

// drainPoll is the pause between two requests of awaitDrained.
const drainPoll = 200 * time.Millisecond

// awaitDrained waits until the drained instance has no requests in flight. It returns an error if the drain ends
// earlier: then the instance takes requests again.
func awaitDrained(ctx context.Context, client cli.AdminClient, r *overridden, timeout time.Duration) error {
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for drained := false; ; {
		e, err := explanation(wait, client, *r)
		if err == nil {
			n, state := e.Detail.InFlight, e.Detail.State
			r.InFlight = &n
			switch {
			case state == "draining" && n == 0:
				return nil
			case state == "draining":
				drained = true
			case drained:
				return fmt.Errorf("%s: the drain ended with %s in flight, and the instance takes requests again (state %s); use a longer --for", r.Instance, requests(n), state)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wait.Done():
			switch {
			case r.InFlight == nil:
				return err
			case !drained:
				return fmt.Errorf("%s is not drained on the node of --admin after %s, %s in flight; see smartlb explain %s", r.Instance, timeout, requests(*r.InFlight), r.Instance)
			}
			return fmt.Errorf("%s still has %s in flight after %s; it stays drained", r.Instance, requests(*r.InFlight), timeout)
		case <-time.After(drainPoll):
		}
	}
}

func requests(n int64) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}
