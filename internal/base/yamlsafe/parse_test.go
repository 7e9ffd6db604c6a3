package yamlsafe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

var wide = Limits{Bytes: 9 << 20, Tokens: 1_250_000, Documents: 1}

func lines(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

// hostile are texts of at most a few megabytes that end the process, or keep it
// busy for minutes to years, in the library's parser.
func hostile() map[string]string {
	r := strings.Repeat
	indent := func(s string) func(int) string { return func(i int) string { return r(" ", i) + s + "\n" } }
	return map[string]string{
		"brackets in a value":               "routes: " + r("[", 100_000),
		"brackets that are closed":          r("[", 100_000) + r("]", 100_000),
		"braces":                            r("{a: ", 100_000) + r("}", 100_000),
		"brackets and braces":               r("[{a: ", 50_000),
		"brackets over lines":               r("a: [\n", 50_000),
		"brackets beyond every count":       r("[", 9<<20),
		"dashes in one line":                r("- ", 100_000) + "a",
		"dashes over lines":                 lines(3000, indent("- ")) + r(" ", 3000) + "a",
		"keys by indentation":               lines(3000, indent("a:")),
		"keys with tags by indentation":     lines(3000, func(i int) string { return r(" ", i) + "!" + r("x", 3000-i) + " a:\n" }),
		"aliases as keys by indentation":    lines(2000, func(i int) string { return r(" ", i) + "*a :\n" }),
		"question marks":                    r("? ", 100_000),
		"question marks over lines":         lines(3000, indent("? a")),
		"anchors":                           r("&a ", 100_000) + "b",
		"anchors over lines":                r("&a\n", 100_000) + "b",
		"tags":                              r("!a ", 100_000) + "b",
		"tags over lines":                   r("!!map\n", 100_000) + "a: b",
		"tags whose values are other keys":  lines(100_000, func(i int) string { return fmt.Sprintf("k%d: !!map\n", i) }),
		"anchors whose values are others":   lines(100_000, func(i int) string { return fmt.Sprintf("- &x\nk%d:\n", i) }),
		"tags whose values are other items": r("- !!seq\n", 100_000),
		"keys as values of empty items":     r("-\nk:\n", 100_000),
		"brackets closed by the other kind": r("[\nk: v\n},", 50_000),
		"braces closed by a mapping within": r("{a:\nk: v\n},b: ", 50_000),
		"keys of one mapping":               lines(200_000, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }),
		"keys of one mapping, empty":        lines(100_000, func(i int) string { return fmt.Sprintf("k%d:\n", i) }),
		"keys of nested mappings": lines(40, func(d int) string {
			return lines(3000, func(i int) string { return fmt.Sprintf("%sk%d: 1\n", r(" ", d), i) }) + r(" ", d) + "z:\n"
		}),
		"keys of pairs in a list":      "[\n" + lines(100_000, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }) + "]",
		"empty items":                  r("-\n", 400_000),
		"empty values in braces":       "{" + r("a,", 400_000) + "a}",
		"a long key above many":        r("k", 100_000) + ":\n" + lines(4000, func(i int) string { return fmt.Sprintf(" a%d: 1\n", i) }),
		"long keys above many":         lines(30, func(i int) string { return r(" ", i) + r("k", 1000) + ":\n" }) + lines(100_000, func(_ int) string { return r(" ", 31) + "- a\n" }),
		"blank lines after block text": "a: |\n" + r(" x\n", 50_000) + r("\n", 50_000),
		"blank lines at the root":      "|\n" + r("\n", 50_000),
		"blank lines with blanks":      "a:\n    >\n" + r("  x\n", 50_000) + r("   \r\n", 50_000),
		"tabs in quotes":               "a: \"" + r("\t~", 200_000) + "\"",
		"many < in a row":              r("<", 500_000),
		"documents":                    r("--- a\n", 200_000),
		"document ends":                r("a\n...\n", 200_000),
		"directives":                   r("%a\n", 100_000),
		"reserved characters":          r("@", 100_000),
		"stars":                        r("*a ", 100_000),
		"commas":                       "[" + r(",", 100_000),
		"colons":                       r(": ", 100_000),
		"aliases of aliases": "a0: &a0 [x]\n" + lines(30, func(i int) string {
			return fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i+1, i+1, r(fmt.Sprintf("*a%d,", i), 20), i)
		}),
		"aliases of a long list":      "a: &a [" + r("x,", 50_000) + "]\nb:\n" + r("  - *a\n", 50_000),
		"an alias of itself":          "a: &a [*a]",
		"an alias of itself as a key": "a: &a {b: 1, <<: *a}",
	}
}

