// Package routetest compares a request with the routes of a configuration, and says why each route takes it or not. Nothing is
// sent. The command `smartlb route test` and the console use it.
package routetest

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/router"
)

// Request is what a client would send.
type Request struct {
	Method     string    `json:"method"`
	URL        string    `json:"url"`        // or a path without a host, or * of OPTIONS
	Headers    []string  `json:"headers"`    // name:value
	Client     string    `json:"client"`     // address; empty: 127.0.0.1
	ServerName string    `json:"serverName"` // of the TLS handshake; empty: the host of an https URL
	Listener   string    `json:"listener"`   // name of the listener that gets the request
	At         time.Time `json:"at,omitzero"`
}

// Invalid is the error of a Request that is none.
type Invalid struct{ text string }

func (e *Invalid) Error() string { return e.text }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// Result says which route takes a request.
type Result struct {
	Request string  `json:"request"`    // method and URL
	Route   string  `json:"route"`      // empty: no route matches
	Target  string  `json:"target"`     // what the route does
	Limits  []Limit `json:"rateLimits"` // of the route and its services; none has been asked for a token
	Steps   []Step  `json:"steps"`
}

// Limit is a rate limit on the way of a request.
type Limit struct {
	Of     string `json:"of"` // route NAME or service ID
	Name   string `json:"name"`
	Rate   string `json:"rate"`
	Burst  int    `json:"burst"`
	By     string `json:"by"`    // empty: all requests share the limit
	Scope  string `json:"scope"` // node or fleet
	DryRun bool   `json:"dryRun"`
	Text   string `json:"-"`
}

// Step says why one route matches or not. Steps are in the order of precedence.
type Step struct {
	Route   string `json:"route"`
	Matched bool   `json:"matched"`
	Missed  string `json:"missed"` // the first condition that does not hold
	Want    string `json:"want"`
	Got     string `json:"got"`
}

// Reason says in a sentence why the route of a step takes the request or not.
func (r Result) Reason(s Step) string {
	switch {
	case s.Matched && s.Route == r.Route:
		return "takes the request"
	case s.Matched:
		return "route " + r.Route + " goes before it"
	}
	return fmt.Sprintf("%s is %s, want %s", s.Missed, s.Got, s.Want)
}

// Run compares a request with all routes at time now. The error is an *Invalid if the request is none. Another error says that
// a proxy refuses the request, or that the configuration has mistakes.
func Run(t config.Traffic, r Request, now time.Time) (Result, error) {
	req, from, err := r.parse(now)
	if err != nil {
		return Result{}, err
	}
	table, err := config.Routes(t)
	if err != nil {
		return Result{}, err
	}
	out := Result{Request: r.Method + " " + r.URL, Steps: []Step{}, Limits: []Limit{}}
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
		out.Steps = append(out.Steps, Step{Route: s.Rule, Matched: s.Missed == router.None, Missed: s.Missed.String(), Want: s.Want, Got: s.Got})
	}
	return out, nil
}

func (r *Result) addLimits(of string, limits []config.RateLimit) {
	for _, l := range limits {
		r.Limits = append(r.Limits, Limit{
			Of: of, Name: l.Name, Rate: l.Rate.String(), Burst: l.Burst, By: l.By, Scope: cmp.Or(l.Scope, "node"), DryRun: l.DryRun, Text: l.String(),
		})
	}
}

// parse parses the request as a proxy does.
func (r Request) parse(now time.Time) (*h1.Request, router.Peer, error) {
	client, err := netip.ParseAddr(cmp.Or(r.Client, "127.0.0.1"))
	if err != nil {
		return nil, router.Peer{}, invalid("client: %q is no address, want one like 10.0.0.7", r.Client)
	}
	from := router.Peer{Client: client.Unmap().WithZone(""), ServerName: r.ServerName, Listener: r.Listener, At: cmp.Or(r.At, now)}
	host, target, secure, err := splitURL(r.URL)
	if err != nil {
		return nil, from, err
	}
	if name, _, _ := strings.Cut(host, ":"); secure && r.ServerName == "" && !strings.HasPrefix(host, "[") {
		from.ServerName = name
	}
	var fields strings.Builder
	for _, h := range r.Headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || !h1.IsToken(name) || strings.ContainsAny(value, "\r\n") {
			return nil, from, invalid("header: %q: want name:value", h)
		}
		if strings.EqualFold(name, "host") {
			host = strings.TrimSpace(value)
			continue
		}
		fmt.Fprintf(&fields, "%s: %s\r\n", name, strings.TrimSpace(value))
	}
	if strings.ContainsAny(r.Method+target+host, " \r\n") {
		return nil, from, invalid("a method and a URL have neither blanks nor line ends")
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", r.Method, target, cmp.Or(host, "localhost"), fields.String())
	req, lim := new(h1.Request), h1.Limits{Underscores: h1.KeepUnderscores}.WithDefaults()
	n, bad := req.Parse([]byte(head), &lim)
	switch {
	case bad != nil:
		return nil, from, fmt.Errorf("a proxy refuses this request with %d: %s", bad.Status, bad.Reason)
	case n != len(head):
		return nil, from, invalid("%q: no such request", r.Method+" "+r.URL)
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
		return "", "", false, invalid("%q: want a URL such as http://shop.example.com/users, or a path", url)
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
