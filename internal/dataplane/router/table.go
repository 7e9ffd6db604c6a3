package router

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// Head is the part of a request that a rule can use. Host may have a port and upper-case letters. Path is canonical and
// starts with '/'.
type Head interface {
	Method() []byte
	Host() []byte
	Path() []byte
	Header(name string) (value []byte, ok bool)
}

// PathKind says how a rule compares the path.
type PathKind uint8

// The kinds, most specific first.
const (
	Exact  PathKind = iota // the whole path
	Regex                  // RE2, must match the whole path
	Prefix                 // whole path elements: /users matches /users and /users/1, not /usersx
)

// Header is one condition on a request header. Name is compared without regard to case. If Value and Pattern are both
// empty, the header only has to be present.
type Header struct {
	Name    string
	Value   string // exact
	Pattern string // RE2, whole value
}

// Rule maps matching requests to Value.
type Rule[T any] struct {
	Name    string
	Hosts   []string // exact or *.example.com; empty: any
	Kind    PathKind
	Path    string   // empty: prefix /
	Methods []string // empty: any
	Headers []Header // all must match
	Value   T
}

type header struct {
	name    string
	value   []byte
	pattern *regexp.Regexp
}

type rule[T any] struct {
	methods []string
	headers []header
	order   int
	value   T
}

type regexRule[T any] struct {
	pattern *regexp.Regexp
	source  string
	rule    *rule[T]
}

// paths are the rules of one host pattern.
type paths[T any] struct {
	exact    map[string][]*rule[T]
	regex    []regexRule[T]
	prefix   map[string][]*rule[T] // without trailing slash; "" is /
	longest  int
	nonempty bool
}

// Table is a compiled set of rules.
type Table[T any] struct {
	hosts    map[string]*paths[T] // exact host
	suffixes map[string]*paths[T] // "*.example.com" under ".example.com"
	any      paths[T]
	rules    int
}

const maxHost = 255 // RFC 1035 §2.3.4

