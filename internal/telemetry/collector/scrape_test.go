package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/base/promtext"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
)

func TestMetricsOfPages(t *testing.T) {
	s, err := newSampler(config.ScrapeMetrics{
		Utilization: "busy / workers", Memory: "memory", InFlight: "in_flight", Queue: "waiting", Requests: "requests_total", Errors: `requests_total{code=~"5.."}`,
	}, promtext.ParseExpr)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1000, 0)
	for i, step := range []struct {
		after time.Duration
		page  string
		want  event.Metrics
	}{
		{0, "busy 3\nworkers 4\nmemory -1\nin_flight 5\nwaiting 2\nrequests_total{code=\"200\"} 100\nrequests_total{code=\"503\"} 10\n",
			event.Metrics{Utilization: event.Some(.75), ActiveConnections: event.Some(7)}},
		{5 * time.Second, "busy 9\nworkers 4\nmemory .5\nrequests_total{code=\"200\"} 190\nrequests_total{code=\"503\"} 20\n",
			event.Metrics{Utilization: event.Some(1), MemoryUsage: event.Some(.5), RPS: event.Some(20), ErrorRate: event.Some(.1)}},
		{2 * time.Second, "waiting 1\nrequests_total{code=\"200\"} 190\nrequests_total{code=\"503\"} 20\n", // idle: no share of errors
			event.Metrics{ActiveConnections: event.Some(1), RPS: event.Some(0)}},
		{2 * time.Second, "requests_total{code=\"200\"} 3\n", event.Metrics{}}, // began anew
		{2 * time.Second, "requests_total{code=\"200\"} 5\nrequests_total{code=\"500\"} 2\n", event.Metrics{RPS: event.Some(2)}},
		{2 * time.Second, "requests_total{code=\"200\"} 6\nrequests_total{code=\"500\"} 3\n", event.Metrics{RPS: event.Some(1), ErrorRate: event.Some(.5)}},
		{time.Hour, "requests_total{code=\"200\"} 600\nrequests_total{code=\"500\"} 3\n", event.Metrics{}}, // nobody knows when they were
		{0, "requests_total{code=\"200\"} 700\n", event.Metrics{}},                                         // the clock stood still
		{2 * time.Second, "<html>\n", event.Metrics{}},
		{2 * time.Second, "requests_total 800\n", event.Metrics{}},
	} {
		at = at.Add(step.after)
		values, err := promtext.Read(strings.NewReader(step.page), s.wanted())
		if err != nil {
			t.Fatal(err)
		}
		got := s.metrics(values, at)
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
		if m := (event.ServiceMetrics{Timestamp: at, ServiceID: "s", InstanceID: "i", Metrics: got}); got != (event.Metrics{}) && m.Validate() != nil {
			t.Errorf("step %d: %v", i, m.Validate())
		}
	}
}
