package config

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/router"
)

func TestMistakesInFaultsAreNamed(t *testing.T) {
	for _, tc := range []struct{ route, want string }{
		{"service: a, fault: {delay: {duration: 5m, share: 1}, abort: {status: 503, share: 0.001}}", ""},
		{"service: a, fault: {}", "fault: is empty: want delay or abort"},
		{"service: a, fault: {delay: {share: 1}}", "fault.delay.duration: want 1ms to 5m, got 0s"},
		{"service: a, fault: {delay: {duration: 6m, share: 1}}", "fault.delay.duration: want 1ms to 5m, got 6m0s"},
		{"service: a, fault: {delay: {duration: -1s, share: 1}}", "fault.delay.duration"},
		{"service: a, fault: {delay: {duration: 1s}}", "fault.delay.share: want above 0 to 1, got 0"},
		{"service: a, fault: {delay: {duration: 1s, share: .nan}}", "fault.delay.share"},
		{"service: a, fault: {abort: {status: 503, share: 1.1}}", "fault.abort.share: want above 0 to 1, got 1.1"},
		{"service: a, fault: {abort: {status: 503, share: -1}}", "fault.abort.share"},
		{"service: a, fault: {abort: {status: 200, share: 1}}", "fault.abort.status: want 400 to 599, got 200"},
		{"service: a, fault: {abort: {share: 1}}", "fault.abort.status"},
		{"response: {status: 200}, fault: {abort: {status: 503, share: 1}}", "fault: has no effect: a route with response asks no instance"},
	} {
		_, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: r, " + tc.route + "}\n"))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), "line 3: routes[0]."+tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.route, err, tc.want)
		}
	}
}

func TestFaultsAreCompiled(t *testing.T) {
	table := compiledJWT(t, Local{}, "  - {name: r, service: a, fault: {delay: {duration: 2s, share: 0.5}, abort: {status: 503, share: 0.1}}}\n")
	route, _ := table.Routes.Match(hashed{}, router.Peer{})
	want := action.Fault{Delay: 2 * time.Second, DelayShare: .5, Status: 503, AbortShare: .1}
	if a := route.Actions; a == nil || a.Fault == nil || *a.Fault != want || route.Traffic == nil {
		t.Errorf("%+v", a)
	}
}
