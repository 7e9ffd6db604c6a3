package config

import (
	"strings"
	"testing"
)

func TestMistakesInMirrorsAreNamed(t *testing.T) {
	for _, tc := range []struct{ route, want string }{
		{"service: a, mirror: {service: b}", ""},
		{"service: a, mirror: {service: b, percent: 0.01}", ""},
		{"service: a, mirror: {service: a, percent: 100}", ""},
		{"split: [{service: a, weight: 1}], mirror: {service: b}", ""},
		{"service: a, mirror: {}", "line 4: routes[0].mirror.service: missing"},
		{"service: a, mirror: {service: c}", `line 4: routes[0].mirror.service: there is no service "c"; services: a, b`},
		{"service: a, mirror: {service: b, percent: 0}", "line 4: routes[0].mirror.percent: want above 0 to 100, got 0"},
		{"service: a, mirror: {service: b, percent: -1}", "line 4: routes[0].mirror.percent: want above 0 to 100, got -1"},
		{"service: a, mirror: {service: b, percent: 100.5}", "line 4: routes[0].mirror.percent: want above 0 to 100, got 100.5"},
		{"service: a, mirror: {service: b, percent: .nan}", "line 4: routes[0].mirror.percent: "},
		{"service: a, mirror: {service: b, percent: all}", "line 4: routes[0].mirror.percent: want a number"},
		{"service: a, mirror: b", "line 4: routes[0].mirror: "},
		{"service: a, mirror: {service: b, share: 1}", "line 4: routes[0].mirror.share: unknown key"},
		{"response: {status: 200}, mirror: {service: b}", "line 4: routes[0].mirror: has no effect: a route with response asks no instance"},
		{"redirect: {host: h}, mirror: {service: b}", "line 4: routes[0].mirror: has no effect: a route with redirect asks no instance"},
	} {
		src := "services:\n  - {id: a, instances: [{id: i, address: 'h:1'}]}\n  - {id: b, instances: [{id: i, address: 'h:2'}]}\nroutes: [{name: r, " + tc.route + "}]\n"
		t.Run(tc.route, func(t *testing.T) {
			d, err := Check([]byte(src))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err == nil && strings.HasSuffix(tc.route, "{service: b}") && d.Routes[0].Mirror.Percent != 100 {
				t.Errorf("default: %+v", d.Routes[0].Mirror)
			}
		})
	}
}
