package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// warnings reports valid settings that have no effect or probably not the intended effect. given reports whether the
// document contains a key.
func (c *checker) warnings(t Traffic, given func(path string) bool) {
	used := map[string]bool{}
	before, everyPath := map[string]string{}, everything(t.Routes)
	underscores := len(t.Listeners) == 0 || slices.ContainsFunc(t.Listeners, func(l Listener) bool { return l.UnderscoreHeaders == "keep" })
	reserved := ReservedHeaders(t.Listeners)
	secure := len(t.Listeners) == 0 || slices.ContainsFunc(t.Listeners, func(l Listener) bool { return l.TLS != nil })
	for i, r := range t.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		used[r.Service] = true
		for _, s := range r.Split {
			used[s.Service] = true
		}
		if r.Mirror != nil {
			used[r.Mirror.Service] = true
		}
		if name, ok := strings.CutPrefix(r.HashOn, "header:"); ok && slices.ContainsFunc(reserved, func(n string) bool { return sameHeader(n, name) }) {
			c.warn(path+".hashOn", "has no effect: the proxy removes %s from what clients send, because clientCertificates names it", name)
		}
		if r.Retry != nil && r.Timeout > 0 && r.Retry.PerTryTimeout >= r.Timeout {
			c.warn(path+".retry.perTryTimeout", "has no effect: the route's timeout of %s ends the request first", r.Timeout)
		}
		if r.Retry != nil {
			c.retries(path+".retry", *r.Retry, given)
		}
		c.shadowed(path, r, before)
		c.overruled(path, r, everyPath)
		c.unmatched(path, r, underscores, reserved)
		c.unusedKeys(path+".rateLimits", r.RateLimits, underscores, reserved)
		if len(r.ServerNames) > 0 && !secure {
			c.warn(path+".serverNames", "never matches: no listener has TLS, so no client sends a server name")
		}
		c.splitTwice(path, r)
	}
	if len(t.Routes) == 0 && slices.ContainsFunc(t.Listeners, func(l Listener) bool { return !l.RedirectToHTTPS }) {
		c.warn("listeners", "there are no routes: every request gets 404")
	}
	c.loops(t)
	c.unreachable(t.Listeners)
	for i, s := range t.Services {
		c.unusedKeys(fmt.Sprintf("services[%d].rateLimits", i), s.RateLimits, underscores, reserved)
		if !used[s.ID] && s.ID != "" {
			c.warn(fmt.Sprintf("services[%d]", i), "no route uses the service %s", s.ID)
		}
	}
}

// unreachable warns about automatic certificates whose challenge no listener answers.
func (c *checker) unreachable(listeners []Listener) {
	if slices.ContainsFunc(listeners, func(l Listener) bool { return l.TLS == nil }) {
		return
	}
	for i, l := range listeners {
		if l.TLS.ACME != nil && l.TLS.ACME.Challenge == certs.HTTP01 {
			c.warn(fmt.Sprintf("listeners[%d].tls.acme.challenge", i), "no listener answers http-01: add a listener without TLS on port 80, or use tls-alpn-01")
		}
	}
}

func hashes(policy string) bool { return policy == "ring_hash" || policy == "maglev" }

// shadowed warns about a route that never gets a request, because earlier routes have the same conditions. before is
// kept between the routes of a document.
func (c *checker) shadowed(path string, r Route, before map[string]string) {
	conditions := fmt.Sprintf("%q %q", routedText(r.Path), conditionTexts(r))
	hosts := hostsOf(r)
	methods := slices.Compact(slices.Sorted(slices.Values(r.Methods)))
	if len(methods) == 0 {
		methods = []string{"*"} // ranks after the routes with methods, so these do not hide it
	}
	if len(hosts)*len(methods) > maxShadow || len(before) > 100*maxShadow {
		return
	}
	by, all := "", true
	for _, h := range hosts {
		for _, m := range methods {
			key := fmt.Sprintf("%q %q %s", h, m, conditions)
			if first, ok := before[key]; ok {
				by = first
				continue
			}
			before[key], all = r.Name, false
		}
	}
	switch {
	case by != "" && all:
		c.warn(path, "never gets a request: route %s before it has the same conditions", by)
	case by != "":
		c.warn(path, "gets no requests for some of its hosts or methods: route %s before it has the same conditions", by)
	}
}

// maxShadow limits the number of hosts times methods of a route that shadowed checks.
const maxShadow = 2000

