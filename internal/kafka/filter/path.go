package filter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
)

// Path is a path in a JSON document and a condition on its value.
type Path struct {
	steps []step
	op    string // empty: the path must exist
	text  string // the operand as written
	num   any    // int64, uint64 or float64; nil: the operand is not a number
	lit   any    // true, false or null if the operand is one of these
	isLit bool
}

// step descends into an object by name, into an array by index, or into every element.
type step struct {
	name  string
	index int // -1: every element
	array bool
}

// comparisons lists the operators. Longer operators come before those that are their prefix.
func comparisons() []string { return []string{"==", "!=", ">=", "<=", ">", "<", "~"} }

// ParsePath parses a small subset of JSONPath (RFC 9535) with one comparison:
//
//	$.metrics.cpuUsage           there is such a field, whatever its value
//	metrics.cpuUsage > 0.9       and it is a number above 0.9
//	tags.region == us-east-1     text; "us-east-1" in quotes is the same, and so 5 is a number and "5" text
//	reasons[0] != null           an element, from 0; -1 is the last
//	instances[*].id ~ order      any element whose id contains the text, ignoring case
//	['odd name'].x == true       names with other characters
//
// The operators are == != > >= < <= and ~ (contains). If a field is missing, every comparison except != is false.
// Integers are compared exactly. Text that was probably meant as a number (90%, 0,9, 5s) is an error; in quotes it is
// text.
func ParsePath(source string) (*Path, error) {
	p := &Path{}
	rest := strings.TrimSpace(source)
	rest = strings.TrimPrefix(rest, "$")
	for {
		rest = strings.TrimLeft(rest, " \t")
		next, after, err := parseStep(rest, len(p.steps) == 0)
		if err != nil {
			return nil, &Mistake{Line: 1, Column: len(source) - len(rest) + 1, Text: err.Error()}
		}
		if next == nil {
			break
		}
		if p.steps, rest = append(p.steps, *next), after; len(p.steps) > maxSteps {
			return nil, &Mistake{Text: fmt.Sprintf("more than %d steps", maxSteps)}
		}
	}
	if rest == "" {
		return p, nil
	}
	for _, op := range comparisons() {
		if after, ok := strings.CutPrefix(rest, op); ok {
			return p, p.compareWith(op, strings.TrimSpace(after), len(source)-len(after)+1)
		}
	}
	return nil, &Mistake{Line: 1, Column: len(source) - len(rest) + 1, Text: "one of == != > >= < <= ~ is expected"}
}

const maxSteps = 64

func parseStep(s string, first bool) (*step, string, error) {
	if s == "" {
		return nil, s, nil
	}
	if s[0] == '[' {
		return parseBracket(s)
	}
	dotted := s[0] == '.'
	if dotted {
		s = s[1:]
	}
	if !dotted && !first {
		return nil, s, nil
	}
	end := 0
	for end < len(s) && !strings.ContainsRune(".[=!<>~ \t]", rune(s[end])) {
		end++
	}
	if end == 0 {
		if first && !dotted {
			return nil, s, nil // the whole value
		}
		return nil, s, errors.New("a name is expected")
	}
	return &step{name: s[:end]}, s[end:], nil
}

func parseBracket(s string) (*step, string, error) {
	inner, rest := "", ""
	if len(s) > 1 && (s[1] == '\'' || s[1] == '"') {
		end := strings.Index(s[2:], string(s[1])+"]")
		if end < 0 {
			return nil, s, errors.New("a bracket is not closed")
		}
		return &step{name: s[2 : 2+end]}, s[2+end+2:], nil
	}
	inner, rest, ok := strings.Cut(s[1:], "]")
	if !ok {
		return nil, s, errors.New("a bracket is not closed")
	}
	if inner == "*" {
		return &step{array: true, name: "*"}, rest, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(inner))
	if err != nil {
		return nil, s, fmt.Errorf("%q is no index: a number, * or a name in quotes is expected", inner)
	}
	return &step{array: true, index: n}, rest, nil
}

func (p *Path) compareWith(op, text string, column int) error {
	p.op = op
	operand, err := parseOperand(op, text)
	if err != nil {
		return &Mistake{Line: 1, Column: column, Text: err.Error()}
	}
	p.text, p.num, p.lit, p.isLit = operand.text, operand.num, operand.lit, operand.isLit
	return nil
}

// Holds reports whether the document satisfies the path and its condition.
func (p *Path) Holds(doc any) bool {
	holds, _, _ := p.look(doc)
	return holds
}

// look returns the result of Holds. found reports whether the path exists; comparable whether a value there has the
// operand's type.
func (p *Path) look(doc any) (holds, found, comparable bool) {
	is := p.compare
	if p.op == "!=" {
		is = p.equal
	}
	holds = p.any(doc, p.steps, func(v any) bool {
		found = true
		comparable = comparable || p.comparable(v)
		return is(v)
	})
	return holds != (p.op == "!="), found, comparable
}

// comparable reports whether a value has the operand's type.
func (p *Path) comparable(v any) bool {
	switch {
	case p.op == "" || p.isLit:
		return true
	case p.num != nil:
		return precise(v) != nil
	}
	_, isText := v.(string)
	return isText
}

// any reports whether a value at the end of the steps satisfies is.
func (p *Path) any(v any, steps []step, is func(any) bool) bool {
	for i, s := range steps {
		if !s.array {
			m, _ := v.(map[string]any)
			inner, has := m[s.name]
			if !has {
				return false
			}
			v = inner
			continue
		}
		list, _ := v.([]any)
		if s.name == "*" {
			for _, e := range list {
				if p.any(e, steps[i+1:], is) {
					return true
				}
			}
			return false
		}
		n := s.index
		if n < 0 {
			n += len(list)
		}
		if n < 0 || n >= len(list) {
			return false
		}
		v = list[n]
	}
	return is(v)
}

func (p *Path) compare(v any) bool {
	switch p.op {
	case "":
		return true
	case "==":
		return p.equal(v)
	case "~":
		s, isText := v.(string)
		return isText && newFold(p.text).in([]byte(s))
	}
	if p.num != nil {
		c, isNumber := compareNumbers(v, p.num)
		return isNumber && ordered(p.op, c)
	}
	s, isText := v.(string)
	return isText && ordered(p.op, strings.Compare(s, p.text))
}

func (p *Path) equal(v any) bool {
	switch v := v.(type) {
	case int64, uint64, float64:
		c, isNumber := compareNumbers(v, p.num)
		return isNumber && c == 0
	case string:
		return p.num == nil && !p.isLit && v == p.text
	case bool, nil:
		return p.isLit && v == p.lit
	case types.Null:
		return p.isLit && p.lit == nil
	}
	return false
}

// ordered reports whether the result c of a comparison satisfies op.
func ordered(op string, c int) bool {
	switch op {
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "<":
		return c < 0
	default:
		return c <= 0
	}
}
