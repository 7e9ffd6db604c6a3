package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// A collector of OpenTelemetry joins what an instance sent at several times into one request.
func TestTheLatestPointOfASeriesCounts(t *testing.T) {
	for _, delta := range []bool{false, true} {
		for _, reversed := range []bool{false, true} {
			x := receive(t, "")
			began, totals := x.now.Add(-time.Hour), []int{1000, 1050, 1100}
			if delta {
				totals = []int{1000, 50, 50}
			}
			at := func(requests, busy int) string {
				return resourceOf("shop", "shop-1", x.gauge("workers.busy", float64(busy)), x.gauge("workers.max", 8), x.gauge("http.server.active_requests", 3), x.durations(began, delta, map[int]int{200: requests, 503: 0}))
			}
			x.send(true, at(totals[0], 1))
			x.now = x.now.Add(5 * time.Second)
			first := at(totals[1], 4)
			x.now = x.now.Add(5 * time.Second)
			second := at(totals[2], 6)
			if reversed {
				first, second = second, first
			}
			x.send(true, first, second)
			want := event.Metrics{Utilization: event.Some(.75), ActiveConnections: event.Some(3), RPS: event.Some(10), ErrorRate: event.Some(0)}
			if m, _ := x.last("shop-1"); m.Metrics != want || !m.Timestamp.Equal(x.now) {
				t.Errorf("delta %v, reversed %v: got %+v", delta, reversed, m.Metrics)
			}
		}
	}
}

// Series of several scopes, and of several attributes, are added up.
func TestSeriesOfSeveralScopesAreAddedUp(t *testing.T) {
	x := receive(t, "")
	two := resourceOf("shop", "shop-1", x.gauge("http.server.active_requests", 3))
	two = strings.Replace(two, `"scopeMetrics": [`, `"scopeMetrics": [{"scope": {"name": "express"}, "metrics": [`+x.gauge("http.server.active_requests", 4)+`]}, `, 1)
	for _, binary := range []bool{false, true} {
		x.send(binary, two)
		if m, n := x.last("shop-1"); n == 0 || m.Metrics.ActiveConnections != event.Some(7) {
			t.Errorf("got %+v", m.Metrics)
		}
	}
}
