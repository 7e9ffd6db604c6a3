package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Local is what a node adds to a configuration, which is the same on all nodes.
type Local struct {
	Pages    Pages
	Sessions affinity.Keys // of the cookies of sessions
	// compares the passwords of all routes; only if routes have basicAuth
	Passwords *action.Passwords
	Limits    map[ratelimit.ID]*ratelimit.Limit // of the current table, whose buckets stay in use
	JWT       JWTState                          // only if routes have jwt
	Auth      AuthState                         // only if routes have forwardAuth
}

// Compile builds the routing table of a checked document. resolve returns the service of an id; it is called for known
// ids only. Compile reads the files of responses. It changes nothing: after a failed Compile the current routing stays in effect.
func Compile(t Traffic, revision string, resolve func(id string) *upstream.Service, local Local) (*dispatch.Table, error) {
	rules := make([]router.Rule[*dispatch.Route], 0, len(t.Routes))
	names := make([]string, 0, len(t.Routes))
	next := &nextAuth{jwt: nextJWT{refused: map[string]*jwt.Refusals{}}, counts: map[string]*forwardauth.Counts{}}
	services, budget, all := map[string]destination{}, action.MaxBodies, map[ratelimit.ID]*ratelimit.Limit{}
	sessions := map[string]*affinity.Sessions{}
	for _, s := range t.Services {
		errorPages, err := compilePages(s, local.Pages, &budget)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.ID, err)
		}
		own, err := compileLimits(ratelimit.ID{Service: s.ID}, s.RateLimits, local.Limits, all)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.ID, err)
		}
		services[s.ID] = destination{leg(s), errorPages, compileSessions(s, local.Sessions), own, &guard.Budget{Share: s.RetryBudget.Share, Min: s.RetryBudget.Min}}
		if of := services[s.ID].sessions; of != nil {
			sessions[s.ID] = of
		}
	}
	for _, r := range t.Routes {
		route, err := compileRoute(r, resolve, services)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		if route.Actions, err = compileActions(r, local, &budget, next); err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		own, err := compileLimits(ratelimit.ID{Route: r.Name}, r.RateLimits, local.Limits, all)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		for i := range route.Split {
			s := &route.Split[i]
			s.Limits = slices.Concat(own, s.Limits)
		}
		if len(route.Split) == 0 {
			route.Limits = own
		}
		if len(route.Split) == 0 || r.Access != nil || r.BasicAuth != nil || r.JWT != nil || r.ForwardAuth != nil || r.Fault != nil || r.CORS != nil {
			route.Traffic = resolve("").Traffic(r.Name)
		}
		rules = append(rules, rule(r, route))
		names = append(names, r.Name+" "+pathText(r.Path))
	}
	table, err := router.Compile(rules)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10], "and "+strconv.Itoa(len(t.Routes)-10)+" more")
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	return &dispatch.Table{Revision: revision, Routes: table, Names: strings.Join(names, ", "), Limits: all, KeySets: next.jwt.sets, Refused: next.jwt.refused, Auths: next.counts, Sessions: sessions}, nil
}

// Routes compiles the conditions of a checked document's routes. The value of a rule is the place of its route.
func Routes(t Traffic) (*router.Table[int], error) {
	rules := make([]router.Rule[int], len(t.Routes))
	for i, r := range t.Routes {
		rules[i] = rule(r, i)
	}
	return router.Compile(rules)
}

func rule[T any](r Route, value T) router.Rule[T] {
	out := router.Rule[T]{Name: r.Name, Hosts: r.Hosts, Methods: r.Methods, ServerNames: r.ServerNames, Clients: r.Clients, Listeners: r.Listeners, Value: value}
	switch {
	case r.Path.Exact != "":
		out.Kind, out.Path = router.Exact, routed(r.Path.Exact)
	case r.Path.Regex != "":
		out.Kind, out.Path = router.Regex, r.Path.Regex
	default:
		out.Kind, out.Path = router.Prefix, routed(r.Path.Prefix)
	}
	for _, h := range r.Hours {
		out.Hours = append(out.Hours, h.rules())
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, router.Pair{Name: h.Name, Value: h.Exact, Pattern: h.Regex})
	}
	for _, q := range r.QueryParams {
		out.Query = append(out.Query, router.Pair{Name: q.Name, Value: q.Exact, Pattern: q.Regex})
	}
	for _, k := range r.Cookies {
		out.Cookies = append(out.Cookies, router.Pair{Name: k.Name, Value: k.Exact, Pattern: k.Regex})
	}
	return out
}

// routed returns a path in the spelling in which requests are routed. The check has already refused invalid paths.
func routed(path string) string {
	if p, err := h1.RoutePath(path); err == nil {
		return p
	}
	return path
}

// destination is what the routes to one service share.
type destination struct {
	leg      *dispatch.Leg
	pages    action.Pages
	sessions *affinity.Sessions
	limits   []*ratelimit.Limit
	budget   *guard.Budget
}

