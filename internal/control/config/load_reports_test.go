package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestMistakesInLoadReportsAreNamed(t *testing.T) {
	for _, tc := range []struct {
		reports, want string
		orca          dispatch.LoadReports
	}{
		{"{orca: {}}", "", dispatch.LoadReports{Read: true, Strip: true}},
		{"{orca: {strip: true}}", "", dispatch.LoadReports{Read: true, Strip: true}},
		{"{orca: {strip: false}}", "", dispatch.LoadReports{Read: true}},
		{"{}", "line 2: services[0].loadReports: has no effect: want orca", dispatch.LoadReports{}},
		{"{orca: {strip: maybe}}", "line 2: services[0].loadReports.orca.strip: want true or false", dispatch.LoadReports{}},
		{"{orca: {enabled: true}}", "line 2: services[0].loadReports.orca.enabled: unknown key", dispatch.LoadReports{}},
		{"{agent: {}}", "line 2: services[0].loadReports.agent: unknown key", dispatch.LoadReports{}},
	} {
		src := "services:\n  - {id: a, instances: [{id: i, address: 'h:1'}], loadReports: " + tc.reports + "}\n"
		d, err := Check([]byte(src))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.reports, err, tc.want)
		}
		if err == nil && leg(d.Services[0]).LoadReports != tc.orca {
			t.Errorf("%s: got %+v, want %+v", tc.reports, leg(d.Services[0]).LoadReports, tc.orca)
		}
	}
}

// The examples of the page are valid, and every setting in them has an effect.
func TestExamplesOfLoadReportsAreValid(t *testing.T) {
	page, err := os.ReadFile("../../../docs/load-reports.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```\n").FindAllSubmatch(page, -1)
	if len(examples) == 0 {
		t.Fatal("the page has no example")
	}
	for _, e := range examples {
		d, err := Parse(e[1])
		if err != nil || len(d.Warnings) > 0 {
			t.Errorf("%s\n%v %v", e[1], err, d.Warnings)
			continue
		}
		if _, err := Compile(d.Traffic, "r", upstream.NewService, Local{}); err != nil {
			t.Errorf("%s\n%v", e[1], err)
		}
	}
}
