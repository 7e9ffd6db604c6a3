package nearest

import (
	"strings"
	"testing"
)

func TestTheNearestNameIsOffered(t *testing.T) {
	names := []string{"service-metrics", "health-status", "routing-decisions", "config-updates", "alerts", "audit-logs"}
	for typed, want := range map[string]string{
		"service-metric": "service-metrics", "sevice-metrics": "service-metrics", "alert": "alerts", "audit_logs": "audit-logs",
		"orders": "", "": "", "x": "", strings.Repeat("a", 10_000): "",
	} {
		if got := Name(typed, names); got != want {
			t.Errorf("%.20q is near to %q, want %q", typed, got, want)
		}
	}
}