func compileRoute(r Route, resolve func(string) *upstream.Service, services map[string]destination) (*dispatch.Route, error) {
	out := &dispatch.Route{Name: r.Name, Timeout: r.Timeout}
	if t := r.StreamTimeout; t != nil {
		out.StreamTimeout = cmp.Or(*t, -1)
	}
	split := r.Split
	if r.Service != "" {
		split = []Split{{Service: r.Service, Weight: 1}}
	}
	for _, s := range split {
		if s.Weight == 0 {
			continue
		}
		service := resolve(s.Service)
		if service == nil {
			return nil, fmt.Errorf("service %s does not exist", s.Service)
		}
		of := services[s.Service]
		out.Split = append(out.Split, dispatch.Share{Service: service, Weight: uint64(s.Weight), Leg: of.leg, Pages: of.pages, Session: of.sessions, Limits: of.limits, Budget: of.budget, Traffic: service.Traffic(r.Name)})
		out.Total += uint64(s.Weight)
	}
	var err error
	if out.HashOn, err = hashOn(r.HashOn); err != nil {
		return nil, err
	}
	if out.Priority, err = priority(r.Priority); err != nil {
		return nil, err
	}
	if r.Retry != nil {
		out.Retry = compileRetry(*r.Retry)
	}
	if r.Hedge != nil {
		after, err := r.Hedge.delay()
		if err != nil {
			return nil, err
		}
		out.Hedge = &dispatch.Hedge{After: after}
	}
	return out, nil
}

// leg converts the settings of a checked service.
func leg(s Service) *dispatch.Leg {
	out := &dispatch.Leg{
		HTTP2: s.HTTP2(), Strict: s.Strictness == "strict", ProxyProtocol: s.ProxyHeader(), GRPCFailures: dispatch.DefaultGRPCFailures,
		LoadReports:    s.orca(),
		ConnectTimeout: s.Connections.ConnectTimeout, MaxConnections: s.Connections.Limit, MaxIdle: s.Connections.Idle, KeepTimeout: s.Connections.Keep,
	}
	if s.Concurrency != nil {
		out.QueueTimeout = s.Concurrency.QueueTimeout
	}
	if s.GRPCFailures != nil {
		out.GRPCFailures = 0
		for _, name := range s.GRPCFailures {
			out.GRPCFailures |= 1 << slices.Index(grpcStatuses, name)
		}
	}
	return out
}

func compileRetry(r Retry) dispatch.Retry {
	out := dispatch.Retry{
		Attempts: r.Attempts, PerTryTimeout: r.PerTryTimeout, MaxRetryAfter: r.MaxRetryAfter,
		Backoff: backoff.Policy{Base: r.Backoff.Base, Max: r.Backoff.Max},
	}
	for _, on := range r.On {
		switch on {
		case "connect-failure":
			out.OnConnect = true
		case "reset":
			out.OnReset = true
		case "timeout":
			out.OnTimeout = true
		default:
			if low, high, ok := retryStatus(on); ok {
				out.OnStatus.Add(low, high)
			} else if code := slices.Index(grpcStatuses, on); code > 0 {
				out.OnGRPC |= 1 << code
			}
		}
	}
	return out
}

func hashOn(s string) (dispatch.HashOn, error) {
	switch s {
	case "", "client":
		return dispatch.HashOn{Kind: dispatch.HashClient}, nil
	case "path":
		return dispatch.HashOn{Kind: dispatch.HashPath}, nil
	}
	word, name, _ := strings.Cut(s, ":")
	if kind, ok := hashKinds[word]; ok && name != "" {
		return dispatch.HashOn{Kind: kind, Name: name}, nil
	}
	return dispatch.HashOn{}, fmt.Errorf("%.200q: want client, path, header:NAME, cookie:NAME or query:NAME", s)
}

// hashKinds are the kinds of hashOn that have a name.
var hashKinds = map[string]dispatch.HashKind{"header": dispatch.HashHeader, "cookie": dispatch.HashCookie, "query": dispatch.HashQuery}

func pathText(p Path) string {
	switch {
	case p.Exact != "":
		return "=" + p.Exact
	case p.Regex != "":
		return "~" + p.Regex
	case p.Prefix != "":
		return p.Prefix
	}
	return "/"
}

// LeadsTo reports whether the route sends requests to a service.
func (r Route) LeadsTo(service string) bool {
	return r.Service == service || slices.ContainsFunc(r.Split, func(s Split) bool { return s.Service == service && s.Weight > 0 })
}

// Target describes what a checked route does with requests, for people.
func (r Route) Target() string {
	switch {
	case r.Redirect != nil:
		return "redirect with " + strconv.Itoa(r.Redirect.Code)
	case r.Response != nil:
		return "fixed response " + strconv.Itoa(r.Response.Status)
	case r.Service != "":
		return "service " + r.Service
	}
	parts := make([]string, len(r.Split))
	for i, s := range r.Split {
		parts[i] = s.Service + " " + strconv.Itoa(s.Weight)
	}
	return "split " + strings.Join(parts, ", ")
}
