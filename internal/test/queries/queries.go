// Package queries reads the queries of the rules for Prometheus and of the dashboards for Grafana. Only tests use it.
package queries

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/smartlb/smartlb/internal/base/yamlsafe"
)

// Rule is a recording rule or an alerting rule.
type Rule struct {
	Record, Alert string // one of them
	Expr, For     string
	Labels        map[string]string
	Annotations   map[string]string
}

// Rules reads a file with rules.
func Rules(t testing.TB, path string) (out []Rule) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []Rule
		}
	}
	if err := yamlsafe.Decode(src, yamlsafe.Small(), &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no rules", path)
	}
	return out
}

// Dashboard is a dashboard of Grafana, as far as the tests read it.
type Dashboard struct {
	File       string
	UID, Title string
	Panels     []Panel
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

// Panel is a part of a dashboard.
type Panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, RefID string }
}

// Dashboards reads the dashboards of a folder.
func Dashboards(t testing.TB, dir string) (out []Dashboard) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no dashboards: %v", dir, err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := Dashboard{File: filepath.Base(f)}
		if err := json.Unmarshal(src, &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out = append(out, d)
	}
	return out
}

var variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// Fill replaces the variables of a query by values. It fails t if a variable has no value.
func Fill(t testing.TB, query string, values map[string]string) string {
	t.Helper()
	return variable.ReplaceAllStringFunc(query, func(found string) string {
		m := variable.FindStringSubmatch(found)
		v, ok := values[m[1]+m[2]]
		if !ok {
			t.Errorf("the variable %s of %s has no value", found, query)
		}
		return v
	})
}

var metric = regexp.MustCompile(`\bsmartlb_[a-z0-9_]+`)

// Metrics lists the metrics of smartlb in a query, each once. Recorded series are not metrics.
func Metrics(query string) (out []string) {
	for _, at := range metric.FindAllStringIndex(query, -1) {
		recorded := at[0] > 0 && query[at[0]-1] == ':' || at[1] < len(query) && query[at[1]] == ':'
		if name := query[at[0]:at[1]]; !recorded && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
