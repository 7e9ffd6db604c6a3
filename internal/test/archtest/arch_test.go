// Package archtest holds the import direction of the repository as a test. internal/ has one folder for each subsystem
// (a group); arrows says which groups a group may import. Within a group the compiler's rule is enough.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/smartlb/smartlb/"

// arrows lists the groups that a group's files, tests apart, may import. A folder that is not listed fails the test.
var arrows = map[string][]string{
	"api": {}, "deployment": {}, "report": {}, // embedded files; the public package, which has the standard library only
	"internal/base":         {},
	"internal/event":        {"internal/base"},
	"internal/demo":         {"internal/base"},
	"internal/dataplane":    {"internal/base"}, // it knows neither Kafka nor the document
	"internal/kafka":        {"internal/base", "internal/event"},
	"report/kafka":          {"report", "internal/event", "internal/kafka", "internal/telemetry"},
	"internal/stack":        {"internal/base", "internal/kafka"},
	"internal/control":      {"internal/base", "internal/event", "internal/kafka", "internal/dataplane"},
	"internal/telemetry":    {"internal/base", "internal/event", "internal/kafka", "internal/dataplane", "internal/control"},
	"internal/console":      {"internal/base", "internal/event", "internal/kafka", "internal/dataplane", "internal/control", "internal/telemetry", "internal/stack", "api"},
	"internal/app":          {"internal/base", "internal/event", "internal/kafka", "internal/dataplane", "internal/control", "internal/telemetry", "internal/stack", "internal/console", "internal/demo", "deployment"},
	"internal/cli":          {"internal/base", "internal/event", "internal/kafka", "internal/dataplane", "internal/control", "internal/telemetry", "internal/stack", "internal/console", "internal/demo", "deployment", "report", "report/kafka"},
	"internal/cli/serve":    {"internal/base", "internal/event", "internal/kafka", "internal/dataplane", "internal/control", "internal/stack", "internal/demo", "internal/app", "internal/cli", "deployment"}, // only verbs that serve link against app
	"internal/test":         {"internal/base", "internal/event", "internal/kafka", "internal/stack", "deployment"},
	"internal/cli/commands": {"internal/cli", "internal/cli/serve"},
	"cmd":                   {"internal/cli", "internal/cli/commands"},
	"scripts":               {"internal/cli", "internal/cli/commands"},
	"tools":                 {},
	"test":                  {"internal/test"},
	"bench":                 {"internal/base", "internal/event", "internal/kafka", "internal/dataplane", "internal/control", "internal/telemetry", "internal/stack", "internal/app", "internal/test", "deployment", "report", "report/kafka"},
}

// only lists who may import a library, where that is a decision.
var only = map[string][]string{
	"github.com/twmb/franz-go":            {"internal/kafka", "internal/stack/broker", "internal/stack/doctor", "internal/test/kafkatest", "report/kafka", "test/e2e", "bench/listing"},
	"github.com/prometheus/client_golang": {"internal/app"},
	"github.com/prometheus/client_model":  {"internal/app"},
	"github.com/goccy/go-yaml/parser":     {"internal/base/yamlsafe"},
	"github.com/goccy/go-yaml/lexer":      {"internal/base/yamlsafe"},
	"go.opentelemetry.io":                 {"internal/telemetry/tracing", "tools/collector", "test/foreign/otlp"},
	"k8s.io":                              {"internal/control/discovery", "internal/telemetry/collector", "cmd/smartlb", "test/kubernetes"},
	"github.com/spf13/cobra":              {"internal/cli", "scripts/man"},
}

// groupOf gives the group of a package: the longest folder of arrows that holds it.
func groupOf(pkg string) (string, bool) {
	for p := pkg; p != "." && p != "/"; p = filepath.Dir(p) {
		if _, ok := arrows[p]; ok {
			return p, true
		}
	}
	return "", false
}

func TestGroupsImportOneWay(t *testing.T) {
	root := "../../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || (strings.HasPrefix(d.Name(), ".") && d.Name() != "../.." && path != root)) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, _ := filepath.Rel(root, path)
		check(t, filepath.ToSlash(filepath.Dir(rel)), path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, pkg, path string) {
	own, ok := groupOf(pkg)
	if !ok {
		t.Errorf("%s: package %s is in no group: put it into one, or add a group to arrows", path, pkg)
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	if strings.HasSuffix(path, "_test.go") {
		return
	}
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		for library, users := range only {
			if strings.HasPrefix(imported, library) && !within(pkg, users) {
				t.Errorf("%s imports %s, which only %s may", path, imported, strings.Join(users, ", "))
			}
		}
		target, ours := strings.CutPrefix(imported, module)
		if !ours {
			continue
		}
		group, ok := groupOf(target)
		switch {
		case !ok:
			t.Errorf("%s imports %s, which is in no group", path, target)
		case group != own && !slices.Contains(arrows[own], group):
			t.Errorf("%s (%s) imports %s: %s may import %s", path, own, target, own, strings.Join(arrows[own], ", "))
		}
	}
}

// Arrows between groups make no circle.
func TestArrowsGoOneWay(t *testing.T) {
	var walk func(path []string)
	walk = func(path []string) {
		for _, next := range arrows[path[len(path)-1]] {
			if slices.Contains(path, next) {
				t.Fatalf("a circle: %s -> %s", strings.Join(path, " -> "), next)
			}
			if _, ok := arrows[next]; !ok {
				t.Fatalf("%s may import %s, which is no group", path[len(path)-1], next)
			}
			walk(append(slices.Clone(path), next))
		}
	}
	for group := range arrows {
		walk([]string{group})
	}
}

// A verb that reads one topic must not link what a node needs.
func TestOnlyVerbsThatServeLinkApp(t *testing.T) {
	reached := map[string]bool{}
	var walk func(group string)
	walk = func(group string) {
		for _, next := range arrows[group] {
			if !reached[next] {
				reached[next] = true
				walk(next)
			}
		}
	}
	walk("internal/cli")
	if reached["internal/app"] || reached["internal/cli/serve"] || !reached["internal/kafka"] {
		t.Errorf("internal/cli reaches %v", reached)
	}
}

// Text of strangers gets to the YAML library through yamlsafe alone, which
// bounds it first.
func TestYAMLIsReadWithinBounds(t *testing.T) {
	reads := regexp.MustCompile(`\byaml\.(NewDecoder|Unmarshal\w*|YAMLToJSON|JSONToYAML|NodeToValue|Path\w*)\(`)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/yamlsafe/") {
			return err
		}
		b, err := os.ReadFile(path)
		if found := reads.Find(b); found != nil {
			t.Errorf("%s calls %s...): use yamlsafe", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func within(pkg string, users []string) bool {
	for _, u := range users {
		if pkg == u || strings.HasPrefix(pkg, u+"/") {
			return true
		}
	}
	return false
}