func hostsOf(r Route) []string {
	if len(r.Hosts) == 0 {
		return []string{"*"}
	}
	hosts := make([]string, len(r.Hosts))
	for i, h := range r.Hosts {
		hosts[i] = strings.TrimSuffix(strings.ToLower(h), ".")
	}
	return hosts
}

// routedText returns a path condition in the spelling that the router compares.
func routedText(p Path) string {
	switch {
	case p.Exact != "":
		return pathText(Path{Exact: routed(p.Exact)})
	case p.Regex != "":
		return pathText(p)
	}
	return "/" + strings.Trim(routed(p.Prefix), "/")
}

// everything maps each host to the route whose regular expression matches every path on that host. Regular expressions
// go before prefixes, whatever their order in the document.
func everything(routes []Route) map[string]string {
	found := map[string]string{}
	for _, r := range routes {
		switch strings.TrimSuffix(strings.TrimPrefix(r.Path.Regex, "^"), "$") {
		case ".*", "/.*", "(.*)", "/(.*)":
		default:
			continue
		}
		if len(r.Methods) > 0 || len(conditionTexts(r)) > 0 {
			continue
		}
		for _, h := range hostsOf(r) {
			if _, ok := found[h]; !ok {
				found[h] = r.Name
			}
		}
	}
	return found
}

// overruled warns about a prefix that is hidden by a regular expression for every path.
func (c *checker) overruled(path string, r Route, everything map[string]string) {
	if r.Path.Exact != "" || r.Path.Regex != "" {
		return
	}
	by := ""
	for _, h := range hostsOf(r) {
		name, ok := everything[h]
		if !ok {
			return
		}
		by = name
	}
	c.warn(path, "never gets a request: the regular expression of route %s matches every path and goes before prefixes", by)
}

// unmatched warns about conditions that no request meets. underscores reports whether a listener passes headers with _
// in their name. reserved are the headers that the proxy removes from requests.
func (c *checker) unmatched(path string, r Route, underscores bool, reserved []string) {
	for i, m := range r.Methods {
		if m == "CONNECT" {
			c.warn(fmt.Sprintf("%s.methods[%d]", path, i), "has no effect: CONNECT is refused with 501")
		}
	}
	for key, p := range map[string]string{"prefix": r.Path.Prefix, "exact": r.Path.Exact} {
		if at := strings.IndexAny(p, "?#"); at >= 0 {
			c.warn(path+".path."+key, "never matches a query or a fragment: routes compare the path, which ends before %q", p[at])
		}
	}
	if r.Path.Regex != "" && !mayBegin(r.Path.Regex, '/') {
		c.warn(path+".path.regex", "never matches: every path starts with / and the expression must match the whole path")
	}
	exact := map[string]string{}
	for i, h := range r.Headers {
		at := fmt.Sprintf("%s.headers[%d]", path, i)
		if strings.Contains(h.Name, "_") && !underscores {
			c.warn(at+".name", "never matches: no listener lets headers with _ in their name through (underscoreHeaders: keep)")
		}
		if slices.ContainsFunc(reserved, func(n string) bool { return sameHeader(n, h.Name) }) {
			c.warn(at+".name", "never matches: the proxy removes %s from what clients send, because clientCertificates names it", h.Name)
		}
		if h.Exact == "" {
			continue
		}
		name := strings.ToLower(h.Name)
		if other, ok := exact[name]; ok && other != h.Exact {
			c.warn(at, "never matches: %s cannot be %q and %q in one request; use one regex, or two routes", h.Name, other, h.Exact)
		}
		exact[name] = h.Exact
	}
}

// loops warns about instances that are listeners of the same node.
func (c *checker) loops(t Traffic) {
	for i, s := range t.Services {
		for j, in := range s.Instances {
			host, _, err := net.SplitHostPort(in.Address)
			if ip := net.ParseIP(listenHost(host)); !upstream.IsUnix(in.Address) && (err != nil || ip == nil || !ip.IsLoopback() && !ip.IsUnspecified()) {
				continue // according to the document, the port belongs to another host
			}
			for k, l := range t.Listeners[:min(len(t.Listeners), 10)] {
				if overlaps(in.Address, l.Address) {
					c.warn(fmt.Sprintf("services[%d].instances[%d].address", i, j), "is %s of listeners[%d].address: the proxy would send requests to itself and refuse them", l.Address, k)
				}
			}
		}
	}
}

