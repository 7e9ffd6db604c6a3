package routing

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/router"
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

// routeTest is the result of route test.
type routeTest struct {
	Request string       `json:"request"`    // method and URL
	Route   string       `json:"route"`      // empty: no route matches
	Target  string       `json:"target"`     // what the route does
	Limits  []routeLimit `json:"rateLimits"` // of the route and its services; none has been asked for a token
	Steps   []routeStep  `json:"steps"`
}

// routeLimit is a rate limit on the way of a request.
type routeLimit struct {
	Of     string `json:"of"` // route NAME or service ID
	Name   string `json:"name"`
	Rate   string `json:"rate"`
	Burst  int    `json:"burst"`
	By     string `json:"by"`    // empty: all requests share the limit
	Scope  string `json:"scope"` // node or fleet
	DryRun bool   `json:"dryRun"`
	text   string
}

// routeStep says why one route matches or not. Steps are in the order of precedence.
type routeStep struct {
	Route   string `json:"route"`
	Matched bool   `json:"matched"`
	Missed  string `json:"missed"` // the first condition that does not hold
	Want    string `json:"want"`
	Got     string `json:"got"`
}

func testRoute(env *cli.Env) *cobra.Command {
	return cli.Verb[testRouteArgs, routeTest]{
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
		Run: func(ctx context.Context, env *cli.Env, a testRouteArgs) (routeTest, error) {
			req, from, err := a.request()
			if err != nil {
				return routeTest{}, err
			}
			t, err := a.traffic(ctx, env)
			if err != nil {
				return routeTest{}, err
			}
			table, err := config.Routes(t)
			if err != nil {
				return routeTest{}, err
			}
			out := explainRoutes(t, table, req, from)
			out.Request = a.method + " " + a.url
			if out.Route == "" {
				return out, cli.ErrFailed
			}
			return out, nil
		},
		Table: routeTable,
	}.Command(env)
}

// request parses the request as a proxy does.
func (a testRouteArgs) request() (*h1.Request, router.Peer, error) {
	client, err := netip.ParseAddr(a.client)
	if err != nil {
		return nil, router.Peer{}, cli.Usagef("--client: %q is no address, want one like 10.0.0.7", a.client)
	}
	from := router.Peer{Client: client.Unmap().WithZone(""), ServerName: a.sni, Listener: a.listener, At: time.Now()}
	if a.at != "" {
		if from.At, err = time.Parse(time.RFC3339, a.at); err != nil {
			return nil, from, cli.Usagef("--at: %q is no time, want one like 2026-12-24T22:30:00+01:00", a.at)
		}
	}
	host, target, secure, err := splitURL(a.url)
	if err != nil {
		return nil, from, err
	}
	if name, _, _ := strings.Cut(host, ":"); secure && a.sni == "" && !strings.HasPrefix(host, "[") {
		from.ServerName = name
	}
	var fields strings.Builder
	for _, h := range a.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || !h1.IsToken(name) || strings.ContainsAny(value, "\r\n") {
			return nil, from, cli.Usagef("-H: %q: want name:value", h)
		}
		if strings.EqualFold(name, "host") {
			host = strings.TrimSpace(value)
			continue
		}
		fmt.Fprintf(&fields, "%s: %s\r\n", name, strings.TrimSpace(value))
	}
	if strings.ContainsAny(a.method+target+host, " \r\n") {
		return nil, from, cli.Usagef("a method and a URL have neither blanks nor line ends")
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", a.method, target, cmp.Or(host, "localhost"), fields.String())
	req, lim := new(h1.Request), h1.Limits{Underscores: h1.KeepUnderscores}.WithDefaults()
	n, bad := req.Parse([]byte(head), &lim)
	switch {
	case bad != nil:
		return nil, from, fmt.Errorf("a proxy refuses this request with %d: %s", bad.Status, bad.Reason)
	case n != len(head):
		return nil, from, cli.Usagef("%q: no such request", a.method+" "+a.url)
	}
	return req, from, nil
}

// splitURL splits a URL, or a path without a host, or the target "*" of OPTIONS.
func splitURL(url string) (host, target string, secure bool, _ error) {
	url, _, _ = strings.Cut(url, "#")
	scheme, rest, ok := strings.Cut(url, "://")
	switch {
	case strings.HasPrefix(url, "/"), url == "*":
		return "", url, false, nil
	case !ok || scheme != "http" && scheme != "https":
		return "", "", false, cli.Usagef("%q: want a URL such as http://shop.example.com/users, or a path", url)
	}
	host, target = rest, "/"
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		host, target = rest[:at], rest[at:]
	}
	if strings.HasPrefix(target, "?") {
		target = "/" + target
	}
	return host, target, scheme == "https", nil
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
	cfg, err := a.Reach(ctx, env)
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

// explainRoutes compares the request with all routes.
func explainRoutes(t config.Traffic, table *router.Table[int], req *h1.Request, from router.Peer) routeTest {
	out := routeTest{Steps: []routeStep{}, Limits: []routeLimit{}}
	if i, ok := table.Match(req, from); ok {
		r := t.Routes[i]
		out.Route, out.Target = r.Name, r.Target()
		out.addLimits("route "+r.Name, r.RateLimits)
		for _, s := range t.Services {
			if r.LeadsTo(s.ID) {
				out.addLimits("service "+s.ID, s.RateLimits)
			}
		}
	}
	for _, s := range table.Explain(req, from) {
		out.Steps = append(out.Steps, routeStep{Route: s.Rule, Matched: s.Missed == router.None, Missed: s.Missed.String(), Want: s.Want, Got: s.Got})
	}
	return out
}

func (r *routeTest) addLimits(of string, limits []config.RateLimit) {
	for _, l := range limits {
		r.Limits = append(r.Limits, routeLimit{
			Of: of, Name: l.Name, Rate: l.Rate.String(), Burst: l.Burst, By: l.By, Scope: cmp.Or(l.Scope, "node"), DryRun: l.DryRun, text: l.String(),
		})
	}
}

func routeTable(r routeTest) cli.Table {
	first := fmt.Sprintf("%s: no route matches, so the client gets 404", r.Request)
	if r.Route != "" {
		first = fmt.Sprintf("%s: route %s, %s", r.Request, r.Route, r.Target)
	}
	above := []string{first}
	for _, l := range r.Limits {
		above = append(above, fmt.Sprintf("rate limit of %s: %s", l.Of, l.text))
	}
	t := cli.Table{Above: above, Head: []string{"ROUTE", "MATCHES", "REASON"}}
	for _, s := range r.Steps {
		row := []string{s.Route, "no", fmt.Sprintf("%s is %s, want %s", s.Missed, s.Got, s.Want)}
		switch {
		case s.Matched && s.Route == r.Route:
			row = []string{s.Route, "yes", "takes the request"}
		case s.Matched:
			row = []string{s.Route, "yes", "route " + r.Route + " goes before it"}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
