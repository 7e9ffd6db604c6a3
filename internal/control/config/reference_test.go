package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// reference is the page with the reference of all keys. The part between the marks is generated.
const (
	reference = "../../../docs/configuration.md"
	beginMark = "<!-- keys -->\n"
	endMark   = "<!-- end of keys -->\n"
)

// key is one key of the document, as the page describes it.
type key struct {
	path     string // listeners[].tls.certificates[].cert
	format   string
	text     string // description, from the comment of the field
	preset   string // default; empty: the section has none
	required bool
	variable string
	flag     string
}

// section is a key at the top of the document, with all keys below it.
type section struct {
	key
	live bool // a change is applied while nodes serve
	keys []key
}

// catalog collects the keys from the types of the document.
type catalog struct {
	t         *testing.T
	comments  map[string]string // "config.Listener.Name" -> comment
	variables map[any]string    // pointer to a value -> name of its variable
	formats   map[string]string // path -> format, as far as the checks know it
	keys      []key
}

func sections(t *testing.T) (all []section) {
	d := Default()
	lengthen(reflect.ValueOf(&d).Elem())
	d.fill(func(string) bool { return false })
	c := catalog{t: t, comments: comments(t), variables: variables(&d), formats: formats()}
	for _, part := range []struct {
		v    reflect.Value
		live bool
	}{{reflect.ValueOf(&d.Traffic).Elem(), true}, {reflect.ValueOf(&d.Node).Elem(), false}} {
		for i := range part.v.NumField() {
			if f := part.v.Type().Field(i); f.Tag.Get("yaml") != "" {
				c.keys = nil
				c.key(part.v.Field(i), f.Tag.Get("yaml"), part.v.Type().String()+"."+f.Name)
				all = append(all, section{key: c.keys[0], live: part.live, keys: c.keys[1:]})
			}
		}
	}
	return all
}

// fields adds the keys of a struct, in the order of the type.
func (c *catalog) fields(v reflect.Value, path string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			c.fields(v.Field(i), path)
		} else if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			c.key(v.Field(i), path+"."+name, v.Type().String()+"."+f.Name)
		}
	}
}

