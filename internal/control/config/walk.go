package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/smartlb/smartlb/internal/base/nearest"
	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// walker fills Go values from a YAML tree and records the line of each value. It continues after a mistake; goccy's own
// strict decoding reports only the first mistake.
type walker struct {
	mistakes Mistakes
	at       map[string]int  // path -> line
	given    map[string]bool // paths that have a value; nil: not recorded
	anchors  map[string]ast.Node
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	secretType   = reflect.TypeFor[secret.Ref]()
	formatType   = reflect.TypeFor[LineFormat]()
)

// maxDepth limits nesting. The document has five levels.
const maxDepth = 32

// variable finds text that looks like a variable in a regular expression. There ${ means the end of the text followed
// by a brace, which matches no text.
var variable = regexp.MustCompile(`\$\{[A-Za-z_]`)

func (w *walker) fail(n ast.Node, path, format string, args ...any) {
	line := 0
	if n != nil && n.GetToken() != nil {
		line = n.GetToken().Position.Line
	}
	w.mistakes = append(w.mistakes, newMistake(line, path, format, args))
}

// document parses src into v, a pointer to struct.
func (w *walker) document(src []byte, v any) {
	file, err := yamlsafe.Parse(src, limits())
	if err != nil {
		w.mistakes = append(w.mistakes, syntaxMistake(err))
		return
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return
	}
	if _, empty := file.Docs[0].Body.(*ast.CommentGroupNode); empty {
		return
	}
	w.value(file.Docs[0].Body, reflect.ValueOf(v).Elem(), "", 0)
}

func (w *walker) value(n ast.Node, v reflect.Value, path string, depth int) {
	if w.mistakes.full() {
		return
	}
	if depth > maxDepth {
		w.fail(n, path, "nested too deeply")
		return
	}
	switch node := n.(type) {
	case *ast.AnchorNode:
		w.anchors[node.Name.GetToken().Value] = node.Value
		w.value(node.Value, v, path, depth+1)
		return
	case *ast.AliasNode:
		target, ok := w.anchors[node.Value.GetToken().Value]
		if !ok {
			w.fail(n, path, "alias *%s has no anchor before it", node.Value.GetToken().Value)
			return
		}
		w.value(target, v, path, depth+1)
		return
	case *ast.TagNode:
		w.value(node.Value, v, path, depth+1)
		return
	case *ast.NullNode:
		return // a key without a value keeps its default
	}
	w.at[path] = n.GetToken().Position.Line
	if w.given != nil {
		w.given[path] = true
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		w.value(n, v.Elem(), path, depth)
		return
	}
	switch {
	case v.Type() == durationType:
		w.duration(n, v, path)
	case v.Addr().Type().Implements(textType):
		w.text(n, v, path)
	default:
		w.kind(n, v, path, depth)
	}
}

func (w *walker) kind(n ast.Node, v reflect.Value, path string, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		w.mapping(n, v, path, depth)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			w.fail(n, path, "want a list, got %s", describe(n))
			return
		}
		out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			w.value(item, out.Index(i), path+"["+strconv.Itoa(i)+"]", depth+1)
		}
		v.Set(out)
	case reflect.Map:
		w.stringMap(n, v, path)
	case reflect.String:
		s, ok := scalar(n)
		if !ok {
			w.fail(n, path, "want text, got %s", describe(n))
			return
		}
		if strings.Contains(s, "${") && v.Type() != secretType && v.Type() != formatType && !mayHoldBraces(path, s) {
			w.fail(n, path, "%q: variables are not replaced here; write the value (only secrets take ${env:NAME}, ${file:/path} and ${credential:NAME})", s)
			return
		}
		v.SetString(s)
	case reflect.Int:
		s, _ := scalar(n)
		i, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
		if _, isInt := n.(*ast.IntegerNode); !isInt || err != nil {
			w.fail(n, path, "want a whole number, got %s", describe(n))
			return
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		s, _ := scalar(n)
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			w.fail(n, path, "want a number, got %s", describe(n))
			return
		}
		v.SetFloat(f)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			w.fail(n, path, "want true or false, got %s", describe(n))
			return
		}
		v.SetBool(b.Value)
	}
}

// mayHoldBraces reports whether "${" is no mistake in a text: in a body and in what it is compared with, as the number of a group, and in
// a regular expression.
func mayHoldBraces(path, s string) bool {
	return strings.HasSuffix(path, ".body") || strings.HasSuffix(path, ".body.contains") || (strings.HasSuffix(path, "regex") || strings.HasSuffix(path, ".replace")) && !variable.MatchString(s)
}

