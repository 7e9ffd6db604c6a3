package config

import (
	"strings"
	"testing"
	"time"
)

func TestMistakesInConcurrencyAreNamed(t *testing.T) {
	for _, tc := range []struct{ service, route, want string }{
		{"{limit: 1}", "", ""},
		{"{perInstance: 1000000, queue: 0}", "", ""},
		{"{limit: 5, queue: 100000, queueTimeout: 720h}", "priority: low", ""},
		{"{limit: 5}", "priority: header:X-Priority", ""},
		{"{limit: 5}", "priority: normal", ""},
		{"{}", "", "line 2: services[0].concurrency: has no effect: want limit or perInstance"},
		{"{queue: 5}", "", "line 2: services[0].concurrency: has no effect: want limit or perInstance"},
		{"{limit: -1}", "", "line 2: services[0].concurrency.limit: want 0 to 1000000, got -1"},
		{"{limit: 1000001}", "", "line 2: services[0].concurrency.limit: want 0 to 1000000, got 1000001"},
		{"{perInstance: -1}", "", "line 2: services[0].concurrency.perInstance: want 0 to 1000000, got -1"},
		{"{limit: 1, queue: -1}", "", "line 2: services[0].concurrency.queue: want 0 to 100000, got -1"},
		{"{limit: 1, queue: 100001}", "", "line 2: services[0].concurrency.queue: want 0 to 100000, got 100001"},
		{"{limit: 1, queueTimeout: 0s}", "", "line 2: services[0].concurrency.queueTimeout: want 1ms to 720h"},
		{"{limit: 1, queueTimeout: 721h}", "", "line 2: services[0].concurrency.queueTimeout: want 1ms to 720h"},
		{"{limit: 1, queue: 0, queueTimeout: 1s}", "", "line 2: services[0].concurrency.queueTimeout: has no effect: queue is 0"},
		{"{limit: 5, adaptive: {}}", "", ""},
		{"{perInstance: 2, adaptive: {min: 1000000, tolerance: 10}}", "", ""},
		{"{limit: 5, adaptive: {min: 4, tolerance: 1.1}}", "", ""},
		{"{adaptive: {}}", "", "line 2: services[0].concurrency: has no effect: want limit or perInstance"},
		{"{limit: 5, adaptive: {min: 0}}", "", "line 2: services[0].concurrency.adaptive.min: want 1 to 1000000, got 0"},
		{"{limit: 5, adaptive: {min: 1000001}}", "", "line 2: services[0].concurrency.adaptive.min: want 1 to 1000000, got 1000001"},
		{"{limit: 5, adaptive: {min: 5}}", "", "line 2: services[0].concurrency.adaptive.min: 5 leaves nothing to adapt: want less than limit, which is 5"},
		{"{limit: 3, adaptive: {}}", "", "line 2: services[0].concurrency.adaptive.min: 3 leaves nothing to adapt"},
		{"{limit: 5, adaptive: {tolerance: 1}}", "", "line 2: services[0].concurrency.adaptive.tolerance: want 1.1 to 10, got 1"},
		{"{limit: 5, adaptive: {tolerance: 10.1}}", "", "line 2: services[0].concurrency.adaptive.tolerance: want 1.1 to 10, got 10.1"},
		{"{limit: 5, adaptive: {tolerance: .nan}}", "", "line 2: services[0].concurrency.adaptive.tolerance: "},
		{"{limit: 5, adaptive: {max: 9}}", "", "line 2: services[0].concurrency.adaptive.max: unknown key"},
		{"{limit: 5, adaptive: true}", "", "line 2: services[0].concurrency.adaptive: "},
		{"{limit: many}", "", "line 2: services[0].concurrency.limit: want a whole number"},
		{"{max: 1}", "", "line 2: services[0].concurrency.max: unknown key"},
		{"{limit: 1}", "priority: high", `line 3: routes[0].priority: unknown priority "high", want normal, low or header:NAME`},
		{"{limit: 1}", "priority: 'header:'", `line 3: routes[0].priority: unknown priority "header:", want normal, low or header:NAME`},
		{"{limit: 1}", "priority: 'header:X Y'", `line 3: routes[0].priority: "X Y": the name of a header has no such character`},
	} {
		src := "services:\n  - {id: a, instances: [{id: i, address: 'h:1'}], concurrency: " + tc.service + "}\nroutes: [{name: r, service: a, " + tc.route + "}]\n"
		t.Run(src, func(t *testing.T) {
			d, err := Check([]byte(src))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if n := d.Services; err == nil && strings.Contains(tc.service, "limit: 1}") && (n[0].Concurrency.Queue != 1024 || n[0].Concurrency.QueueTimeout != 5*time.Second) {
				t.Errorf("defaults: %+v", n[0].Concurrency)
			}
		})
	}
	if _, err := Check([]byte("routes: [{name: r, response: {status: 200}, priority: low}]\n")); err != nil {
		t.Errorf("a priority without a queue, which matters while memory is short: %v", err)
	}
}
