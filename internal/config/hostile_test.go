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
