package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestMistakesInRateLimits(t *testing.T) {
	for keys, want := range map[string]string{
		`{rate: 1/s}`:                                         "rateLimits[0].name: missing",
		`{name: "a b", rate: 1/s}`:                            "rateLimits[0].name: \"a b\": want 1 to 128 letters",
		`{name: 'a"', rate: 1/s}`:                             "rateLimits[0].name: ",
		`{name: a, rate: 1/s}, {name: a, rate: 1/m}`:          "rateLimits[1].name: rate limit \"a\" is already at",
		`{name: a}`:                                           "rateLimits[0].rate: missing: want requests per second, minute or hour, such as 100/s, 30/m or 1000/h, and 1 to 1000000 of them",
		`{name: a, rate: 100}`:                                "rateLimits[0].rate: \"100\" is not valid: want requests per second",
		`{name: a, rate: 0/s}`:                                "is not valid",
		`{name: a, rate: -1/s}`:                               "is not valid",
		`{name: a, rate: +1/s}`:                               "is not valid",
		`{name: a, rate: 1.5/s}`:                              "is not valid",
		`{name: a, rate: 1e3/s}`:                              "is not valid",
		`{name: a, rate: 1/d}`:                                "is not valid",
		`{name: a, rate: 1/}`:                                 "is not valid",
		`{name: a, rate: 1/s/s}`:                              "is not valid",
		`{name: a, rate: "1 / s"}`:                            "is not valid",
		`{name: a, rate: ""}`:                                 "is not valid",
		`{name: a, rate: 1000001/s}`:                          "is not valid",
		`{name: a, rate: 99999999999999999999/s}`:             "is not valid",
		`{name: a, rate: [1/s]}`:                              "rateLimits[0].rate: want text, got a list",
		`{name: a, rate: 1/s, burst: 0}`:                      "rateLimits[0].burst: want 1 to 1000000, got 0",
		`{name: a, rate: 1/s, burst: -1}`:                     "rateLimits[0].burst: want 1 to 1000000, got -1",
		`{name: a, rate: 1/s, burst: 1000001}`:                "want 1 to 1000000, got 1000001",
		`{name: a, rate: 1/h, burst: 721}`:                    "rateLimits[0].burst: 721 requests at 1/h take 721h0m0s to come back, more than 720h0m0s",
		`{name: a, rate: 1/s, by: ip}`:                        "rateLimits[0].by: \"ip\": want client, header:NAME or cookie:NAME",
		`{name: a, rate: 1/s, by: "header:"}`:                 "want client, header:NAME or cookie:NAME",
		`{name: a, rate: 1/s, by: "header:a b"}`:              "rateLimits[0].by: \"a b\": the name of a header or cookie has no such character",
		`{name: a, rate: 1/s, by: "cookie:a;b"}`:              "the name of a header or cookie has no such character",
		`{name: a, rate: 1/s, scope: cluster}`:                "rateLimits[0].scope: unknown value \"cluster\", want node or fleet",
		`{name: a, rate: 1/s, maxKeys: 1000}`:                 "rateLimits[0].maxKeys: has no effect without by",
		`{name: a, rate: 1/s, by: client, maxKeys: 0}`:        "rateLimits[0].maxKeys: want 1000 to 10000000, got 0",
		`{name: a, rate: 1/s, by: client, maxKeys: 10000001}`: "rateLimits[0].maxKeys: want 1000 to 10000000, got 10000001",
		`{name: a, rate: 1/s, dryRun: maybe}`:                 "rateLimits[0].dryRun: want true or false",
		`{name: a, rate: 1/s, window: 1s}`:                    "rateLimits[0].window: unknown key",
		many(9, "rate: 1/s"):                                  "rateLimits: 9 limits are more than 8",
		many(3, "rate: 1/s, by: client, maxKeys: 10000000"):   "rateLimits[2].maxKeys: with this limit, maxKeys of all limits add up to more than 20000000",
	} {
		route := fmt.Sprintf("services: [{id: s, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: s, rateLimits: [%s]}]", keys)
		service := fmt.Sprintf("services: [{id: s, instances: [{id: i, address: 'h:1'}], rateLimits: [%s]}]\nroutes: [{name: r, service: s}]", keys)
		for at, document := range map[string]string{"routes[0].": route, "services[0].": service} {
			_, err := Parse([]byte(document))
			whole := want
			if strings.HasPrefix(want, "rateLimits") {
				whole = at + want
			}
			if err == nil || !strings.Contains(err.Error(), whole) {
				t.Errorf("%s:\n got %.500v\nwant %s", keys, err, whole)
			}
		}
	}
}

