package promtext

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/base/pattern"
)

// Limits of an expression.
const (
	MaxExpr     = 1024 // bytes
	maxMatchers = 16   // of one selector
	maxSteps    = 1000 // of the program of a regular expression
	maxRanges   = 1000 // of its classes of characters
)

// Expr is a number of a page: the sum of the series that a selector matches, divided by another such sum or by a number.
type Expr struct {
	Of  Selector
	By  *Selector // nil: Of is divided by Div
	Div float64   // > 0
}

// Selector matches series by name and labels.
type Selector struct {
	Name     string
	matchers []matcher
}

type matcher struct {
	label   string
	value   string
	pattern *regexp.Regexp // nil: equal to value
	not     bool
}

// ParseExpr reads SELECTOR, SELECTOR / SELECTOR, or SELECTOR / NUMBER, where a selector is NAME or NAME{LABEL="VALUE", ...}
// with the operators =, !=, =~ and !~ of PromQL.
func ParseExpr(text string) (Expr, error) { return parse(parser{rest: text}) }

// ParseDotted is ParseExpr for names of OpenTelemetry: names of metrics and labels may have dots and dashes after their first
// character.
func ParseDotted(text string) (Expr, error) { return parse(parser{rest: text, dotted: true}) }

func parse(p parser) (Expr, error) {
	if len(p.rest) > MaxExpr {
		return Expr{}, fmt.Errorf("longer than %d bytes", MaxExpr)
	}
	e := Expr{Div: 1}
	var err error
	if e.Of, err = p.selector(); err != nil {
		return Expr{}, err
	}
	p.blanks()
	if p.rest == "" {
		return e, nil
	}
	if !p.take("/") {
		return Expr{}, fmt.Errorf("%.40q: want the end, or / and a divisor", p.rest)
	}
	p.blanks()
	if p.rest != "" && (p.rest[0] >= '0' && p.rest[0] <= '9' || p.rest[0] == '.' || p.rest[0] == '-' || p.rest[0] == '+') {
		v, err := strconv.ParseFloat(strings.TrimSpace(p.rest), 64)
		if err != nil || !(v > 0 && v <= maxValue) {
			return Expr{}, fmt.Errorf("%.40q: want a number above 0 after /", p.rest)
		}
		e.Div = v
		return e, nil
	}
	by, err := p.selector()
	if err != nil {
		return Expr{}, err
	}
	if p.blanks(); p.rest != "" {
		return Expr{}, fmt.Errorf("%.40q: want the end", p.rest)
	}
	e.By = &by
	return e, nil
}

type parser struct {
	rest   string
	dotted bool
}

func (p *parser) blanks() { p.rest = strings.TrimLeft(p.rest, " \t\n") }

func (p *parser) take(word string) bool {
	rest, ok := strings.CutPrefix(p.rest, word)
	if ok {
		p.rest = rest
	}
	return ok
}

// name reads a name of a metric or, without colons, of a label.
func (p *parser) name(colons bool) string {
	i := 0
	for i < len(p.rest) && (isName(p.rest[i], i == 0, colons) || p.dotted && i > 0 && (p.rest[i] == '.' || p.rest[i] == '-')) {
		i++
	}
	name := p.rest[:i]
	p.rest = p.rest[i:]
	return name
}

func isName(c byte, first, colons bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':' && colons:
		return true
	}
	return c >= '0' && c <= '9' && !first
}

func (p *parser) selector() (s Selector, err error) {
	p.blanks()
	if s.Name = p.name(true); s.Name == "" {
		return s, fmt.Errorf("%.40q: want the name of a metric", p.rest)
	}
	if p.blanks(); !p.take("{") {
		return s, nil
	}
	for {
		if p.blanks(); p.take("}") {
			return s, nil
		}
		m, err := p.matcher()
		if err != nil {
			return s, err
		}
		if s.matchers = append(s.matchers, m); len(s.matchers) > maxMatchers {
			return s, fmt.Errorf("more than %d labels", maxMatchers)
		}
		if p.blanks(); !p.take(",") && !strings.HasPrefix(p.rest, "}") {
			return s, fmt.Errorf("%.40q: want , or } after a label", p.rest)
		}
	}
}

func (p *parser) matcher() (m matcher, err error) {
	if m.label = p.name(false); m.label == "" {
		return m, fmt.Errorf("%.40q: want the name of a label", p.rest)
	}
	p.blanks()
	regex := false
	switch {
	case p.take("=~"):
		regex = true
	case p.take("!~"):
		regex, m.not = true, true
	case p.take("!="):
		m.not = true
	case p.take("="):
	default:
		return m, fmt.Errorf("%.40q: want =, !=, =~ or !~ after the label %s", p.rest, m.label)
	}
	p.blanks()
	quoted, err := strconv.QuotedPrefix(p.rest)
	if err == nil {
		m.value, err = strconv.Unquote(quoted)
	}
	if err != nil || quoted[0] == '`' {
		return m, fmt.Errorf("%.40q: want the value of the label %s in quotes", p.rest, m.label)
	}
	p.rest = p.rest[len(quoted):]
	if !regex {
		return m, nil
	}
	m.pattern, err = compile(m.value)
	return m, err
}

func compile(expr string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if size := pattern.Measure(tree); size.Steps > maxSteps || size.Ranges > maxRanges {
		return nil, fmt.Errorf("the regular expression %.40q is too large", expr)
	}
	return regexp.Compile("^(?s:" + expr + ")$") // as in PromQL, the whole value
}

var errLabels = errors.New("labels are malformed")

// label is a label of a series. Its value may still have escapes.
type label struct{ name, value []byte }

// matches reports whether a series with these labels matches. A label that is absent has the empty value.
func (s *Selector) matches(labels []label) bool {
	for i := range s.matchers {
		m := &s.matchers[i]
		var value []byte
		for _, l := range labels {
			if string(l.name) == m.label {
				value = unescape(l.value)
			}
		}
		if !m.accepts(value) {
			return false
		}
	}
	return true
}

// Matches reports whether a series matches whose label has the value that label returns, "" for a label that it does not have.
func (s *Selector) Matches(label func(name string) string) bool {
	for i := range s.matchers {
		if m := &s.matchers[i]; !m.accepts([]byte(label(m.label))) {
			return false
		}
	}
	return true
}

func (m *matcher) accepts(value []byte) bool {
	same := m.pattern == nil && string(value) == m.value || m.pattern != nil && m.pattern.Match(value)
	return same != m.not
}
