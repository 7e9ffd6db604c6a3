package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Compile builds the routing table of a checked document. resolve returns the service of an id; it is called for known
// ids only. Compile changes nothing: after a failed Compile the current routing stays in effect.
func Compile(t Traffic, revision string, resolve func(id string) *upstream.Service) (*dispatch.Table, error) {
	rules := make([]router.Rule[*dispatch.Route], 0, len(t.Routes))
	names := make([]string, 0, len(t.Routes))
	services := map[string]Service{}
	for _, s := range t.Services {
		services[s.ID] = s
	}
	for _, r := range t.Routes {
		route, err := compileRoute(r, resolve, services)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
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
	return &dispatch.Table{Revision: revision, Routes: table, Names: strings.Join(names, ", ")}, nil
}

func rule(r Route, route *dispatch.Route) router.Rule[*dispatch.Route] {
	out := router.Rule[*dispatch.Route]{Name: r.Name, Hosts: r.Hosts, Methods: r.Methods, Value: route}
	switch {
	case r.Path.Exact != "":
		out.Kind, out.Path = router.Exact, routed(r.Path.Exact)
	case r.Path.Regex != "":
		out.Kind, out.Path = router.Regex, r.Path.Regex
	default:
		out.Kind, out.Path = router.Prefix, routed(r.Path.Prefix)
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, router.Header{Name: h.Name, Value: h.Exact, Pattern: h.Regex})
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

func compileRoute(r Route, resolve func(string) *upstream.Service, services map[string]Service) (*dispatch.Route, error) {
	out := &dispatch.Route{Name: r.Name, Timeout: r.Timeout}
	if t := r.StreamTimeout; t != nil {
		out.StreamTimeout = cmp.Or(*t, -1)
	}
	split := r.Split
	if len(split) == 0 {
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
		out.Split = append(out.Split, dispatch.Share{Service: service, Weight: uint64(s.Weight), Leg: leg(of), Traffic: service.Traffic(r.Name)})
		out.Total += uint64(s.Weight)
	}
	var err error
	if out.HashOn, err = hashOn(r.HashOn); err != nil {
		return nil, err
	}
	if r.Retry != nil {
		out.Retry = compileRetry(*r.Retry)
	}
	return out, nil
}

// leg converts the settings of a checked service.
func leg(s Service) *dispatch.Leg {
	out := &dispatch.Leg{
		HTTP2: s.HTTP2(), Strict: s.Strictness == "strict", ProxyProtocol: s.ProxyHeader(), GRPCFailures: dispatch.DefaultGRPCFailures,
		ConnectTimeout: s.Connections.ConnectTimeout, MaxConnections: s.Connections.Limit, MaxIdle: s.Connections.Idle, KeepTimeout: s.Connections.Keep,
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
	out := dispatch.Retry{Attempts: r.Attempts, PerTryTimeout: r.PerTryTimeout}
	for _, on := range r.On {
		switch on {
		case "connect-failure":
			out.OnConnect = true
		case "reset":
			out.OnReset = true
		case "timeout":
			out.OnTimeout = true
		default:
			if s, err := strconv.Atoi(on); err == nil {
				out.Set(s)
			}
		}
	}
	return out
}

func hashOn(s string) (dispatch.HashOn, error) {
	switch name, isHeader := strings.CutPrefix(s, "header:"); {
	case s == "", s == "client":
		return dispatch.HashOn{Kind: dispatch.HashClient}, nil
	case s == "path":
		return dispatch.HashOn{Kind: dispatch.HashPath}, nil
	case isHeader && name != "":
		return dispatch.HashOn{Kind: dispatch.HashHeader, Name: name}, nil
	}
	return dispatch.HashOn{}, fmt.Errorf("%q: want client, path or header:NAME", s)
}

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
