package routing

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/control/routetest"
)

// route returns the noun route.
func route(env *cli.Env) *cobra.Command {
	return cli.Noun("route", "Find the route of a request", "", testRoute(env))
}

type testRouteArgs struct {
	cli.Brokers
	method, url, file, client, sni, listener, at string
	headers                                      []string
}

func testRoute(env *cli.Env) *cobra.Command {
	return cli.Verb[testRouteArgs, routetest.Result]{
		Use: "test METHOD URL", Short: "Show which route takes a request, and why the other routes do not",
		Long: "Compares a request with each route, in the order of precedence, and prints the first condition that does not hold. No request is sent. The routes are those of the current configuration, or those of --config. Exit status 1 means that no route matches.",
		Example: "  smartlb route test GET http://shop.example.com/users/1\n  smartlb route test POST https://shop.example.com/users -H 'X-Canary: yes' --client 10.0.0.7\n" +
			"  smartlb route test GET /users --config smartlb.yaml -o json",
		Defaults: testRouteArgs{client: "127.0.0.1"},
		Flags: func(f *pflag.FlagSet, a *testRouteArgs) {
			a.Declare(f)
			f.StringVar(&a.file, "config", "", "`file` with the routes (default: the current configuration)")
			f.StringArrayVarP(&a.headers, "header", "H", nil, "`name:value` of a request header, may be repeated")
			f.StringVar(&a.client, "client", a.client, "`address` of the client")
			f.StringVar(&a.listener, "listener", "", "`name` of the listener that gets the request")
			f.StringVar(&a.at, "at", "", "`time` of the request, such as 2026-12-24T22:30:00+01:00 (default: now)")
			f.StringVar(&a.sni, "sni", "", "server `name` of the TLS handshake (default: the host of an https URL)")
		},
		Args: cli.Words(func(a *testRouteArgs) []*string { return []*string{&a.method, &a.url} }, "METHOD", "URL"),
		Run: func(ctx context.Context, env *cli.Env, a testRouteArgs) (routetest.Result, error) {
			req := routetest.Request{Method: a.method, URL: a.url, Headers: a.headers, Client: a.client, ServerName: a.sni, Listener: a.listener}
			if a.at != "" {
				var err error
				if req.At, err = time.Parse(time.RFC3339, a.at); err != nil {
					return routetest.Result{}, cli.Usagef("--at: %q is no time, want one like 2026-12-24T22:30:00+01:00", a.at)
				}
			}
			t, err := a.traffic(ctx, env)
			if err != nil {
				return routetest.Result{}, err
			}
			out, err := routetest.Run(t, req, time.Now())
			if bad, ok := err.(*routetest.Invalid); ok {
				return out, cli.Usagef("%s", bad)
			}
			if err == nil && out.Route == "" {
				return out, cli.ErrFailed
			}
			return out, err
		},
		Table: routeTable,
	}.Command(env)
}

// traffic returns the current configuration, or that of the file.
func (a testRouteArgs) traffic(ctx context.Context, env *cli.Env) (config.Traffic, error) {
	if a.file != "" {
		src, err := config.ReadFile(a.file)
		if err != nil {
			return config.Traffic{}, err
		}
		d, err := config.Parse(src)
		if err != nil {
			return config.Traffic{}, cli.Mistakes(a.file, err)
		}
		return d.Traffic, nil
	}
	cfg, err := a.Answering(ctx, env)
	if err != nil {
		return config.Traffic{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	state, err := configlog.Load(ctx, cfg, env.Log)
	if err != nil {
		return config.Traffic{}, err
	}
	if state.Revision == "" {
		return config.Traffic{}, fmt.Errorf("the log holds no configuration yet; use --config FILE, or publish a configuration with `smartlb config apply FILE`")
	}
	return config.ParseTraffic([]byte(state.Document))
}

func routeTable(r routetest.Result) cli.Table {
	first := fmt.Sprintf("%s: no route matches, so the client gets 404", r.Request)
	if r.Route != "" {
		first = fmt.Sprintf("%s: route %s, %s", r.Request, r.Route, r.Target)
	}
	above := []string{first}
	for _, l := range r.Limits {
		above = append(above, fmt.Sprintf("rate limit of %s: %s", l.Of, l.Text))
	}
	t := cli.Table{Above: above, Head: []string{"ROUTE", "MATCHES", "REASON"}}
	for _, s := range r.Steps {
		matched := "no"
		if s.Matched {
			matched = "yes"
		}
		t.Rows = append(t.Rows, []string{s.Route, matched, r.Reason(s)})
	}
	return t
}