// Compile builds a table. It reports all mistakes, each with the name of its rule.
func Compile[T any](rules []Rule[T]) (*Table[T], error) {
	t := &Table[T]{hosts: map[string]*paths[T]{}, suffixes: map[string]*paths[T]{}, rules: len(rules)}
	var errs []error
	for i, r := range rules {
		compiled, err := compileRule(r, i)
		if err != nil {
			errs = append(errs, fmt.Errorf("route %q: %w", r.Name, err))
			continue
		}
		for _, p := range t.pathsOf(r.Hosts, &errs, r.Name) {
			if err := p.add(r.Kind, r.Path, compiled); err != nil {
				errs = append(errs, fmt.Errorf("route %q: %w", r.Name, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, p := range t.hosts {
		p.sort()
	}
	for _, p := range t.suffixes {
		p.sort()
	}
	t.any.sort()
	return t, nil
}

// Len returns the number of rules.
func (t *Table[T]) Len() int { return t.rules }

func compileRule[T any](r Rule[T], order int) (*rule[T], error) {
	c := &rule[T]{methods: r.Methods, order: order, value: r.Value}
	for _, h := range r.Headers {
		switch {
		case h.Name == "":
			return nil, errors.New("header rule without a name")
		case h.Value != "" && h.Pattern != "":
			return nil, fmt.Errorf("header %s: exact and regex exclude each other", h.Name)
		case h.Pattern != "":
			re, err := regexp.Compile("^(?:" + h.Pattern + ")$")
			if err != nil {
				return nil, fmt.Errorf("header %s: %w", h.Name, err)
			}
			c.headers = append(c.headers, header{name: h.Name, pattern: re})
		default:
			c.headers = append(c.headers, header{name: h.Name, value: []byte(h.Value)})
		}
	}
	return c, nil
}

func (t *Table[T]) pathsOf(hosts []string, errs *[]error, name string) []*paths[T] {
	if len(hosts) == 0 {
		return []*paths[T]{&t.any}
	}
	var out []*paths[T]
	for _, h := range hosts {
		h = strings.TrimSuffix(strings.ToLower(h), ".") // as normalHost returns it
		into, key := t.hosts, h
		if rest, wild := strings.CutPrefix(h, "*"); wild {
			into, key = t.suffixes, rest
		}
		if key == "" || len(h) > maxHost || strings.ContainsAny(key, "*/:@ ") || (h[0] == '*' && key[0] != '.') {
			*errs = append(*errs, fmt.Errorf("route %q: host %q: want a name like api.example.com or *.example.com, without port", name, h))
			continue
		}
		p := into[key]
		if p == nil {
			p = &paths[T]{}
			into[key] = p
		}
		out = append(out, p)
	}
	return out
}

func (p *paths[T]) add(kind PathKind, path string, r *rule[T]) error {
	p.nonempty = true
	if path == "" {
		kind, path = Prefix, "/"
	}
	if path[0] != '/' && kind != Regex {
		return fmt.Errorf("path %q: must start with /", path)
	}
	switch kind {
	case Exact:
		if p.exact == nil {
			p.exact = map[string][]*rule[T]{}
		}
		p.exact[path] = append(p.exact[path], r)
	case Regex:
		re, err := regexp.Compile("^(?:" + path + ")$")
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		p.regex = append(p.regex, regexRule[T]{pattern: re, source: path, rule: r})
	case Prefix:
		path = strings.TrimRight(path, "/")
		if p.prefix == nil {
			p.prefix = map[string][]*rule[T]{}
		}
		p.prefix[path] = append(p.prefix[path], r)
		p.longest = max(p.longest, len(path))
	default:
		return fmt.Errorf("path kind %d unknown", kind)
	}
	return nil
}

// sort orders rules with equal paths: first rules with a method match, then rules with more headers, then the
// document's order. It orders the regular expressions by length.
func (p *paths[T]) sort() {
	for _, set := range []map[string][]*rule[T]{p.exact, p.prefix} {
		for _, rules := range set {
			slices.SortFunc(rules, compare[T])
		}
	}
	sort.SliceStable(p.regex, func(i, j int) bool {
		a, b := p.regex[i], p.regex[j]
		if len(a.source) != len(b.source) {
			return len(a.source) > len(b.source)
		}
		return compare(a.rule, b.rule) < 0
	})
}

func compare[T any](a, b *rule[T]) int {
	if am, bm := len(a.methods) > 0, len(b.methods) > 0; am != bm {
		if am {
			return -1
		}
		return 1
	}
	if d := len(b.headers) - len(a.headers); d != 0 {
		return d
	}
	return a.order - b.order
}

// Match returns the value of the best rule for a request.
func (t *Table[T]) Match(h Head) (value T, ok bool) {
	if len(t.hosts) > 0 || len(t.suffixes) > 0 {
		var space [maxHost]byte
		host := normalHost(space[:0], h.Host())
		if p := t.hosts[string(host)]; p != nil {
			if r := p.match(h); r != nil {
				return r.value, true
			}
		}
		if len(t.suffixes) > 0 {
			for rest := host; ; {
				dot := bytes.IndexByte(rest, '.')
				if dot < 0 {
					break
				}
				if p := t.suffixes[string(rest[dot:])]; p != nil && dot > 0 {
					if r := p.match(h); r != nil {
						return r.value, true
					}
				}
				rest = rest[dot+1:]
			}
		}
	}
	if r := t.any.match(h); r != nil {
		return r.value, true
	}
	return value, false
}

// normalHost converts to lower case and removes the port and a trailing dot. A host longer than a DNS name matches only
// rules without a host.
func normalHost(dst, host []byte) []byte {
	if len(host) > 0 && host[0] == '[' { // IPv6 literal
		if end := bytes.IndexByte(host, ']'); end > 0 {
			host = host[:end+1]
		}
	} else if colon := bytes.LastIndexByte(host, ':'); colon >= 0 {
		host = host[:colon]
	}
	if len(host) > maxHost {
		return dst[:0]
	}
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return bytes.TrimSuffix(dst, []byte{'.'})
}

func (p *paths[T]) match(h Head) *rule[T] {
	if !p.nonempty {
		return nil
	}
	path := h.Path()
	if len(p.exact) > 0 {
		if r := first(p.exact[string(path)], h); r != nil {
			return r
		}
	}
	for i := range p.regex {
		if re := &p.regex[i]; re.pattern.Match(path) && re.rule.holds(h) {
			return re.rule
		}
	}
	if p.prefix == nil {
		return nil
	}
	// Walk from the longest element boundary down to the root.
	end := len(path)
	for end > 0 && path[end-1] == '/' {
		end--
	}
	for {
		if end <= p.longest {
			if r := first(p.prefix[string(path[:end])], h); r != nil {
				return r
			}
		}
		if end == 0 {
			return nil
		}
		end = bytes.LastIndexByte(path[:end], '/')
		for end > 0 && path[end-1] == '/' {
			end--
		}
		if end < 0 {
			return nil
		}
	}
}

func first[T any](rules []*rule[T], h Head) *rule[T] {
	for _, r := range rules {
		if r.holds(h) {
			return r
		}
	}
	return nil
}

func (r *rule[T]) holds(h Head) bool {
	if len(r.methods) > 0 {
		m, found := h.Method(), false
		for _, want := range r.methods {
			if string(m) == want {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	for i := range r.headers {
		v, ok := h.Header(r.headers[i].name)
		switch want := &r.headers[i]; {
		case !ok:
			return false
		case want.pattern != nil:
			if !want.pattern.Match(v) {
				return false
			}
		case len(want.value) > 0 && !bytes.Equal(v, want.value):
			return false
		}
	}
	return true
}