// splitTwice warns about a service that occurs in a split more than once.
func (c *checker) splitTwice(path string, r Route) {
	seen := map[string]bool{}
	for i, s := range r.Split {
		if seen[s.Service] {
			c.warn(fmt.Sprintf("%s.split[%d].service", path, i), "%s is in this split already: its weights are added", s.Service)
		}
		seen[s.Service] = true
	}
}

// retries warns about parts of a retry policy without effect.
func (c *checker) retries(path string, r Retry, given func(path string) bool) {
	switch {
	case r.Attempts == 0 && given(path+".on"):
		c.warn(path+".on", "has no effect: attempts is 0")
	case r.Attempts > 0 && len(r.On) == 0:
		c.warn(path+".on", "is empty: nothing is retried")
	}
}

// nodeWarnings warns about node settings without effect.
func (c *checker) nodeWarnings(n Node, given func(path string) bool) {
	t := n.Telemetry
	if given("telemetry.sampleRate") && t.SampleRate > 0 && (t.DecisionSample == 0 || t.DecisionSample == 1) {
		c.warn("telemetry.sampleRate", "has no effect with a decisionSample of %v", t.DecisionSample)
	}
	for _, k := range []string{"protocol", "sample", "headers", "ca", "timeout"} {
		if at := "telemetry.tracing." + k; !t.Tracing.On() && given(at) {
			c.warn(at, "has no effect without an endpoint")
		}
		if at := "telemetry.logs." + k; !t.Logs.On() && given(at) {
			c.warn(at, "has no effect without an endpoint")
		}
	}
	if s := n.Kafka.SASL; s.Mechanism != "" {
		for _, k := range s.Unused() {
			c.warn("kafka.sasl."+k, "has no effect with the mechanism %s", s.Mechanism)
		}
	}
}

func (c *checker) warn(path, format string, args ...any) {
	if c.warned.full() {
		return
	}
	c.warned = append(c.warned, newMistake(c.line(path), path, format, args))
}

// overlaps reports whether one process cannot listen on both addresses: they have the same port, and the same host or a
// host that stands for all hosts.
func overlaps(a, b string) bool {
	if upstream.IsUnix(a) {
		return a == b
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return listenHost(hostA) == listenHost(hostB) || everyHost(hostA) || everyHost(hostB)
}

func everyHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// sameAddress normalizes the spelling of a host:port.
func sameAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || upstream.IsUnix(address) {
		return address
	}
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}

func listenHost(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.String()
	}
	return strings.ToLower(host)
}

// open warns about an address with which a node refuses to start, because clients on other machines can reach it
// without credentials.
func (c *checker) open(path, address string, credentials bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || credentials {
		return
	}
	if ip := net.ParseIP(host); strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback() {
		return
	}
	c.warn(path, "%s can be reached from other machines and nothing asks for credentials: a node refuses to start with it, except with --insecure-listen", address)
}

// listening warns about addresses that one process cannot open together. It is not a mistake: flags may replace the
// addresses, and a node without the role does not open them.
func (c *checker) listening(d Document) {
	type place struct{ path, address string }
	var listeners []place
	for i, l := range d.Listeners {
		listeners = append(listeners, place{fmt.Sprintf("listeners[%d].address", i), l.Address})
	}
	c.open("console.address", d.Console.Address, len(d.Console.Users) > 0 || d.Console.OIDC.Issuer != "")
	c.open("admin.address", d.Admin.Address, len(d.Console.Users) > 0 || d.Console.OIDC.Issuer != "" || d.Admin.Token != "")
	c.open("scaler.address", d.Scaler.Address, d.Scaler.TLS.ClientCA != "")
	if d.Telemetry.OTLP.Address != "" {
		c.open("telemetry.otlp.address", d.Telemetry.OTLP.Address, d.Telemetry.OTLP.Token != "")
	}
	admin, console, scaler := place{"admin.address", d.Admin.Address}, place{"console.address", d.Console.Address}, place{"scaler.address", d.Scaler.Address}
	for _, p := range []place{admin, console, scaler} {
		for _, other := range append(slices.Clone(listeners), admin, console) {
			if p == other {
				break
			}
			if overlaps(p.address, other.address) {
				c.warn(p.path, "%s conflicts with %s of %s in the same process", p.address, other.address, other.path)
				break
			}
		}
	}
}
