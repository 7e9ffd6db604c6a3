// Package archtest holds the import direction of the repository as a test: a
// package may import floors below its own, and packages of its own floor only
// where the pair is listed with its reason.
package archtest

import (
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

const module = "github.com/smartlb/smartlb/"

// floors, from the ground. Packages not listed here fail the test: choose.
var floors = map[string]int{
	"api": 0, "deployment/kafka": 0, // embedded files
	"internal/event": 1, "internal/topic": 1, "internal/h1": 1, "internal/router": 1, "internal/window": 1,
	"internal/backoff": 1, "internal/nearest": 1, "internal/state": 1, "internal/secret": 1, "internal/kafka/inflate": 1, "internal/score": 1, "internal/rule": 1, "internal/filter": 1, "internal/sign": 1, "internal/yamlsafe": 1, "internal/linediff": 1, "internal/mask": 1, "internal/screen": 1, "internal/readable": 1, "internal/quota": 1, "internal/pace": 1, "internal/pattern": 1,
	"internal/upstream": 2, "internal/guard": 2,
	"internal/picker": 3, "internal/dispatch": 3, "internal/analysis": 3,
	"internal/proxy": 4, "internal/probe": 4, "internal/kafka": 4, "internal/broker": 4, "internal/stack": 4, "internal/connect": 4, "internal/child": 4, "internal/access": 4,
	"internal/stack/properties": 1, "internal/distribution": 4, "internal/holder": 4,
	"internal/config": 5, "internal/profile": 5,
	"internal/keeper": 6, "internal/reporter": 6, "internal/analyzer": 6, "internal/control": 6, "internal/ops": 6,
	"internal/audit": 6, "internal/api": 6, "internal/console": 6, "internal/demo": 6, "internal/browse": 6, "internal/journal": 6, "internal/trend": 6, "internal/doctor": 6,
	"internal/app": 7, "internal/cli": 8, "cmd/smartlb": 9,
	"report": 1, "report/kafka": 6, // public; the core is std-only
	"internal/upstreamtest": 0, "internal/leftout": 0, "internal/leaktest": 0, "internal/porttest": 0, "internal/kafkatest": 6, "internal/archtest": 9, "test/e2e": 9, "test/foreign": 9, "test/crash": 9, "test/program": 8, "test/hostile": 9, "bench": 9, "bench/rig": 8, "bench/stats": 8,
}

// sameFloor lists the imports within a floor, each with its reason.
var sameFloor = map[string]string{
	"internal/topic internal/yamlsafe":        "catalogs are YAML",
	"internal/filter internal/pattern":        "expressions match regular expressions",
	"internal/sign internal/event":            "topics whose records are signed",
	"internal/event internal/readable":        "numbers of messages",
	"internal/sign internal/secret":           "keys are named, not held",
	"internal/topic internal/nearest":         "a setting that does not exist gets a suggestion",
	"internal/window internal/event":          "windows are folded from reports and become messages",
	"internal/rule internal/event":            "alerts are messages",
	"internal/score internal/window":          "scores are made of windows",
	"internal/broker internal/broker/salvage": "the directory is made whole before the broker reads it",
	"internal/dispatch internal/picker":       "tests build pools with the real Next",
	"internal/reporter internal/keeper":       "its Change is what the reporter publishes",
	"internal/analyzer internal/control":      "configured instances always have room",
	"internal/api internal/keeper":            "views of instances are converted to JSON",
	"internal/api internal/trend":             "and so are their last two minutes",
	"internal/api internal/control":           "history entries are the answer",
	"internal/api internal/ops":               "topics are the answer",
	"internal/api internal/browse":            "Kafka's views are the answer",
	"internal/browse internal/ops":            "which it asks",
	"internal/browse internal/doctor":         "whose report is the health page",
	"internal/journal internal/control":       "the log of configuration is folded as nodes do",
	"internal/journal internal/audit":         "chains of audit records are verified as they were made",
	"internal/api internal/journal":           "decisions and audit records are the answer",
	"internal/api internal/audit":             "and so is the state of their chains",
	"report/kafka internal/kafka":             "",
	"internal/stack internal/distribution":    "the runtime jvm runs what was installed",
	"internal/stack internal/holder":          "a service whose port is taken says by whom",
}

// only lists who may import a library, where that is a decision.
var only = map[string][]string{
	"github.com/twmb/franz-go":            {"internal/kafka", "internal/broker", "internal/ops", "internal/doctor", "internal/kafkatest", "report/kafka", "test/e2e", "bench/listing"},
	"github.com/prometheus/client_golang": {"internal/app"},
	"github.com/goccy/go-yaml/parser":     {"internal/yamlsafe"},
	"github.com/goccy/go-yaml/lexer":      {"internal/yamlsafe"},
	"github.com/spf13/cobra":              {"internal/cli", "cmd/smartlb"},
}

func floorOf(pkg string) (int, bool) {
	for p := pkg; p != "." && p != "/"; p = filepath.Dir(p) {
		if f, ok := floors[p]; ok {
			return f, true
		}
	}
	return 0, false
}

func TestImportsGoDown(t *testing.T) {
	root := "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && path != root)) {
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
	own, ok := floorOf(pkg)
	if !ok {
		t.Errorf("%s: package %s has no floor in archtest", path, pkg)
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	test := strings.HasSuffix(path, "_test.go")
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		for library, users := range only {
			if strings.HasPrefix(imported, library) && !test && !within(pkg, users) {
				t.Errorf("%s imports %s, which only %s may", path, imported, strings.Join(users, ", "))
			}
		}
		target, ours := strings.CutPrefix(imported, module)
		if !ours || target == pkg || test {
			continue
		}
		below, ok := floorOf(target)
		switch {
		case !ok:
			t.Errorf("%s imports %s, which has no floor", path, target)
		case below > own:
			t.Errorf("%s (floor %d) imports %s (floor %d): imports go down", path, own, target, below)
		case below == own && !strings.HasPrefix(pkg, "internal/cli") && sameFloor[pkg+" "+target] == "":
			t.Errorf("%s imports %s of its own floor: list the pair with its reason, or move something", path, target)
		}
	}
}

// Text of strangers gets to the YAML library through yamlsafe alone, which
// bounds it first.
func TestYAMLIsReadWithinBounds(t *testing.T) {
	reads := regexp.MustCompile(`\byaml\.(NewDecoder|Unmarshal\w*|YAMLToJSON|JSONToYAML|NodeToValue|Path\w*)\(`)
	err := filepath.WalkDir("../../internal", func(path string, d fs.DirEntry, err error) error {
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

// The data plane must not know Kafka or the document.
func TestProxyKnowsNeitherKafkaNorConfig(t *testing.T) {
	files, _ := filepath.Glob("../proxy/*.go")
	if len(files) == 0 {
		t.Fatal("internal/proxy has no files")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, banned := range []string{module + "internal/kafka", module + "internal/config", "franz-go"} {
			if strings.Contains(string(b), `"`+banned) {
				t.Errorf("%s imports %s", f, banned)
			}
		}
	}
}