// heavy are the largest texts of their kinds that are taken.
func heavy() map[string]string {
	r := strings.Repeat
	return map[string]string{
		"brackets":          r("[", maxDepth) + r("]", maxDepth),
		"braces":            r("{a: ", maxDepth) + "b" + r("}", maxDepth),
		"pairs in brackets": r("[a: ", maxDepth/2) + "b" + r("]", maxDepth/2),
		"dashes":            r("- ", maxDepth) + "a",
		"keys":              lines(maxKeys, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }),
		"empty keys":        lines(maxKeys, func(i int) string { return fmt.Sprintf("k%d:\n", i) }),
		"keys at the end of keys": lines(maxKeys-1, func(i int) string { return fmt.Sprintf("k%d:\n", i) }) + "z:\n" +
			lines(maxKeys, func(i int) string { return fmt.Sprintf(" k%d:\n", i) }),
		"marked values": lines(maxDepth-1, func(i int) string { return r(" ", i) + "a: &a !!map\n" }) + r(" ", maxDepth-1) + "b: c",
		"a long list":   r("- a\n", 600_000),
		"a long line":   "[" + r("a,", 600_000) + "a]",
		"a large value": "a: " + r("x", 9_000_000),
		"block text":    "a: |\n" + r("  y\n", 1_000_000),
	}
}

