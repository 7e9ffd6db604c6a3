package router

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// paths are the rules of one host pattern.
type paths[T any] struct {
	exact    map[string][]*rule[T]
	regex    []*rule[T]
	prefix   map[string][]*rule[T] // without trailing slash; "" is /
	longest  int
	nonempty bool
}

// Table is a compiled set of rules.
type Table[T any] struct {
	hosts    map[string]*paths[T] // exact host
	suffixes map[string]*paths[T] // "*.example.com" under ".example.com"
	any      paths[T]
	rules    []*rule[T] // in the order of the document
	timed    bool
}

const maxHost = 255 // RFC 1035 §2.3.4

// Compile builds a table. It reports all mistakes, each with the name of its rule.
func Compile[T any](rules []Rule[T]) (*Table[T], error) {
	t := &Table[T]{hosts: map[string]*paths[T]{}, suffixes: map[string]*paths[T]{}}
	var errs []error
	for i, r := range rules {
		compiled, err := compileRule(r, i)
		if err != nil {
			errs = append(errs, fmt.Errorf("route %q: %w", r.Name, err))
			continue
		}
		t.rules = append(t.rules, compiled)
		t.timed = t.timed || len(r.Hours) > 0
		for _, p := range t.pathsOf(r.Hosts, &errs, r.Name) {
			p.add(compiled)
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

// Timed reports whether a rule depends on the time, so that Match and Explain need Peer.At.
func (t *Table[T]) Timed() bool { return t.timed }

// Len returns the number of rules.
func (t *Table[T]) Len() int { return len(t.rules) }

func (t *Table[T]) pathsOf(hosts []string, errs *[]error, name string) []*paths[T] {
	if len(hosts) == 0 {
		return []*paths[T]{&t.any}
	}
	var out []*paths[T]
	for _, h := range hosts {
		h = canonicalHost(h)
		if !validHost(h) {
			*errs = append(*errs, fmt.Errorf("route %q: host %q: want a name like api.example.com or *.example.com, without port", name, h))
			continue
		}
		into, key := t.hosts, h
		if rest, wild := strings.CutPrefix(h, "*"); wild {
			into, key = t.suffixes, rest
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

// canonicalHost returns a host pattern as normalHost returns a host.
func canonicalHost(h string) string { return strings.TrimSuffix(strings.ToLower(h), ".") }

// validHost accepts api.example.com and *.example.com.
func validHost(h string) bool {
	key, wild := strings.CutPrefix(h, "*")
	return key != "" && len(h) <= maxHost && !strings.ContainsAny(key, "*/:@ ") && (!wild || key[0] == '.')
}

func (p *paths[T]) add(r *rule[T]) {
	p.nonempty = true
	switch r.kind {
	case Exact:
		if p.exact == nil {
			p.exact = map[string][]*rule[T]{}
		}
		p.exact[r.path] = append(p.exact[r.path], r)
	case Regex:
		p.regex = append(p.regex, r)
	case Prefix:
		if p.prefix == nil {
			p.prefix = map[string][]*rule[T]{}
		}
		p.prefix[r.path] = append(p.prefix[r.path], r)
		p.longest = max(p.longest, len(r.path))
	}
}

// sort orders rules with equal paths, and the regular expressions by length.
func (p *paths[T]) sort() {
	for _, set := range []map[string][]*rule[T]{p.exact, p.prefix} {
		for _, rules := range set {
			slices.SortFunc(rules, compare[T])
		}
	}
	slices.SortFunc(p.regex, comparePaths[T])
}

// comparePaths orders the rules of one host: exact paths, then regular expressions, the longest first, then prefixes, the
// longest first, then as compare does.
func comparePaths[T any](a, b *rule[T]) int {
	switch {
	case a.kind != b.kind:
		return int(a.kind) - int(b.kind)
	case a.kind != Exact && len(a.path) != len(b.path):
		return len(b.path) - len(a.path)
	}
	return compare(a, b)
}

// Match returns the value of the best rule for a request.
func (t *Table[T]) Match(h Head, from Peer) (value T, ok bool) {
	if r := t.find(h, from); r != nil {
		return r.value, true
	}
	return value, false
}

func (t *Table[T]) find(h Head, from Peer) *rule[T] {
	if len(t.hosts) > 0 || len(t.suffixes) > 0 {
		var space [maxHost]byte
		host := normalHost(space[:0], h.Host())
		if p := t.hosts[string(host)]; p != nil {
			if r := p.match(h, from); r != nil {
				return r
			}
		}
		if r := t.findSuffix(host, h, from); r != nil {
			return r
		}
	}
	return t.any.match(h, from)
}

// findSuffix looks among the wildcards, the longest first.
func (t *Table[T]) findSuffix(host []byte, h Head, from Peer) *rule[T] {
	if len(t.suffixes) == 0 {
		return nil
	}
	for rest := host; ; {
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 {
			return nil
		}
		if p := t.suffixes[string(rest[dot:])]; p != nil && dot > 0 {
			if r := p.match(h, from); r != nil {
				return r
			}
		}
		rest = rest[dot+1:]
	}
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

func (p *paths[T]) match(h Head, from Peer) *rule[T] {
	if !p.nonempty {
		return nil
	}
	path := h.Path()
	if len(p.exact) > 0 {
		if r := first(p.exact[string(path)], h, from); r != nil {
			return r
		}
	}
	for _, r := range p.regex {
		if r.pattern.Match(path) && r.holds(h, from) {
			return r
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
			if r := first(p.prefix[string(path[:end])], h, from); r != nil {
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

func first[T any](rules []*rule[T], h Head, from Peer) *rule[T] {
	for _, r := range rules {
		if r.holds(h, from) {
			return r
		}
	}
	return nil
}

func (r *rule[T]) holds(h Head, from Peer) bool {
	c, _ := r.miss(h, from)
	return c == None
}