// key adds a key and the keys below it. field is the type and the name of the Go field.
func (c *catalog) key(v reflect.Value, path, field string) {
	k := key{path: path, variable: c.variables[v.Addr().Interface()]}
	clauses := strings.Split(c.comments[field], "; ")
	for n := len(clauses) - 1; n > 0; n-- { // the last clauses are about the flag and the default
		word, rest, _ := strings.Cut(clauses[n], " ")
		switch {
		case word == "default":
			k.preset = rest
		case clauses[n] == "required":
			k.preset, k.required = "required", true
		case word == "flag":
			k.flag = rest
		default:
			c.t.Errorf("%s: the comment of %s has an unknown clause %q; use a full stop within the description", path, field, clauses[n])
		}
	}
	if k.text = clauses[0]; k.text == "" {
		c.t.Errorf("%s: the field %s has no comment, which is its description", path, field)
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	k.format = c.format(k, v.Type())
	c.preset(&k, v)
	c.keys = append(c.keys, k)
	switch {
	case isSection(v.Type()):
		c.fields(v, path)
	case v.Kind() == reflect.Slice && isSection(v.Type().Elem()):
		c.fields(v.Index(0), path+"[]")
	}
}

func (c *catalog) format(k key, t reflect.Type) string {
	if t.Kind() == reflect.Slice {
		return strings.Replace("list of "+c.format(k, t.Elem())+"s", "addresss", "addresses", 1)
	}
	first, _, _ := strings.Cut(k.text, " ")
	switch {
	case isSection(t):
		return "section"
	case t == durationType:
		return "duration"
	case t == secretType:
		return "secret"
	case t == reflect.TypeFor[netip.Prefix]():
		return "network"
	case t == reflect.TypeFor[Peer]():
		return "host"
	case t.Kind() == reflect.Map:
		return "names with texts"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "whole number"
	case t.Kind() == reflect.Float64:
		return "number"
	case c.formats[strings.ReplaceAll(k.path, "[]", "[0]")] != "":
		return c.formats[strings.ReplaceAll(k.path, "[]", "[0]")]
	case first == "file" || first == "folder":
		return first
	}
	return "text"
}

// preset compares the default in the comment with the real default. Without a default in the comment, a section has none.
func (c *catalog) preset(k *key, v reflect.Value) {
	composed := isSection(v.Type()) || v.Kind() == reflect.Slice && isSection(v.Type().Elem())
	switch actual := written(v); {
	case composed:
	case k.preset == "":
		c.t.Errorf("%s: the comment states no default", k.path)
	case actual != "" && actual != k.preset && !(v.IsZero() && (k.required || strings.HasPrefix(k.preset, "none") || strings.HasPrefix(k.preset, "`") || v.Type() == durationType)):
		c.t.Errorf("%s: the comment states the default %s, which is %s", k.path, k.preset, actual)
	}
}

// written returns a value as it stands in a file; empty for an empty text, list or map.
func written(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return shortDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = fmt.Sprint(v.Index(i).Interface())
		}
		return strings.Join(items, ", ")
	case v.Kind() == reflect.Map:
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// shortDuration writes 1h0m0s as 1h, and minutes below an hour in seconds.
func shortDuration(d time.Duration) string {
	if d >= time.Second && d < time.Hour {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// isSection reports whether a type has keys of its own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// lengthen gives each optional section a value and each list of sections one element.
func lengthen(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		lengthen(v.Elem())
	case v.Kind() == reflect.Slice && isSection(v.Type().Elem()):
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		lengthen(v.Index(0))
	case isSection(v.Type()):
		for i := range v.NumField() {
			lengthen(v.Field(i))
		}
	}
}

// spoil gives each value below v one that no check accepts: text that is no word, and numbers beyond every limit.
func spoil(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer:
		spoil(v.Elem())
	case isSection(v.Type()):
		for i := range v.NumField() {
			spoil(v.Field(i))
		}
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		spoil(v.Index(0))
	case v.Kind() == reflect.String:
		v.SetString("!")
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		v.SetInt(1 << 60)
	case v.Kind() == reflect.Float64:
		v.SetFloat(1e12)
	}
}

// spoiled returns the mistakes of a document in which every value is wrong.
func spoiled() Mistakes {
	var d Document
	lengthen(reflect.ValueOf(&d).Elem())
	spoil(reflect.ValueOf(&d).Elem())
	node, traffic := checker{}, checker{} // the number of mistakes of one checker is limited
	node.node(d.Node)
	traffic.traffic(d.Traffic)
	return append(node.mistakes, traffic.mistakes...)
}

// formats returns the formats of texts that the checks tell by their mistakes.
func formats() map[string]string {
	out := map[string]string{}
	for _, m := range spoiled() {
		path := strings.TrimSuffix(m.Path, "[0]")
		switch {
		case strings.Contains(m.Text, "want 1 to 128 letters"):
			out[path] = "id"
		case strings.Contains(m.Text, "want host:port"):
			out[path] = "address"
		case choice.MatchString(m.Text):
			out[path] = "choice"
		}
	}
	return out
}

var (
	choice = regexp.MustCompile(`^unknown .* "!"[,:] want (?:one of )?(.*)$`)
	bounds = regexp.MustCompile(`want (\S+) to ([^\s,]+), got`)
)

// variables returns the variable of each value that Environment sets from one.
func variables(d *Document) map[any]string {
	out := map[any]string{}
	node := reflect.ValueOf(&d.Node).Elem()
	for i := range node.NumField() {
		for name, field := range flatten(node.Field(i)) {
			name = "SMARTLB_" + upperSnake(node.Type().Field(i).Tag.Get("yaml")) + "_" + name
			composed := field.Kind() == reflect.Map || field.Kind() == reflect.Slice && isSection(field.Type().Elem())
			if !composed || name == signingKeys {
				out[field.Addr().Interface()] = name
			}
		}
	}
	return out
}

// comments returns the comment of each field of the packages whose types are in the document.
func comments(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, folder := range []string{".", "../../kafka", "../../kafka/sign"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if s, ok := spec.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						for _, field := range f.Names {
							text := f.Doc.Text() + f.Comment.Text()
							out[file.Name.Name+"."+spec.Name.Name+"."+field.Name] = strings.Join(strings.Fields(text), " ")
						}
					}
				}
				return true
			})
		}
	}
	return out
}

