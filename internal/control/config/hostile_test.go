package config

import (
	"fmt"
	"strings"
	"testing"
)

// A viewer could end the process with 100,000 brackets to config/check, and any
// writer of config-updates could do it at every start.
func TestHostileDocumentsGetMistakes(t *testing.T) {
	r := strings.Repeat
	for name, doc := range map[string]string{
		"brackets":            "routes: " + r("[", 100_000),
		"brackets as a value": "{\"routes\": " + r("[", 100_000) + r("]", 100_000) + "}",
		"a list of itself":    "services: &s\n  - instances: *s\n",
		"a million instances": "services:\n  - id: a\n    instances: &i [" + r("{},", 50_000) + "]\n" + r("  - {id: b, instances: *i}\n", 50_000),
	} {
		for what, parse := range map[string]func() error{
			"file":    func() error { _, err := Parse([]byte(doc)); return err },
			"traffic": func() error { _, err := ParseTraffic([]byte(doc)); return err },
			"part":    func() error { _, err := TrafficPart([]byte(doc)); return err },
		} {
			if err := parse(); err == nil || len(err.Error()) > 100_000 {
				t.Errorf("%s as %s: %d bytes of mistakes", name, what, len(fmt.Sprint(err)))
			}
		}
	}
}

func TestMistakesAreBounded(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("services:\n")
	for i := range 20_000 {
		fmt.Fprintf(&doc, "  - {id: s%d, instnces: [], polcy: a}\n", i)
	}
	_, err := ParseTraffic([]byte(doc.String()))
	all, ok := err.(Mistakes)
	if !ok || len(all) != maxMistakes+1 || !strings.Contains(all[maxMistakes].Text, "first 200 mistakes") {
		t.Errorf("%d mistakes, last %v", len(all), all[len(all)-1])
	}
}

// Patterns of a few bytes compile to programs of megabytes, and each request
// may be compared with all of them.
func TestPatternsAreBoundedBeforeTheyAreCompiled(t *testing.T) {
	route := func(i int, pattern string) string {
		return fmt.Sprintf("  - {name: r%d, service: s, path: {regex: %q}}\n", i, pattern)
	}
	service := "services:\n  - id: s\n    instances: [{id: i, address: \"10.0.0.1:80\"}]\n"
	many := func(n int, pattern string) string {
		var b strings.Builder
		b.WriteString(service + "routes:\n")
		for i := range n {
			b.WriteString(route(i, pattern))
		}
		return b.String()
	}
	for name, c := range map[string]struct{ doc, want string }{
		"one that repeats":         {many(1, "(x{1000}){100}"), "repeat"},
		"nested repetitions":       {many(1, "((a{10}){10}){10}(((b{10}){10}){10}){0,9}"), "repeat"},
		"alternatives that repeat": {many(1, "(abc|bcd|cde|def|efg|fgh){1000}"), "program"},
		"a long one":               {many(1, strings.Repeat("a", maxPatternBytes+1)), "longer"},
		"20,000 of them":           {many(20_000, "^/a/[0-9]+$"), "more than 2000 patterns"},
		"large classes":            {many(1, strings.Repeat(`\pL`, 1300)), "more than 100000 ranges"}, // 7 MB compiled
		"a class that repeats":     {many(1, `\pL{1,900}`), "more than 100000 ranges"},
		"many with classes":        {many(1500, strings.Repeat(`\pL`, 40)), "together have"},
		"many that repeat":         {many(1500, "x{900}"), "together"},
		"no pattern":               {many(1, "(a"), "missing closing )"},
	} {
		if _, err := ParseTraffic([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.300v", name, err)
		}
	}
	if _, err := ParseTraffic([]byte(many(10, `^/\pL{1,100}$`))); err != nil {
		t.Errorf("names of any language: %.300v", err)
	}
	if _, err := ParseTraffic([]byte(many(1000, "^/api/v[0-9]{1,3}/(users|orders)/[^/]{1,64}$"))); err != nil {
		t.Errorf("what people write: %.300v", err)
	}
}
