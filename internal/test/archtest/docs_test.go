package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pages that say what shows a claim are worth something while the tests that
// they name exist.
func TestThePagesNameTestsThatExist(t *testing.T) {
	exists := map[string]bool{}
	err := filepath.WalkDir("../../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(b, -1) {
			exists[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	design, err := filepath.Glob("../../../docs/design/*.md")
	if err != nil {
		t.Fatal(err)
	}
	least := map[string]int{"seed-coverage.md": 30, "security.md": 30, "features.md": 30}
	for _, path := range slices.Concat(pages, design, []string{"../../../README.md", "../../../ARCHITECTURE.md", "../../../CONTRIBUTING.md"}) {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(page), -1)
		if len(named) < least[name] {
			t.Errorf("%s: only %d tests are named", name, len(named))
		}
		for _, test := range named {
			if !exists[test] {
				t.Errorf("%s: there is no %s", name, test)
			}
		}
	}
}

// ARCHITECTURE.md leads to files by links, and through the journeys to functions.
func TestArchitectureNamesWhatExists(t *testing.T) {
	root := "../../.."
	page, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for _, m := range link.FindAllSubmatch(page, -1) {
		if _, err := os.Stat(filepath.Join(root, string(m[1]))); err != nil {
			t.Errorf("the link leads nowhere: %v", err)
		}
	}
	hops := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[2], ".go](") || !strings.Contains(cells[3], "`") {
			continue
		}
		hops++
		var source strings.Builder
		for _, m := range link.FindAllStringSubmatch(cells[2], -1) {
			b, err := os.ReadFile(filepath.Join(root, m[1]))
			if err != nil {
				t.Error(err)
			}
			source.Write(b)
		}
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[3], -1) {
			if !regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?` + m[1] + `[\[(]`).MatchString(source.String()) {
				t.Errorf("%s: there is no function %s", strings.TrimSpace(cells[2]), m[1])
			}
		}
	}
	if hops < 30 {
		t.Errorf("only %d steps of journeys were found", hops)
	}
	err = filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "testdata" || d.Name() == "test" {
			return filepath.SkipDir
		}
		sources, err := filepath.Glob(filepath.Join(path, "*.go"))
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if len(sources) > 0 && !regexp.MustCompile("`([a-z0-9]+/)?"+d.Name()+"`").Match(page) && !strings.Contains(string(page), "]("+rel+")") {
			t.Errorf("the tables do not name %s", rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLinksBetweenPagesLeadSomewhere follows the relative links of all pages to their files and headings.
func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	root := "../../.."
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	inHeading := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	dropped := regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
	anchors := func(page string) map[string]bool { // as GitHub makes them
		out := map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(page, -1) {
			text := dropped.ReplaceAllString(strings.ToLower(inHeading.ReplaceAllString(m[1], "$1")), "")
			out[strings.ReplaceAll(text, " ", "-")] = true
		}
		return out
	}
	links := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "test-results" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".md") {
			return nil
		}
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(page), -1) {
			if strings.Contains(m[1], ":") {
				continue // on another host
			}
			links++
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			there, err := os.ReadFile(target)
			if info, missing := os.Stat(target); missing != nil {
				t.Errorf("%s: %s: %v", path, m[0], missing)
			} else if m[2] != "" && !info.IsDir() && (err != nil || !anchors(string(there))[m[2]]) {
				t.Errorf("%s: %s: there is no such heading", path, m[0])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links < 300 {
		t.Errorf("only %d links were found", links)
	}
}
