package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/picker"
)

// warnings finds what is valid and has no effect, or hardly the one that was
// meant. given reports whether a key stands in the document.
func (c *checker) warnings(t Traffic, given func(path string) bool) {
	policies := map[string]string{}
	used := map[string]bool{}
	for i, s := range t.Services {
		policies[s.ID] = s.Policy
		if path := fmt.Sprintf("services[%d].slowStart", i); given(path) && s.SlowStart > 0 && !picker.RampsUp(s.Policy) {
			c.warn(path, "has no effect with the policy %s, which has no slow start", s.Policy)
		}
	}
	before := map[string]string{}
	for i, r := range t.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		hashed := policies[r.Service] != "" && hashes(policies[r.Service])
		used[r.Service] = true
		for _, s := range r.Split {
			used[s.Service] = true
			hashed = hashed || hashes(policies[s.Service])
		}
		if r.HashOn != "" && !hashed {
			c.warn(path+".hashOn", "has no effect: no service of this route has the policy ring_hash or maglev")
		}
		if r.Retry != nil && r.Timeout > 0 && r.Retry.PerTryTimeout >= r.Timeout {
			c.warn(path+".retry.perTryTimeout", "has no effect: the route's timeout of %s ends the request first", r.Timeout)
		}
		c.shadowed(path, r, before)
	}
	for i, s := range t.Services {
		if !used[s.ID] && s.ID != "" {
			c.warn(fmt.Sprintf("services[%d]", i), "no route uses the service %s", s.ID)
		}
	}
}

func hashes(policy string) bool { return policy == "ring_hash" || policy == "maglev" }

// shadowed warns of a route that never gets a request, because an earlier one
// has the same conditions. before is kept between the routes of a document.
func (c *checker) shadowed(path string, r Route, before map[string]string) {
	hosts := r.Hosts
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	methods := slices.Sorted(slices.Values(r.Methods))
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = fmt.Sprintf("%q=%q~%q", strings.ToLower(h.Name), h.Exact, h.Regex)
	}
	slices.Sort(headers)
	by, all := "", true
	for _, h := range hosts {
		key := fmt.Sprintf("%q %q %q %q", strings.ToLower(h), pathText(r.Path), methods, headers)
		if first, ok := before[key]; ok {
			by = first
			continue
		}
		before[key], all = r.Name, false
	}
	switch {
	case by != "" && all:
		c.warn(path, "never gets a request: route %s before it has the same conditions", by)
	case by != "":
		c.warn(path, "gets no requests for some of its hosts: route %s before it has the same conditions", by)
	}
}

func (c *checker) warn(path, format string, args ...any) {
	if c.warned.full() {
		return
	}
	c.warned = append(c.warned, Mistake{Line: c.line(path), Path: path, Text: fmt.Sprintf(format, args...)})
}

// overlaps reports whether two addresses cannot be listened on together: the
// same port, and the same host or one that stands for all.
func overlaps(a, b string) bool {
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

func listenHost(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.String()
	}
	return strings.ToLower(host)
}

// listening warns of addresses that one process cannot open together. It is no
// mistake: flags may replace them, and a node without the role opens none.
func (c *checker) listening(d Document) {
	type place struct{ path, address string }
	var listeners []place
	for i, l := range d.Listeners {
		listeners = append(listeners, place{fmt.Sprintf("listeners[%d].address", i), l.Address})
	}
	admin, console := place{"admin.address", d.Admin.Address}, place{"console.address", d.Console.Address}
	for _, p := range []place{admin, console} {
		for _, other := range append(slices.Clone(listeners), admin) {
			if p == other {
				break
			}
			if overlaps(p.address, other.address) {
				c.warn(p.path, "%s cannot be opened beside %s of %s in one process", p.address, other.address, other.path)
				break
			}
		}
	}
}
