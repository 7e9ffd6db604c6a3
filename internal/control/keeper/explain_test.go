package keeper

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Explain said of every drain that it ends "after undrain or a HEALTHY
// message": a message does not end an operator's drain, nor undrain a message.
func TestExplainSaysWhatEndsADrain(t *testing.T) {
	report := func(status string, acts bool) []ReportView {
		return []ReportView{{Sender: "s", Status: status, Holds: true, Acts: acts}}
	}
	for name, row := range map[string]struct {
		operator      bool
		reports       []ReportView
		want, wantNot []string
	}{
		"an operator's": {true, nil, []string{"operator's drain", "undrain i"}, []string{"HEALTHY", "message"}},
		"a message":     {false, report(event.StatusDraining, true), []string{"DRAINING health-status message", "reports HEALTHY"}, []string{"undrain", "operator"}},
		"both":          {true, report(event.StatusDraining, true), []string{"operator's drain and a DRAINING", "undrain i", "reports HEALTHY"}, nil},
		"an operator's, and a message without effect": {true, report(event.StatusDraining, false), []string{"operator's drain", "undrain i"}, []string{"HEALTHY"}},
		"an operator's, and a healthy message":        {true, report(event.StatusHealthy, false), []string{"operator's drain", "undrain i"}, []string{"HEALTHY"}},
	} {
		s := ServiceView{ID: "s", Instances: []InstanceView{{ID: "i", State: "draining", DrainedByOperator: row.operator, Reports: row.reports}}}
		lines, ok := Explain(s, "i", time.Now())
		if !ok {
			t.Fatal("not found")
		}
		for _, w := range row.want {
			if !strings.Contains(lines[0], w) {
				t.Errorf("%s: %q lacks %q", name, lines[0], w)
			}
		}
		for _, w := range row.wantNot {
			if strings.Contains(lines[0], w) {
				t.Errorf("%s: %q has %q", name, lines[0], w)
			}
		}
	}
}

// The moment of a return was the time of day of the node's zone, which a page elsewhere shows as its own.
func TestExplainWritesTimesWithTheirZone(t *testing.T) {
	now := time.Date(2026, 11, 28, 14, 3, 7, 0, time.UTC)
	s := ServiceView{ID: "s", Instances: []InstanceView{{ID: "i", State: "ejected", Until: now.Add(12 * time.Second)}}}
	lines, _ := Explain(s, "i", now)
	if want := now.Add(12 * time.Second).Local().Format("2006-01-02 15:04:05.000Z07:00"); !strings.Contains(lines[0], want) || !strings.Contains(lines[0], "in 12s") {
		t.Errorf("%q lacks %s", lines[0], want)
	}
}

func TestExplainNamesTheCapacityEstimate(t *testing.T) {
	for _, tc := range []struct {
		estimate event.CapacityEstimate
		age      time.Duration
		want     string // "": nothing is said
	}{
		{event.CapacityEstimate{Load: event.Some(40), RPS: event.Some(125), Bound: "utilization", Confidence: "high"}, time.Second, "It can carry about 125 requests/s, limited by utilization (confidence high); its present load is 40 requests/s, 32 % of that."},
		{event.CapacityEstimate{Load: event.Some(4), RPS: event.Some(8), Bound: "latency", Confidence: "low", Reason: "r"}, time.Second, "It can carry about 8.0 requests/s, limited by latency (confidence low: r); its present load is 4.0 requests/s, 50 % of that."},
		{event.CapacityEstimate{Load: event.Some(40), RPS: event.Some(60), Bound: "seen", Confidence: "low", Reason: "r"}, time.Second, "It can carry at least 60 requests/s, its limit is unknown (confidence low: r); its present load is 40 requests/s, 67 % of that."},
		{event.CapacityEstimate{Load: event.Some(40), Confidence: "none", Reason: "it has too few requests"}, time.Second, "How many requests it can carry is unknown (it has too few requests); its present load is 40 requests/s."},
		{event.CapacityEstimate{Load: event.Some(40), RPS: event.Some(125), Bound: "cpu", Confidence: "medium", Reason: "r"}, 2 * time.Minute, "limited by cpu (confidence medium: r); its present load is unknown."},
		{event.CapacityEstimate{Load: event.Some(0), RPS: event.Some(0), Bound: "cpu", Confidence: "medium", Reason: "r"}, 0, "How many requests it can carry is unknown (r); its present load is 0.0 requests/s."},
		{event.CapacityEstimate{Load: event.Some(40), RPS: event.Some(125), Bound: "cpu", Confidence: "medium"}, 4 * time.Minute, ""},
		{event.CapacityEstimate{}, time.Second, ""}, // of an earlier analyzer
	} {
		s := ServiceView{ID: "s", Instances: []InstanceView{{ID: "i", State: "in", SlowStart: 1, Score: &event.HealthScore{Estimate: tc.estimate}, ScoreAge: tc.age}}}
		lines, _ := Explain(s, "i", time.Now())
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, tc.want) || tc.want == "" && strings.Contains(text, "carry") {
			t.Errorf("%+v: got %s, want %s", tc.estimate, text, tc.want)
		}
	}
}
