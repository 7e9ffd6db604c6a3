package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

const (
	migrating         = "../../../docs/migrating.md"
	migratingExamples = "../../../docs/examples/migrating/"
)

// The smartlb files of the page about other proxies are valid, and every setting in them has an effect.
func TestMigratedFilesAreValid(t *testing.T) {
	files, _ := filepath.Glob(migratingExamples + "*.smartlb.yaml")
	if len(files) != 5 {
		t.Fatalf("found %v", files)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range d.Warnings {
			t.Errorf("%s: warning: %s", name, w)
		}
		if _, err := Compile(d.Traffic, "r", upstream.NewService, Local{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The page shows each file as it is, below a link to the file.
func TestThePageAboutMigratingShowsItsFiles(t *testing.T) {
	src, err := os.ReadFile(migrating)
	if err != nil {
		t.Fatal(err)
	}
	page := string(src)
	files, _ := filepath.Glob(migratingExamples + "*")
	for _, path := range files {
		name := filepath.Base(path)
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		shown := regexp.MustCompile(`(\[` + regexp.QuoteMeta(name) + `\]\(examples/migrating/[^\n]*\n\n\x60{3}\w*\n)([^\x60]*(?:\x60{1,2}[^\x60]+)*?)(\x60{3}\n)`)
		at := shown.FindStringSubmatchIndex(page)
		switch {
		case at == nil:
			t.Errorf("the page does not show %s: want a link to the file, then a code block", name)
		case page[at[4]:at[5]] == string(file):
		case *update:
			page = page[:at[4]] + string(file) + page[at[5]:]
		default:
			t.Errorf("the page shows another %s: run go test ./internal/control/config -run Migrating -update", name)
		}
	}
	if *update && page != string(src) {
		if err := os.WriteFile(migrating, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The tables name keys that exist.
func TestPagesNameKeysThatExist(t *testing.T) {
	keys := byPath(t)
	for path, least := range map[string]int{migrating: 100, "../../../docs/features.md": 50} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`((?:listeners|routes|services|proxy|admin|console|telemetry|node)(?:\\[\\])?\\.[^`]+)`").FindAllStringSubmatch(string(page), -1)
		if len(named) < least {
			t.Errorf("%s: only %d keys were found", path, len(named))
		}
		for _, m := range named {
			if _, ok := keys[strings.ReplaceAll(m[1], "[]", "[0]")]; !ok {
				t.Errorf("%s: there is no key %s", path, m[1])
			}
		}
	}
}