func TestWhatPeopleWriteIsTaken(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "a comment": "# a\n", "null": "~",
		"a list at the indentation of its key": "a:\n- b: 1\n  c: 2\n- b: 3\nd:\n- e\n",
		"an anchored list, not indented":       "a: &x\n- b\nc: *x\n",
		"anchors and aliases":                  "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 1\n",
		"tags":                                 "a: !!str 1\nb: !!map {c: d}\ne: !!seq\n- f\n",
		"an anchor before a mapping":           "a: &x\n  b: 1\nc: *x\n",
		"JSON":                                 "{\n\"a\": 1,\n\"b\": [\n1,\n{\n\"c\": null\n}\n]\n}\n",
		"many pairs in a line":                 "[" + strings.Repeat("a: 1, ", 200) + "b: 2]",
		"block text with colons and dashes":    "a: |\n  - b: c\n  [[[[\nd: >-\n  ? e\n",
		"block texts between blank lines":      strings.Repeat("- a: |\n    text\n\n  b: 1\n\n\n", 10_000),
		"tabs":                                 strings.Repeat("a: \t\"b\tc\"\t# d\n", 1) + "e: |\n" + strings.Repeat("  x\ty\n", 10_000),
		"quotes":                               "'a': \"b: [c\"\n\"d\": 'e'\n",
		"a document that is marked":            "--- \na: 1\n...\n",
		"an address":                           "listeners:\n  - {name: web, address: 0.0.0.0:8080}\n",
		"values without text":                  "a:\nb:\n  c:\n  - d:\n",
		"text over lines":                      "a: b\n  c\n  d\ne: f\n",
		"carriage returns":                     "a: 1\r\nb:\r\n  - c\r\n",
		"keys beside lists of lists":           "a:\n  - - 1\n    - 2\n  - - 3\nb: 1\n",
	} {
		if _, err := Parse([]byte(text), wide); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheFilesOfThisProjectAreTaken(t *testing.T) {
	n := 0
	for _, pattern := range []string{"../../control/config/*.yaml", "../../control/config/testdata/*.yaml", "../../../deployment/*/*.yaml", "../../../deployment/*/*.yml", "../../../api/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, parses := parser.ParseBytes(src, 0); parses != nil {
				continue // an example of a mistake
			}
			n++
			if _, err := Parse(src, wide); err != nil && !strings.Contains(err.Error(), "document") { // manifests of Kubernetes have several
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d files", n)
	}
}

func TestErrorsNameTheLineAndQuoteNothing(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: [secret\n":                "line 2: not YAML: sequence end token ']' not found",
		"a: 1\na: secret\n":                 `line 2: not YAML: mapping key "a" already defined at [1:1]`,
		"a: 1\n---\nb: 2\n":                 "line 2: a second YAML document (after ---) is not allowed",
		"a: 1\nb: @secret":                  "line 2: not YAML: '@' is a reserved character",
		"a: !!map\nb: secret":               "line 1: an anchor or a tag without a value",
		"a: [\n" + strings.Repeat("[", 100): "line 2: nested deeper than 64 levels",
	} {
		if _, err := Parse([]byte(text), wide); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse(make([]byte, 5<<20), Small()); err == nil || err.Error() != "larger than 4096 KiB" {
		t.Errorf("%v", err)
	}
}

func TestDecodeRefusesUnknownKeysWithoutTheSource(t *testing.T) {
	var v struct {
		A int `yaml:"a"`
	}
	if err := Decode([]byte("a: 1\n"), Small(), &v); err != nil || v.A != 1 {
		t.Errorf("%v %+v", err, v)
	}
	if err := Decode([]byte("b: secret\n"), Small(), &v); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	docs, err := Documents([]byte("a: 1\n---\n- b\n"), Small())
	if err != nil || len(docs) != 2 {
		t.Errorf("%v %v", docs, err)
	}
}

func TestJSONThatIsTooDeepStaysJSON(t *testing.T) {
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	if got, err := FromJSON([]byte(deep), Small()); err != nil || string(got) != deep+"\n" {
		t.Errorf("%v", err)
	}
	if got, err := FromJSON([]byte(`{"a":[1]}`), Small()); err != nil || string(got) != "a:\n- 1\n" {
		t.Errorf("%q %v", got, err)
	}
}

// shape measures what the parser made.
type shape struct{ deep, empty, keys int }

func (s *shape) walk(n ast.Node, deep int) {
	switch n := n.(type) {
	case *ast.MappingNode:
		s.deep = max(s.deep, deep+1)
		if !n.IsFlowStyle {
			s.keys = max(s.keys, len(n.Values))
		}
		for _, v := range n.Values {
			s.walk(v.Key, deep+1)
			s.walk(v.Value, deep+1)
		}
	case *ast.SequenceNode:
		s.deep = max(s.deep, deep+1)
		for _, v := range n.Values {
			s.walk(v, deep+1)
		}
	case *ast.AnchorNode:
		s.walk(n.Value, deep)
	case *ast.TagNode:
		if _, made := n.Value.(*ast.NullNode); !made { // such a null is not put into the list of tokens
			s.walk(n.Value, deep)
		}
	case *ast.MappingKeyNode:
		s.walk(n.Value, deep)
	case *ast.NullNode:
		if n.GetToken().Type == token.ImplicitNullType {
			s.empty++
		}
	}
}

// The inspector's picture must never be smaller than what the parser makes of
// the same tokens: else a longer text of the same pattern gets past it.
func FuzzTheParserStaysWithinWhatTheInspectorSaw(f *testing.F) {
	for name, text := range hostile() {
		if len(text) < 2<<20 && name != "" {
			f.Add(text[:min(len(text), 400)])
		}
	}
	for _, text := range heavy() {
		f.Add(text[:min(len(text), 400)])
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		i := &inspector{limits: Limits{Bytes: 4096, Tokens: 4096, Documents: 100}}
		tokens, err := tokenize([]byte(text), i)
		if err != nil {
			return
		}
		file, err := parser.Parse(tokens, 0)
		if err != nil {
			_ = Short(err)
			return
		}
		var s shape
		for _, doc := range file.Docs {
			s.walk(doc.Body, 0)
		}
		if s.deep > i.deepest || s.empty > i.empty || s.keys > i.tokens {
			t.Errorf("%q: the parser made %+v; the inspector saw %d levels, %d empty values", text, s, i.deepest, i.empty)
		}
		_ = expand(file)
	})
}
