package router

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Head is the part of a request that a rule can use. Host may have a port and upper-case letters. Path is canonical and
// starts with '/'. Query is unchanged, nil if there is none.
type Head interface {
	Method() []byte
	Host() []byte
	Path() []byte
	Query() []byte
	Header(name string) (value []byte, ok bool)
	Cookie(name string) (value []byte, ok bool)
}

// Peer is the part of a connection that a rule can use.
type Peer struct {
	Client     netip.Addr // unmapped
	ServerName string     // of the TLS handshake, in any case; empty: none
	Listener   string     // name of the listener
	At         time.Time  // when the request came; only needed if the table is Timed
}

// PathKind says how a rule compares the path.
type PathKind uint8

// The kinds, most specific first.
const (
	Exact  PathKind = iota // the whole path
	Regex                  // RE2, must match the whole path
	Prefix                 // whole path elements: /users matches /users and /users/1, not /usersx
)

// Pair is a condition on a header, a query parameter or a cookie. The name of a header is compared without regard to case.
// If Value and Pattern are both empty, it only has to be present.
type Pair struct {
	Name    string
	Value   string // exact
	Pattern string // RE2, whole value
}

// Rule maps matching requests to Value.
type Rule[T any] struct {
	Name        string
	Hosts       []string // exact or *.example.com; empty: any
	Kind        PathKind
	Path        string         // empty: prefix /
	Methods     []string       // empty: any
	Headers     []Pair         // all must match
	Query       []Pair         // all must match; of a parameter that occurs more than once, the first one counts
	Cookies     []Pair         // all must match
	ServerNames []string       // exact or *.example.com, one must match; empty: any, and none
	Clients     []netip.Prefix // one must contain the client; empty: any
	Listeners   []string       // names, one must match; empty: any
	Hours       []Hours        // one must contain the time; empty: always
	Value       T
}

// Condition is a kind of condition of a rule.
type Condition uint8

// The conditions, in the order in which they are compared. None stands for a rule that matches.
const (
	None Condition = iota
	OnHost
	OnPath
	OnMethod
	OnHeader
	OnQuery
	OnCookie
	OnServerName
	OnClient
	OnListener
	OnHours
)

var conditionWords = [...]string{"", "host", "path", "method", "header", "query parameter", "cookie", "server name", "client", "listener", "time"}

func (c Condition) String() string { return conditionWords[c] }

// rule is a compiled rule.
type rule[T any] struct {
	name                    string
	hosts                   []string // as written
	kind                    PathKind
	path                    string         // in the form of a key of paths; the source of a regular expression
	pattern                 *regexp.Regexp // of a path
	methods                 []string
	headers, query, cookies []pair
	serverNames             []string // in lower case
	clients                 []netip.Prefix
	listeners               []string
	hours                   []Hours
	order                   int
	value                   T
}

type pair struct {
	name, text string
	value      []byte
	pattern    *regexp.Regexp
}

func compileRule[T any](r Rule[T], order int) (*rule[T], error) {
	c := &rule[T]{name: r.Name, hosts: r.Hosts, methods: r.Methods, listeners: r.Listeners, hours: r.Hours, order: order, value: r.Value}
	for _, list := range []struct {
		what string
		from []Pair
		to   *[]pair
	}{{"header", r.Headers, &c.headers}, {"query parameter", r.Query, &c.query}, {"cookie", r.Cookies, &c.cookies}} {
		for _, p := range list.from {
			compiled, err := compilePair(p)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", list.what, p.Name, err)
			}
			*list.to = append(*list.to, compiled)
		}
	}
	for _, name := range r.ServerNames {
		name = strings.ToLower(name)
		if !validHost(name) {
			return nil, fmt.Errorf("server name %q: want a name like api.example.com or *.example.com", name)
		}
		c.serverNames = append(c.serverNames, name)
	}
	for _, p := range r.Clients {
		c.clients = append(c.clients, p.Masked())
	}
	return c, c.setPath(r.Kind, r.Path)
}

func compilePair(p Pair) (out pair, err error) {
	out = pair{name: p.Name, text: p.Value, value: []byte(p.Value)}
	switch {
	case p.Name == "":
		return out, errors.New("the name is missing")
	case p.Value != "" && p.Pattern != "":
		return out, errors.New("exact and regex exclude each other")
	case p.Pattern != "":
		out.text = p.Pattern
		out.pattern, err = regexp.Compile("^(?:" + p.Pattern + ")$")
	}
	return out, err
}