// many returns n limits.
func many(n int, keys string) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("{name: l%d, %s}", i, keys))
	}
	return strings.Join(all, ", ")
}

// The record by which the nodes share limits holds all of them.
func TestLimitsOfTheFleetAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("services: [{id: s, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n")
	for i := range 13 {
		fmt.Fprintf(&b, "  - {name: r%d, path: {prefix: /%d}, service: s, rateLimits: [%s]}\n", i, i, many(8, "rate: 1/s, scope: fleet"))
	}
	_, err := Parse([]byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "routes[12].rateLimits[4].scope: more than 100 limits of the configuration have the scope fleet") || strings.Contains(err.Error(), "rateLimits[5]") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnusedKeyOfARateLimitIsAWarning(t *testing.T) {
	d, err := Parse([]byte(`listeners: [{name: l, address: ':1', tls: {certificates: [{cert: a, key: b}], clientCertificates: {mode: require, ca: c, subjectHeader: X-Subject}}}]
services: [{id: s, instances: [{id: i, address: 'h:1'}], rateLimits: [{name: a, rate: 1/s, by: header:x_key}]}]
routes: [{name: r, service: s, rateLimits: [{name: a, rate: 1/s, by: header:x-subject}, {name: b, rate: 1/s, by: header:X-Key}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	got := d.Warnings.Error()
	for _, want := range []string{"routes[0].rateLimits[0].by: always counts for the client's address: the proxy removes x-subject", "services[0].rateLimits[0].by: always counts for the client's address: no listener lets headers with _"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if len(d.Warnings) != 2 {
		t.Errorf("got %s", got)
	}
}

func TestRateLimitsAreCompiled(t *testing.T) {
	const text = `services:
  - {id: a, instances: [{id: i, address: 'h:1'}], rateLimits: [{name: total, rate: 5000/s, scope: fleet}]}
  - {id: b, instances: [{id: i, address: 'h:2'}]}
routes:
  - {name: split, split: [{service: a, weight: 1}, {service: b, weight: 1}], rateLimits: [{name: each, rate: 30/m, by: client}]}
  - {name: own, path: {prefix: /own}, redirect: {host: h}, rateLimits: [{name: all, rate: 10/h, burst: 20, dryRun: true, by: cookie:sid, maxKeys: 2000}]}`
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]*upstream.Service{"": upstream.NewService(""), "a": upstream.NewService("a"), "b": upstream.NewService("b")}
	resolve := func(id string) *upstream.Service { return services[id] }
	table, err := Compile(d.Traffic, "1", resolve, Local{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[ratelimit.ID]ratelimit.Spec{}
	for _, s := range []ratelimit.Spec{
		{ID: ratelimit.ID{Service: "a", Name: "total"}, Count: 5000, Per: time.Second, Burst: 5000, Fleet: true},
		{ID: ratelimit.ID{Route: "split", Name: "each"}, Count: 30, Per: time.Minute, Burst: 30, By: ratelimit.By{Kind: ratelimit.Client}, Keys: 50000},
		{ID: ratelimit.ID{Route: "own", Name: "all"}, Count: 10, Per: time.Hour, Burst: 20, By: ratelimit.By{Kind: ratelimit.Cookie, Name: "sid"}, Keys: 2000, DryRun: true},
	} {
		want[s.ID] = s
		if l := table.Limits[s.ID]; l == nil || l.Spec != s {
			t.Errorf("%v: got %+v, want %+v", s.ID, l, s)
		}
	}
	if len(table.Limits) != len(want) {
		t.Errorf("got %d limits", len(table.Limits))
	}
	again, err := Compile(d.Traffic, "2", resolve, Local{Limits: table.Limits})
	if err != nil {
		t.Fatal(err)
	}
	for id, l := range table.Limits {
		if again.Limits[id] != l {
			t.Errorf("%v: a new configuration with the same limit forgets its buckets", id)
		}
	}
}

// What a rate is written as is read as that rate.
func TestRatesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Rate{rapid.IntRange(1, maxRate).Draw(t, "count"), rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "per")}
		var got Rate
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%s: got %v, %v", want, got, err)
		}
	})
}

func FuzzRate(f *testing.F) {
	for _, s := range []string{"100/s", "30/m", "1000000/h", "0/s", "1/", "/s", "1/s/s", "\x00/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil && (r.Count < 1 || r.Count > maxRate || len(text) > 100 && !strings.HasPrefix(text, "0")) {
			t.Errorf("%q: %+v", text, r)
		}
	})
}