// maxDuration is 10 years. Sums and multiples of much longer durations would overflow.
const maxDuration = 87_600 * time.Hour

func (w *walker) duration(n ast.Node, v reflect.Value, path string) {
	s, ok := scalar(n)
	d, err := time.ParseDuration(s)
	if !ok || err != nil {
		w.fail(n, path, "want a duration like 250ms, 15s or 2m, got %s", describe(n))
		return
	}
	if d < 0 {
		w.fail(n, path, "a duration cannot be negative, got %s", s)
		return
	}
	if d > maxDuration {
		w.fail(n, path, "want a duration of at most %dh, got %s", maxDuration/time.Hour, s)
		return
	}
	v.SetInt(int64(d))
}

func (w *walker) text(n ast.Node, v reflect.Value, path string) {
	s, ok := scalar(n)
	if !ok {
		w.fail(n, path, "want text, got %s", describe(n))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		w.fail(n, path, "%q is not valid: %v", s, err)
	}
}

func (w *walker) stringMap(n ast.Node, v reflect.Value, path string) {
	pairs, ok := pairsOf(n)
	if !ok {
		w.fail(n, path, "want keys with values, got %s", describe(n))
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, p := range pairs {
		if w.mistakes.full() {
			return
		}
		name := p.Key.GetToken().Value
		w.at[join(path, name)] = p.Key.GetToken().Position.Line
		value, ok := scalar(p.Value)
		if !ok {
			w.fail(p.Value, join(path, p.Key.String()), "want text, got %s", describe(p.Value))
			continue
		}
		out.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value).Convert(v.Type().Elem()))
	}
	v.Set(out)
}

func (w *walker) mapping(n ast.Node, v reflect.Value, path string, depth int) {
	pairs, ok := pairsOf(n)
	if !ok {
		w.fail(n, path, "want keys with values, got %s", describe(n))
		return
	}
	fields := fieldsOf(v)
	seen := map[string]int{}
	for _, p := range pairs {
		if w.mistakes.full() {
			return
		}
		name := p.Key.GetToken().Value
		line := p.Key.GetToken().Position.Line
		if before, dup := seen[name]; dup {
			w.fail(p.Key, join(path, name), "given twice, first in line %d", before)
			continue
		}
		seen[name] = line
		field, ok := fields[name]
		if !ok {
			w.fail(p.Key, join(path, name), "%s", ownText(unknownKey(name, path, fields)))
			continue
		}
		w.at[join(path, name)] = line
		w.value(p.Value, field, join(path, name), depth+1)
	}
}

// fieldsOf returns the settable fields by YAML key. Fields of embedded structs are included.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			for k, inner := range fieldsOf(v.Field(i)) {
				out[k] = inner
			}
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			out[name] = v.Field(i)
		}
	}
	return out
}

func sortedKeys(m map[string]reflect.Value) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// unknownKey describes an unknown key. A node key in a published document is not a typing mistake, so it has its own
// text.
func unknownKey(name, path string, fields map[string]reflect.Value) string {
	if _, ofNode := fieldsOf(reflect.ValueOf(&Node{}).Elem())[name]; ofNode && path == "" {
		return "a setting of one node, which is not published: keep it in that node's file; allowed here: " + strings.Join(sortedKeys(fields), ", ")
	}
	return fmt.Sprintf("unknown key%s; allowed here: %s", hint(name, fields), strings.Join(sortedKeys(fields), ", "))
}

// hint suggests the nearest allowed key, if one is close.
func hint(name string, fields map[string]reflect.Value) string {
	best := nearest.Name(name, sortedKeys(fields))
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

func scalar(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	case *ast.MappingNode:
		if len(s.Values) == 1 && !s.IsFlowStyle {
			return unsplit(s.Values[0])
		}
	}
	return "", false
}

// unsplit restores host:port. In a flow sequence the library treats a colon without a following space as the end of a
// key, contrary to YAML 1.2 §7.3.3.
func unsplit(m *ast.MappingValueNode) (string, bool) {
	key, colon, after := m.Key.GetToken(), m.Start, m.Value.GetToken()
	value, ok := scalar(m.Value)
	plain := key.Indicator == token.NotIndicator && after.Indicator == token.NotIndicator
	if !ok || !plain || after.Position.Line != colon.Position.Line || after.Position.Offset != colon.Position.Offset+1 {
		return "", false
	}
	return key.Value + ":" + value, true
}

func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	}
	t := n.GetToken()
	if t.Type == token.DoubleQuoteType || t.Type == token.SingleQuoteType {
		return strconv.Quote(t.Value)
	}
	return t.Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
