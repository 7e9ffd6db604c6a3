package prometheus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/leftout"
	"github.com/smartlb/smartlb/internal/test/queries"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(leftout.Unless(t, "rules of Prometheus", "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolAcceptsTheFiles(t *testing.T) {
	promtool(t, "check", "rules", "rules.yaml")
	promtool(t, "check", "config", "prometheus.yaml")
}

func TestAlertsFireWhenTheyShould(t *testing.T) { promtool(t, "test", "rules", "rules_test.yaml") }

func TestEachAlertHasATest(t *testing.T) {
	src, err := os.ReadFile("rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range queries.Rules(t, "rules.yaml") {
		if r.Alert != "" && !strings.Contains(string(src), "alertname: "+r.Alert+"\n") {
			t.Errorf("rules_test.yaml has no test of %s", r.Alert)
		}
	}
}

// pages is where the links to runbooks lead.
const pages = "https://github.com/smartlb/smartlb/blob/main/docs/"

func TestEachAlertLeadsToAHeading(t *testing.T) {
	for _, r := range queries.Rules(t, "rules.yaml") {
		if r.Alert == "" {
			continue
		}
		if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%s has no severity or no summary", r.Alert)
		}
		link, ok := strings.CutPrefix(r.Annotations["runbook_url"], pages)
		page, anchor, _ := strings.Cut(link, "#")
		if !ok || anchor == "" {
			t.Errorf("%s: the link %q leads to no page of the documentation", r.Alert, r.Annotations["runbook_url"])
			continue
		}
		if !headings(t, page)[anchor] {
			t.Errorf("%s: docs/%s has no heading %s", r.Alert, page, anchor)
		}
	}
}

// headings returns the anchors of a page's headings.
func headings(t *testing.T, page string) map[string]bool {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllSubmatch(src, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(string(m[1])), "")
		out[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return out
}

func TestQueriesUseMetricsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, listed, _ := strings.Cut(string(page), "## Reference")
	recorded := map[string]bool{}
	check := func(where, query string) {
		for _, m := range queries.Metrics(query) {
			base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(m, "")
			if !strings.Contains(listed, "`"+m+"`") && !strings.Contains(listed, "`"+base+"` | histogram") {
				t.Errorf("%s: docs/metrics.md does not list %s", where, m)
			}
		}
		for _, r := range regexp.MustCompile(`\b\w+:smartlb_\w+:\w+`).FindAllString(query, -1) {
			if !recorded[r] {
				t.Errorf("%s: no rule before it records %s", where, r)
			}
		}
	}
	for _, r := range queries.Rules(t, "rules.yaml") {
		check(r.Alert+r.Record, r.Expr)
		recorded[r.Record] = true
	}
	uids := map[string]bool{}
	for _, d := range queries.Dashboards(t, "../grafana") {
		if uids[d.UID] || d.UID == "" {
			t.Errorf("%s: the uid %q is empty or used twice", d.File, d.UID)
		}
		uids[d.UID] = true
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.Description == "" || p.GridPos.W == 0 || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q has a used id, no description, no size or no query", d.File, p.Title)
			}
			ids[p.ID] = true
			for _, target := range p.Targets {
				check(d.File+" "+p.Title, target.Expr)
			}
		}
	}
}
