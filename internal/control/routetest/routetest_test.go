package routetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

const document = `services: [{id: s, instances: [{id: i, address: "10.0.0.1:80"}], rateLimits: [{name: total, rate: 5000/s, scope: fleet}]}]
routes:
  - {name: rest, service: s}
  - {name: canary, path: {prefix: /users}, headers: [{name: X-Canary, exact: "yes"}], service: s}
  - {name: inside, path: {exact: /admin}, clients: [10.0.0.0/8], response: {status: 204}}
  - {name: shop, hosts: [shop.example.com], serverNames: [shop.example.com], service: s}
  - {name: night, path: {exact: /night}, hours: [{from: "22:00", to: "06:00"}], service: s}
`

func TestEachRouteHasAReason(t *testing.T) {
	traffic, err := config.ParseTraffic([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		request Request
		want    string // route: reasons of the routes
	}{
		{Request{Method: "GET", URL: "/users/1", Headers: []string{"x-canary:yes"}}, "canary: takes the request"},
		{Request{Method: "GET", URL: "/users/1"}, `rest: header is none, want X-Canary: "yes"`},
		{Request{Method: "GET", URL: "/admin", Client: "::ffff:10.1.2.3"}, "inside: route inside goes before it"},
		{Request{Method: "GET", URL: "https://shop.example.com:8443/"}, "shop: takes the request"},
		{Request{Method: "GET", URL: "https://shop.example.com/", ServerName: "other"}, `rest: server name is other, want shop.example.com`},
		{Request{Method: "GET", URL: "/night"}, "rest: takes the request"},
		{Request{Method: "GET", URL: "/night", At: noon.Add(11 * time.Hour)}, "night: takes the request"},
		{Request{Method: "GET", URL: "shop"}, "want a URL"},
		{Request{Method: "GET", URL: "/", Client: "shop"}, "is no address"},
		{Request{Method: "GET", URL: "/", Headers: []string{"X-A"}}, "want name:value"},
		{Request{Method: "GET", URL: "/", Headers: []string{"X-A: a\r\nX-B: b"}}, "want name:value"},
		{Request{Method: "GET\r\n", URL: "/"}, "neither blanks nor line ends"},
		{Request{URL: "/"}, "a proxy refuses this request with 400"},
	} {
		r, err := Run(traffic, row.request, noon)
		var reasons []string
		for _, s := range r.Steps {
			reasons = append(reasons, r.Reason(s))
		}
		got := r.Route + ": " + strings.Join(reasons, "; ")
		if err != nil {
			got = err.Error()
		}
		if route, reason, ok := strings.Cut(row.want, ": "); !strings.Contains(got, row.want) && (!ok || !strings.HasPrefix(got, route+": ") || !strings.Contains(got, reason)) {
			t.Errorf("%+v: got %s, want %s", row.request, got, row.want)
		}
		if bad := (*Invalid)(nil); err != nil && errors.As(err, &bad) == strings.HasPrefix(got, "a proxy refuses") {
			t.Errorf("%+v: %T", row.request, err)
		}
	}
	if r, err := Run(traffic, Request{Method: "GET", URL: "/users"}, noon); err != nil || len(r.Limits) != 1 || r.Limits[0].Of != "service s" || r.Target != "service s" {
		t.Errorf("got %+v, %v", r, err)
	}
}
