package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxConditions limits the conditions of one kind of a route, and maxClients its networks, because a request is compared
// with each.
const (
	maxConditions = 100
	maxClients    = 1000
)

// conditions checks the conditions of a route on headers, query, cookies and the connection. listeners has the names of the
// document's listeners.
func (c *checker) conditions(path string, r Route, listeners map[string]string) {
	for i, h := range bounded(c, path+".headers", "conditions", r.Headers, maxConditions) {
		at := fmt.Sprintf("%s.headers[%d]", path, i)
		c.token(at+".name", "header", h.Name)
		if strings.ContainsAny(h.Exact, "\r\n\x00") || strings.Trim(h.Exact, " \t") != h.Exact {
			c.fail(at+".exact", "%q: no header has this value: values have neither line ends nor blanks around them", h.Exact)
		}
		c.exactOrRegex(at, h.Exact, h.Regex)
	}
	for i, q := range bounded(c, path+".queryParams", "conditions", r.QueryParams, maxConditions) {
		at := fmt.Sprintf("%s.queryParams[%d]", path, i)
		if q.Name == "" {
			c.fail(at+".name", "missing")
		}
		c.exactOrRegex(at, q.Exact, q.Regex)
	}
	for i, k := range bounded(c, path+".cookies", "conditions", r.Cookies, maxConditions) {
		at := fmt.Sprintf("%s.cookies[%d]", path, i)
		c.token(at+".name", "cookie", k.Name)
		if strings.ContainsAny(k.Exact, "\r\n\x00;") || strings.Trim(k.Exact, " \t") != k.Exact {
			c.fail(at+".exact", "%q: no cookie has this value: values have neither line ends nor semicolons, and no blanks around them", k.Exact)
		}
		c.exactOrRegex(at, k.Exact, k.Regex)
	}
	for i, name := range bounded(c, path+".serverNames", "conditions", r.ServerNames, maxConditions) {
		plain := strings.TrimPrefix(name, "*.")
		if plain == "" || strings.Contains(plain, ":") || !hostPattern.MatchString(plain) {
			c.fail(fmt.Sprintf("%s.serverNames[%d]", path, i), "%q: want a name like api.example.com or *.example.com%s", name, punycode(name))
		}
	}
	bounded(c, path+".clients", "conditions", r.Clients, maxClients)
	c.hours(path+".hours", r.Hours)
	for i, name := range bounded(c, path+".listeners", "conditions", r.Listeners, maxConditions) {
		if _, ok := listeners[name]; !ok && len(listeners) > 0 {
			c.fail(fmt.Sprintf("%s.listeners[%d]", path, i), "there is no listener %q", name)
		}
	}
}

// bounded returns the first items of a list of what, such as "headers", at most most. More items are a mistake.
func bounded[T any](c *checker, path, what string, list []T, most int) []T {
	if len(list) > most {
		c.fail(path, "%d %s are more than %d", len(list), what, most)
	}
	return list[:min(len(list), most)]
}

func (c *checker) token(path, what, name string) {
	switch {
	case name == "":
		c.fail(path, "missing")
	case !tokenPattern.MatchString(name):
		c.fail(path, "%q: the name of a %s has no such character", name, what)
	}
}

func (c *checker) exactOrRegex(path, exact, regex string) {
	if exact != "" && regex != "" {
		c.fail(path, "exact and regex exclude each other")
	}
	c.regex(path+".regex", regex)
}

// conditionTexts returns a text for each condition of a route other than host, path and method. Routes with the same texts
// have the same conditions.
func conditionTexts(r Route) (out []string) {
	for _, h := range r.Headers {
		out = append(out, fmt.Sprintf("header %q=%q~%q", strings.ToLower(h.Name), h.Exact, h.Regex))
	}
	for _, q := range r.QueryParams {
		out = append(out, fmt.Sprintf("query %q=%q~%q", q.Name, q.Exact, q.Regex))
	}
	for _, k := range r.Cookies {
		out = append(out, fmt.Sprintf("cookie %q=%q~%q", k.Name, k.Exact, k.Regex))
	}
	if len(r.ServerNames) > 0 {
		names := slices.Sorted(slices.Values(r.ServerNames))
		out = append(out, strings.ToLower(fmt.Sprintf("names %q", names)))
	}
	if len(r.Clients) > 0 {
		nets := make([]string, len(r.Clients))
		for i, p := range r.Clients {
			nets[i] = p.Masked().String()
		}
		slices.Sort(nets)
		out = append(out, fmt.Sprintf("clients %s", nets))
	}
	if len(r.Listeners) > 0 {
		out = append(out, fmt.Sprintf("listeners %q", slices.Sorted(slices.Values(r.Listeners))))
	}
	for _, h := range r.Hours {
		out = append(out, "hours "+h.text())
	}
	slices.Sort(out)
	return out
}
