package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// maxEdits limits the headers that a route writes or removes in one direction, because each field of a head is compared
// with all of them. maxEditBytes limits their values.
const (
	maxEdits     = 100
	maxEditBytes = 16 << 10
)

// actions checks what a route does to requests and responses. reserved are the headers with which listeners describe
// client certificates.
func (c *checker) actions(path string, r Route, reserved []string) {
	c.edits(path+".requestHeaders", r.RequestHeaders, reserved)
	c.edits(path+".responseHeaders", r.ResponseHeaders, nil)
	if w := r.Rewrite; w != nil {
		at := path + ".rewrite"
		if w.Host != "" && !h1.IsAuthority(w.Host) {
			c.fail(at+".host", "%q: want a name or an address, with a port if it needs one%s", w.Host, punycode(w.Host))
		}
		if *w == (Rewrite{}) {
			c.fail(at, "is empty: want host, path, prefix or regex")
		}
		c.pathEdit(at, w.PathEdit, r.Path)
	}
	if r.Fault != nil {
		c.fault(path+".fault", *r.Fault)
	}
	if r.Redirect != nil {
		c.routeRedirect(path+".redirect", *r.Redirect, r.Path)
	}
	if r.Response != nil {
		c.response(path+".response", *r.Response)
	}
	c.unused(path, r)
}

// unused refuses keys that have no effect because the route asks no instance.
func (c *checker) unused(path string, r Route) {
	kind := "redirect"
	switch {
	case r.Service != "" || len(r.Split) > 0, r.Redirect == nil && r.Response == nil:
		return
	case r.Redirect == nil:
		kind = "response"
	}
	for _, key := range []string{"timeout", "streamTimeout", "retry", "hedge", "mirror", "hashOn", "requestHeaders", "rewrite", "jwt.claims", "forwardAuth.authResponseHeaders", "fault"} {
		if _, given := c.at[path+"."+key]; given {
			c.fail(path+"."+key, "has no effect: a route with %s asks no instance", kind)
		}
	}
}

func (c *checker) edits(path string, e HeaderEdits, reserved []string) {
	c.headerEdits(path, ".set", e, reserved)
}

// headerEdits checks edits whose headers to set are at the key set.
func (c *checker) headerEdits(path, set string, e HeaderEdits, reserved []string) {
	if n := len(e.Set) + len(e.Add) + len(e.Remove); n > maxEdits {
		c.fail(path, "%d headers are more than %d", n, maxEdits)
		return
	}
	seen, bytes := map[string]string{}, 0
	name := func(at, name string) {
		if err := action.CheckName(name); err != nil {
			c.fail(at, "%v", err)
		} else if slices.ContainsFunc(reserved, func(n string) bool { return sameHeader(n, name) }) {
			c.fail(at, "%s: clientCertificates of a listener writes this header", name)
		}
		lower := strings.ToLower(name)
		if before, dup := seen[lower]; dup {
			c.fail(at, "%s is already at %s", name, before)
		}
		seen[lower] = at
	}
	for _, part := range []struct {
		key    string
		values map[string]string
	}{{set, e.Set}, {".add", e.Add}} {
		for _, n := range slices.Sorted(maps.Keys(part.values)) {
			at := path + part.key + "." + n
			name(at, n)
			c.headerValue(at, part.values[n])
			bytes += len(n) + len(part.values[n])
		}
	}
	for i, n := range e.Remove {
		name(fmt.Sprintf("%s.remove[%d]", path, i), n)
	}
	if bytes > maxEditBytes {
		c.fail(path, "names and values have %d bytes, at most %d are possible", bytes, maxEditBytes)
	}
}

func (c *checker) headerValue(path, value string) {
	if value == "" {
		c.fail(path, "the value is empty; to remove a header, use remove")
	} else if _, err := action.CheckValue(value); err != nil {
		c.fail(path, "%v", err)
	}
}