func (r *rule[T]) setPath(kind PathKind, path string) (err error) {
	if path == "" {
		kind, path = Prefix, "/"
	}
	if path[0] != '/' && kind != Regex {
		return fmt.Errorf("path %q: must start with /", path)
	}
	r.kind, r.path = kind, path
	switch kind {
	case Exact:
	case Regex:
		if r.pattern, err = regexp.Compile("^(?:" + path + ")$"); err != nil {
			return fmt.Errorf("path: %w", err)
		}
	case Prefix:
		r.path = strings.TrimRight(path, "/")
	default:
		return fmt.Errorf("path kind %d unknown", kind)
	}
	return nil
}

// compare orders rules with equal hosts and paths.
func compare[T any](a, b *rule[T]) int {
	for _, d := range [...]int{
		min(len(b.methods), 1) - min(len(a.methods), 1),
		len(b.headers) - len(a.headers),
		len(b.query) - len(a.query),
		len(b.cookies) - len(a.cookies),
		min(len(b.serverNames), 1) - min(len(a.serverNames), 1),
		min(len(b.clients), 1) - min(len(a.clients), 1),
		min(len(b.listeners), 1) - min(len(a.listeners), 1),
		min(len(b.hours), 1) - min(len(a.hours), 1),
	} {
		if d != 0 {
			return d
		}
	}
	return a.order - b.order
}

// miss returns the first condition after host and path that a request does not meet, with its place in the rule's list of
// such conditions. Match and Explain both decide by it.
func (r *rule[T]) miss(h Head, from Peer) (Condition, int) {
	if len(r.methods) > 0 && !r.hasMethod(h.Method()) {
		return OnMethod, 0
	}
	for i := range r.headers {
		if v, ok := h.Header(r.headers[i].name); !ok || !r.headers[i].holds(v) {
			return OnHeader, i
		}
	}
	for i := range r.query {
		if v, ok := Parameter(h.Query(), r.query[i].name); !ok || !r.query[i].holdsEncoded(v) {
			return OnQuery, i
		}
	}
	for i := range r.cookies {
		if v, ok := h.Cookie(r.cookies[i].name); !ok || !r.cookies[i].holds(v) {
			return OnCookie, i
		}
	}
	if len(r.serverNames) > 0 && !r.hasServerName(from.ServerName) {
		return OnServerName, 0
	}
	if len(r.clients) > 0 && !r.hasClient(from.Client) {
		return OnClient, 0
	}
	if len(r.listeners) > 0 && !slices.Contains(r.listeners, from.Listener) {
		return OnListener, 0
	}
	if len(r.hours) > 0 && !r.hasTime(from.At) {
		return OnHours, 0
	}
	return None, 0
}

func (r *rule[T]) hasMethod(m []byte) bool {
	for _, want := range r.methods {
		if string(m) == want {
			return true
		}
	}
	return false
}

func (r *rule[T]) hasServerName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	for _, want := range r.serverNames {
		if suffix, wild := strings.CutPrefix(want, "*"); wild {
			if len(name) > len(suffix) && strings.EqualFold(name[len(name)-len(suffix):], suffix) {
				return true
			}
		} else if strings.EqualFold(name, want) {
			return true
		}
	}
	return false
}

func (r *rule[T]) hasClient(a netip.Addr) bool {
	for _, p := range r.clients {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (r *rule[T]) hasTime(at time.Time) bool {
	for i := range r.hours {
		if r.hours[i].contain(at) {
			return true
		}
	}
	return false
}

func (p *pair) holds(v []byte) bool {
	if p.pattern != nil {
		return p.pattern.Match(v)
	}
	return len(p.value) == 0 || bytes.Equal(v, p.value)
}

// holdsEncoded is holds for a value with escapes.
func (p *pair) holdsEncoded(v []byte) bool {
	switch {
	case p.pattern == nil:
		return len(p.value) == 0 || decodesTo(v, p.text)
	case bytes.ContainsAny(v, "%+"):
		return p.pattern.Match(appendDecoded(nil, v))
	}
	return p.pattern.Match(v)
}
