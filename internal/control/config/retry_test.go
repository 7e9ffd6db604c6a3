package config

import (
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestMistakesInRetries(t *testing.T) {
	const at = "routes[0].retry"
	for keys, want := range map[string]string{
		`on: [4xx]`:                         at + `.on[0]: "4xx": want connect-failure, reset, timeout, 5xx, a status from 400 to 599, or a status of gRPC such as UNAVAILABLE`,
		`on: [399]`:                         at + ".on[0]: ",
		`on: [600]`:                         at + ".on[0]: ",
		`on: ["-503"]`:                      at + ".on[0]: ",
		`on: [OK]`:                          at + ".on[0]: ",
		`on: [unavailable]`:                 at + ".on[0]: ",
		`on: [UNAVAILABLE]`:                 at + ".on[0]: has no effect: no service of this route speaks HTTP/2, as gRPC does",
		`on: [timeout]`:                     at + ".perTryTimeout: missing: retry on timeout wants it",
		`attempts: 4`:                       at + ".attempts: want 0 to 3, got 4",
		`perTryTimeout: 1us`:                at + ".perTryTimeout: want at least 1ms",
		`backoff: {}`:                       at + ".backoff.base: missing: want 1ms to 10s",
		`backoff: {max: 1s}`:                at + ".backoff.base: missing: want 1ms to 10s",
		`backoff: {base: 0s}`:               at + ".backoff.base: want 1ms to 10s, got 0s",
		`backoff: {base: 11s}`:              at + ".backoff.base: want 1ms to 10s, got 11s",
		`backoff: {base: 100ms, max: 50ms}`: at + ".backoff.max: want 100ms (base) to 10s, got 50ms",
		`backoff: {base: 100ms, max: 11s}`:  at + ".backoff.max: want 100ms (base) to 10s, got 11s",
		`on: ["503"], maxRetryAfter: 6m`:    at + ".maxRetryAfter: want 0s to 5m, got 6m0s",
		`on: ["503"], maxRetryAfter: -1s`:   at + ".maxRetryAfter: a duration cannot be negative",
		`on: ["502"], maxRetryAfter: 1s`:    at + ".maxRetryAfter: has no effect: retry.on has neither 429 nor 503",
		`maxRetryAfter: 1s`:                 at + ".maxRetryAfter: has no effect",
	} {
		_, err := Parse(withRoute("service: s, retry: {" + keys + "}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", keys, err, want)
		}
	}
	for keys, want := range map[string]string{
		`retryBudget: {share: 1.1}`: "services[0].retryBudget.share: want 0 to 1, got 1.1",
		`retryBudget: {share: -1}`:  "services[0].retryBudget.share: want 0 to 1, got -1",
		`retryBudget: {min: -1}`:    "services[0].retryBudget.min: want 0 to 10000, got -1",
		`retryBudget: {min: 10001}`: "services[0].retryBudget.min: want 0 to 10000, got 10001",
		`retryBudget: {max: 1}`:     "services[0].retryBudget.max: unknown key",
	} {
		if _, err := Parse(withService(keys)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", keys, err, want)
		}
	}
}

func TestMistakesInHedges(t *testing.T) {
	const at = "routes[0].hedge"
	for keys, want := range map[string]string{
		`service: s, hedge: {after: p99}`:             at + `.after: "p99": want p95, or a duration from 1ms to 1m`,
		`service: s, hedge: {after: 100us}`:           at + ".after: ",
		`service: s, hedge: {after: 2m}`:              at + ".after: ",
		`service: s, hedge: {after: -1s}`:             at + ".after: ",
		`service: s, hedge: {after: 100}`:             at + ".after: ",
		`service: s, hedge: p95`:                      at + ": want keys with values",
		`service: s, methods: [POST, PUT], hedge: {}`: at + ": has no effect: the route takes none of GET, HEAD and OPTIONS",
		`response: {status: 200}, hedge: {}`:          at + ": has no effect: a route with response asks no instance",
	} {
		if _, err := Parse(withRoute(keys)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", keys, err, want)
		}
	}
	for keys, want := range map[string]time.Duration{`hedge: {}`: 0, `hedge: {after: p95}`: 0, `hedge: {after: 250ms}`: 250 * time.Millisecond} {
		d, err := Parse(withRoute("service: s, " + keys))
		if err != nil {
			t.Fatal(err)
		}
		route, err := compileRoute(d.Routes[0], upstream.NewService, map[string]destination{})
		if err != nil || route.Hedge == nil || route.Hedge.After != want {
			t.Errorf("%s: got %+v, %v", keys, route, err)
		}
	}
	d, _ := Parse(withRoute("service: s"))
	if route, err := compileRoute(d.Routes[0], upstream.NewService, map[string]destination{}); err != nil || route.Hedge != nil {
		t.Errorf("a route without hedge: %+v, %v", route, err)
	}
}

func TestRetriesAreCompiled(t *testing.T) {
	d, err := Parse([]byte(`services: [{id: s, protocol: h2c, instances: [{id: i, address: 'h:1'}], retryBudget: {share: 0, min: 7}}]
routes: [{name: r, service: s, retry: {attempts: 3, on: [5xx, "429", UNAVAILABLE, reset], backoff: {base: 50ms}}}, {name: other, path: {prefix: /o}, service: s, retry: {backoff: {base: 5s}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	service := upstream.NewService("s")
	route, err := compileRoute(d.Routes[0], func(string) *upstream.Service { return service }, map[string]destination{})
	if err != nil {
		t.Fatal(err)
	}
	r := route.Retry
	if !r.OnStatus.Has(500) || !r.OnStatus.Has(599) || !r.OnStatus.Has(429) || r.OnStatus.Has(499) || r.OnGRPC != 1<<14 || !r.OnReset || r.OnConnect || r.Attempts != 3 {
		t.Errorf("conditions %+v", r)
	}
	if r.Backoff.Base != 50*time.Millisecond || r.Backoff.Max != 500*time.Millisecond || r.MaxRetryAfter != 10*time.Second || d.Routes[1].Retry.Backoff.Max != 10*time.Second {
		t.Errorf("waits %+v", r)
	}
	if b := d.Services[0].RetryBudget; b.Share != 0 || b.Min != 7 {
		t.Errorf("budget %+v", b)
	}
}
