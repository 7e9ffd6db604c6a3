package router

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Step says whether one rule matches a request.
type Step struct {
	Rule   string    // its name
	Missed Condition // the first condition that does not hold; None: the rule matches
	Want   string    // of that condition
	Got    string    // what the request has instead
}

// Explain returns a step for each rule, in the order of precedence for this request. The first step whose rule matches is
// that of the rule that Match returns.
func (t *Table[T]) Explain(h Head, from Peer) []Step {
	host := normalHost(nil, h.Host())
	type ranked struct {
		rule    *rule[T]
		host    int // specificity of the host pattern that matches; without one, of the most specific pattern
		matches bool
	}
	all := make([]ranked, len(t.rules))
	for i, r := range t.rules {
		rank, ok := r.rankHost(host)
		all[i] = ranked{r, rank, ok}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		if a.host != b.host {
			return b.host - a.host
		}
		return comparePaths(a.rule, b.rule)
	})
	out := make([]Step, len(all))
	for i, one := range all {
		out[i] = one.rule.explain(one.matches, h, from)
	}
	return out
}

// rankHost returns how specific the pattern is by which the rule matches a host, and whether there is one.
func (r *rule[T]) rankHost(host []byte) (rank int, ok bool) {
	if len(r.hosts) == 0 {
		return 0, true
	}
	best, matched := 0, -1
	for _, pattern := range r.hosts {
		pattern = canonicalHost(pattern)
		rank, holds := 1+maxHost, string(host) == pattern
		if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
			rank, holds = len(suffix), len(host) > len(suffix) && bytes.HasSuffix(host, []byte(suffix))
		}
		best = max(best, rank)
		if holds {
			matched = max(matched, rank)
		}
	}
	if matched >= 0 {
		return matched, true
	}
	return best, false
}

func (r *rule[T]) explain(host bool, h Head, from Peer) Step {
	s := Step{Rule: r.name}
	if !host {
		s.Missed, s.Want, s.Got = OnHost, strings.Join(r.hosts, " or "), string(h.Host())
		return s
	}
	if !r.hasPath(h.Path()) {
		s.Missed, s.Want, s.Got = OnPath, r.pathText(), string(h.Path())
		return s
	}
	var i int
	s.Missed, i = r.miss(h, from)
	switch s.Missed {
	case OnMethod:
		s.Want, s.Got = strings.Join(r.methods, " or "), string(h.Method())
	case OnHeader:
		s.describe(&r.headers[i], h.Header)
	case OnQuery:
		s.describe(&r.query[i], func(name string) ([]byte, bool) {
			v, ok := Parameter(h.Query(), name)
			return appendDecoded(nil, v), ok
		})
	case OnCookie:
		s.describe(&r.cookies[i], h.Cookie)
	case OnServerName:
		s.Want, s.Got = strings.Join(r.serverNames, " or "), orNone(from.ServerName)
	case OnClient:
		nets := make([]string, len(r.clients))
		for i, p := range r.clients {
			nets[i] = p.String()
		}
		s.Want, s.Got = strings.Join(nets, " or "), from.Client.String()
	case OnListener:
		s.Want, s.Got = strings.Join(r.listeners, " or "), orNone(from.Listener)
	case OnHours:
		hours := make([]string, len(r.hours))
		for i := range r.hours {
			hours[i] = r.hours[i].String()
		}
		s.Want, s.Got = strings.Join(hours, " or "), from.At.UTC().Format("Mon 15:04")+" UTC"
	}
	return s
}

func (s *Step) describe(p *pair, value func(name string) ([]byte, bool)) {
	switch {
	case p.pattern != nil:
		s.Want = p.name + " matching " + p.text
	case p.text != "":
		s.Want = fmt.Sprintf("%s: %q", p.name, p.text)
	default:
		s.Want = p.name
	}
	v, ok := value(p.name)
	if s.Got = "none"; ok {
		s.Got = fmt.Sprintf("%q", v)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// hasPath reports whether the condition on the path holds. Match finds the rules by their paths instead.
func (r *rule[T]) hasPath(path []byte) bool {
	switch r.kind {
	case Exact:
		return string(path) == r.path
	case Regex:
		return r.pattern.Match(path)
	}
	return bytes.HasPrefix(path, []byte(r.path)) && (len(path) == len(r.path) || path[len(r.path)] == '/')
}

func (r *rule[T]) pathText() string {
	switch r.kind {
	case Exact:
		return "exactly " + r.path
	case Regex:
		return "matching " + r.path
	}
	return "prefix " + r.path
}
