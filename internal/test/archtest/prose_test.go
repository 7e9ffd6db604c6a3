package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// banned are words and phrases that hide who acts, or that are not the field's word (docs/glossary.md).
var banned = regexp.MustCompile(`(?i)\b(whoever|somebody|anybody|nobody|mend|mends|mended|by (?:it|them)sel(?:f|ves)|those who|one who|who looks|let in|is told|are told|in the clear)\b`)

// allowed are the places where a banned word is meant: the glossary's column of words to avoid, and the party nobody of
// the blame table.
func allowed(path, line, word string) bool {
	cells := strings.Split(strings.Trim(line, "| \n"), "|")
	last := strings.TrimSpace(cells[len(cells)-1])
	return strings.HasSuffix(path, "docs/glossary.md") && strings.Contains(last, word) ||
		word == "nobody" && (last == "nobody" || strings.HasSuffix(path, "dispatch/blame.go"))
}

// TestTextsAreInPlainEnglish reads what users see: pages, the strings of commands and the console, the description of
// the API.
func TestTextsAreInPlainEnglish(t *testing.T) {
	root := "../../.."
	read := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "dist" || d.Name() == "test-results" || rel == "bench" || strings.HasPrefix(d.Name(), ".") && path != root {
				return filepath.SkipDir
			}
			return nil
		}
		var lines []string
		switch name := d.Name(); {
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(rel, "test/") && !strings.HasPrefix(rel, "internal/test/"):
			lines, err = literals(path)
		case strings.HasSuffix(name, ".md"), rel == "api/openapi.yaml":
			lines, err = linesOf(path)
		case strings.HasSuffix(name, ".tsx"):
			if lines, err = linesOf(path); err == nil {
				for i := range lines {
					lines[i], _, _ = strings.Cut(lines[i], "//")
					if strings.Contains(lines[i], "/*") || strings.HasPrefix(strings.TrimSpace(lines[i]), "*") {
						lines[i] = ""
					}
				}
			}
		}
		for n, line := range lines {
			read++
			for _, word := range banned.FindAllString(line, -1) {
				if !allowed(rel, line, strings.ToLower(word)) {
					t.Errorf("%s:%d: %q: name the actor, or use the field's word (docs/glossary.md): %s", rel, n+1, word, strings.TrimSpace(line))
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 5000 {
		t.Errorf("only %d lines were read", read)
	}
}

func linesOf(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	return strings.Split(string(b), "\n"), err
}

// literals gives the strings of a Go file, each at the index of its line.
func literals(path string) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		return nil, err
	}
	lines := make([]string, set.File(file.Pos()).LineCount())
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				lines[set.Position(lit.Pos()).Line-1] += text + " "
			}
		}
		return true
	})
	return lines, nil
}

// TestNamesAreOfTheGlossary refuses declared names with a word that the glossary excludes from code.
func TestNamesAreOfTheGlossary(t *testing.T) {
	root := "../../.."
	glossary, err := os.ReadFile(filepath.Join(root, "docs/glossary.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(glossary), "\nNames in code:")
	_, list, _ = strings.Cut(list, "Do not use")
	excluded := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(list, -1) {
		excluded[m[1]] = true
	}
	if len(excluded) < 5 {
		t.Fatalf("the glossary excludes only %v", excluded)
	}
	words := regexp.MustCompile(`[A-Z]?[a-z]+`)
	for _, dir := range []string{"bench", "clients", "cmd", "internal", "report", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, name := range declared(file) {
				for _, w := range words.FindAllString(name.Name, -1) {
					if excluded[strings.ToLower(w)] && file.Name.Name+"."+name.Name != "event.Some" {
						t.Errorf("%s: the name %s: docs/glossary.md excludes %q", set.Position(name.Pos()), name.Name, strings.ToLower(w))
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// declared returns the names that a file declares: of types, functions, fields, parameters, constants and variables.
func declared(file *ast.File) (names []*ast.Ident) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			names = append(names, n.Name)
		case *ast.TypeSpec:
			names = append(names, n.Name)
		case *ast.ValueSpec:
			names = append(names, n.Names...)
		case *ast.Field:
			names = append(names, n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, left := range n.Lhs {
					if id, ok := left.(*ast.Ident); ok {
						names = append(names, id)
					}
				}
			}
		}
		return true
	})
	return names
}