// pathEdit checks an edit of the path of a route with the condition of.
func (c *checker) pathEdit(path string, e PathEdit, of Path) {
	kinds := 0
	for _, p := range []string{e.Path, e.Prefix, e.Regex} {
		if p != "" {
			kinds++
		}
	}
	if kinds > 1 {
		c.fail(path, "want one of path, prefix, regex, not several")
		return
	}
	if e.Prefix != "" && (of.Exact != "" || of.Regex != "") {
		c.fail(path+".prefix", "the route has no path.prefix that it could replace; use path or regex")
	}
	if (e.Regex == "") != (e.Replace == "") {
		c.fail(path+".replace", "regex and replace need each other")
		return
	}
	if len(e.Replace) > maxPatternBytes {
		c.fail(path+".replace", "longer than %d bytes", maxPatternBytes)
		return
	}
	if !c.regex(path+".regex", e.Regex) {
		return
	}
	if _, err := compilePath(e, Path{Prefix: validPrefix(of.Prefix)}); err != nil {
		c.fail(path+"."+pathKey(e), "%v", err)
	}
}

// validPrefix returns the prefix, "" for one that is reported elsewhere.
func validPrefix(prefix string) string {
	if _, err := h1.RoutePath(prefix); err != nil || !strings.HasPrefix(prefix, "/") {
		return ""
	}
	return prefix
}

func pathKey(e PathEdit) string {
	switch {
	case e.Path != "":
		return "path"
	case e.Prefix != "":
		return "prefix"
	}
	return "replace"
}

func (c *checker) routeRedirect(path string, r Redirect, of Path) {
	c.oneOf(path+".scheme", r.Scheme, "http", "https")
	if r.Host != "" && (!h1.IsAuthority(r.Host) || hasPort(r.Host)) {
		c.fail(path+".host", "%q: want a name or an address, without port%s", r.Host, punycode(r.Host))
	}
	if r.Port < 0 || r.Port > 65535 {
		c.fail(path+".port", "want 1 to 65535, got %d", r.Port)
	}
	if !slices.Contains(action.RedirectStatuses, r.Code) {
		c.fail(path+".code", "want 301, 302, 303, 307 or 308, got %d", r.Code)
	}
	if r.Scheme == "" && r.Host == "" && r.Port == 0 && r.PathEdit == (PathEdit{}) {
		c.fail(path, "leads back to the request: want scheme, host, port, path, prefix or regex")
	}
	c.pathEdit(path, r.PathEdit, of)
}

// hasPort reports whether a host has a port; an IPv6 address stands in brackets.
func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}

func (c *checker) response(path string, r Response) {
	if r.Status < 200 || r.Status > 599 {
		c.fail(path+".status", "want 200 to 599, got %d", r.Status)
	}
	c.body(path, r.Headers, r.Body, r.File)
	if (r.Body != "" || r.File != "") && !action.HasBody(r.Status) && r.Status >= 200 {
		c.fail(path+".status", "a response with the status %d has no body", r.Status)
	}
}

// body checks the headers and the body of a response of the proxy.
func (c *checker) body(path string, headers map[string]string, body, file string) {
	c.headerEdits(path+".headers", "", HeaderEdits{Set: headers}, nil)
	switch {
	case body != "" && file != "":
		c.fail(path+".file", "body and file exclude each other")
	case len(body) > action.MaxBody:
		c.fail(path+".body", "the body has %d bytes, at most %d are possible; use file", len(body), action.MaxBody)
	}
	if file != "" {
		if err := checkPage(file); err != nil {
			c.fail(path+".file", "%v", err)
		}
	}
}

// maxErrorPages is above the number of statuses that the proxy sends.
const maxErrorPages = 50

func (c *checker) errorPages(path string, pages []ErrorPage) {
	seen := map[int]string{}
	for i, p := range bounded(c, path, "pages", pages, maxErrorPages) {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(p.Statuses) == 0 {
			c.fail(at+".statuses", "missing: want statuses such as [502, 503, 504]")
		}
		for j, status := range p.Statuses {
			key := fmt.Sprintf("%s.statuses[%d]", at, j)
			before, dup := seen[status]
			switch {
			case status < 400 || status > 599:
				c.fail(key, "want 400 to 599, got %d", status)
			case dup:
				c.fail(key, "%d is already at %s", status, before)
			}
			seen[status] = key
		}
		if p.Body == "" && p.File == "" {
			c.fail(at+".body", "is empty: want body or file")
		}
		c.body(at, p.Headers, p.Body, p.File)
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