// markdown writes the generated part of the page.
func markdown(all []section) string {
	var b strings.Builder
	for _, s := range all {
		applied := "A change needs a restart of the node."
		if s.live {
			applied = "`smartlb config apply` applies a change on every node, without a restart."
		}
		if s.preset != "" {
			applied = "Default: " + s.preset + ". " + applied
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| key | type | default | description |\n|---|---|---|---|\n", s.path, wrapped(sentence(s.text)+". "+applied))
		for _, k := range s.keys {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.path, k.format, k.preset, k.description())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// wrapped breaks a paragraph into lines of at most 100 characters.
func wrapped(paragraph string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(paragraph) {
		switch {
		case column > 0 && column+1+len(word) > 100:
			b.WriteByte('\n')
			column = 0
		case column > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// description is the cell with the description, the flag and the variable of a key.
func (k key) description() string {
	text := sentence(k.text) + "."
	var also []string
	if k.flag != "" {
		also = append(also, "flag `"+k.flag+"`")
	}
	if k.variable != "" {
		also = append(also, "variable `"+k.variable+"`")
	}
	if len(also) > 0 {
		text += "<br>" + sentence(strings.Join(also, ", "))
	}
	return strings.NewReplacer("|", `\|`, "docs/http.md", "[http.md](http.md)").Replace(text)
}

func sentence(s string) string {
	if strings.HasPrefix(s, "https") || s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func TestReferenceIsCurrent(t *testing.T) {
	src, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(src), beginMark)
	old, tail, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		t.Fatalf("%s lacks its marks", reference)
	}
	now := "\n" + markdown(sections(t))
	if now == old {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run go test ./internal/control/config -run TestReferenceIsCurrent -update", reference)
	}
	if err := os.WriteFile(reference, []byte(head+beginMark+now+endMark+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// byPath returns the keys by their paths, with [0] for [].
func byPath(t *testing.T) map[string]key {
	out := map[string]key{}
	for _, s := range sections(t) {
		for _, k := range append(s.keys, s.key) {
			out[strings.ReplaceAll(k.path, "[]", "[0]")] = k
		}
	}
	return out
}

// The checks know bounds and allowed words; the descriptions repeat them.
func TestDescriptionsGiveTheBoundsAndWordsThatAreChecked(t *testing.T) {
	keys := byPath(t)
	seen := 0
	for _, m := range spoiled() {
		k, ok := keys[m.Path]
		if !ok {
			continue
		}
		if b := bounds.FindStringSubmatch(m.Text); b != nil {
			seen++
			section := keys[m.Path[:strings.LastIndex(m.Path, ".")]]
			low, high := strings.TrimSuffix(b[1], "m0s"), strings.TrimSuffix(strings.Replace(b[2], "1m0s", "1m", 1), "0m0s")
			if want := low + " to " + high; !strings.Contains(k.text+section.text, want) {
				t.Errorf("%s: the description does not give %q: %s", m.Path, want, k.text)
			}
		}
		if c := choice.FindStringSubmatch(m.Text); c != nil {
			seen++
			for _, word := range strings.FieldsFunc(strings.ReplaceAll(c[1], " or ", ", "), func(r rune) bool { return r == ',' || r == ' ' }) {
				if !strings.Contains(k.text, "`"+word+"`") {
					t.Errorf("%s: the description does not name `%s`: %s", m.Path, word, k.text)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d bounds and lists of words were found", seen)
	}
}

// A key without which a document is refused is required, or its description says when.
func TestRequiredKeysAreMarked(t *testing.T) {
	var d Document
	lengthen(reflect.ValueOf(&d).Elem())
	c := checker{}
	c.node(d.Node)
	c.traffic(d.Traffic)
	keys := byPath(t)
	seen := 0
	for _, m := range c.mistakes {
		k, ok := keys[m.Path]
		if !ok || !strings.Contains(m.Text, "missing") {
			continue
		}
		seen++
		if !k.required && !strings.Contains(k.text, "required") && strings.HasPrefix(k.preset, "none") {
			t.Errorf("%s is required: %s", m.Path, m.Text)
		}
	}
	if seen < 10 {
		t.Errorf("only %d missing keys were found", seen)
	}
}

func TestEachVariableOfTheReferenceSetsItsKey(t *testing.T) {
	seen := 0
	for path, k := range byPath(t) {
		if k.variable == "" {
			continue
		}
		seen++
		value := map[string]string{
			"true or false": "true", "whole number": "7", "number": "0.25", "duration": "7s", "list of networks": "10.0.0.0/8",
			"list of sections": "k=${env:K}",
		}[k.format]
		if value == "" {
			value = "x"
		}
		d := Default()
		err := Environment(&d, func(name string) string {
			if name == k.variable {
				return value
			}
			return ""
		})
		if reflect.DeepEqual(d, Default()) {
			t.Errorf("%s=%s does not set %s: %v", k.variable, value, path, err)
		}
	}
	if seen < 50 {
		t.Errorf("only %d variables were found", seen)
	}
}
