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
