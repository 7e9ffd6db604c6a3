package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestMistakesInConditions(t *testing.T) {
	for keys, want := range map[string]string{
		`queryParams: [{exact: a}]`:                         "routes[0].queryParams[0].name: missing",
		`queryParams: [{name: a, exact: b, regex: c}]`:      "routes[0].queryParams[0]: exact and regex exclude each other",
		`queryParams: [{name: a, regex: "("}]`:              "routes[0].queryParams[0].regex",
		`cookies: [{name: "a b"}]`:                          "the name of a cookie has no such character",
		`cookies: [{exact: a}]`:                             "routes[0].cookies[0].name: missing",
		`cookies: [{name: a, exact: "b;c"}]`:                "no cookie has this value",
		`cookies: [{name: a, regex: "(a{1000}){1000}"}]`:    "routes[0].cookies[0].regex",
		`headers: [{name: "a:"}]`:                           "the name of a header has no such character",
		`serverNames: ["*foo"]`:                             "want a name like api.example.com or *.example.com",
		`serverNames: ["a:1"]`:                              "routes[0].serverNames[0]",
		`serverNames: [é]`:                                  "xn--",
		`clients: [10.0.0.0]`:                               "routes[0].clients[0]",
		`clients: [10.0.0.0/33]`:                            "routes[0].clients[0]",
		`listeners: [wbe]`:                                  `routes[0].listeners[0]: there is no listener "wbe"`,
		`cookies: [` + strings.Repeat("{name: a}, ", 101):   "101 conditions are more than 100",
		`clients: [` + strings.Repeat("10.0.0.0/8, ", 1001): "1001 conditions are more than 1000",
	} {
		if strings.Count(keys, "[") > strings.Count(keys, "]") {
			keys += "]"
		}
		_, err := Parse([]byte("listeners: [{name: web, address: ':1'}]\n" + string(withRoute("service: s, "+keys))))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s:\n got %.500v\nwant %s", keys, err, want)
		}
	}
}

func TestConditionsWithoutEffectAreWarnings(t *testing.T) {
	two := func(first, second string) string {
		return fmt.Sprintf("listeners: [{name: web, address: ':1'}]\nservices: [{id: s, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: one, service: s, %s}\n  - {name: two, service: s, %s}\n", first, second)
	}
	for src, want := range map[string]string{
		two("queryParams: [{name: a}]", "queryParams: [{name: a}]"):                          "routes[1]: never gets a request: route one before it has the same conditions",
		two("queryParams: [{name: a}]", "queryParams: [{name: A}]"):                          "",
		two("queryParams: [{name: a}]", "cookies: [{name: a}]"):                              "",
		two("clients: [10.0.0.0/8]", "clients: [10.1.0.0/8]"):                                "routes[1]: never gets a request",
		two("clients: [10.0.0.0/8]", "clients: [10.0.0.0/9]"):                                "",
		two("listeners: [web], path: {prefix: /a}", "listeners: [web], path: {prefix: /a/}"): "routes[1]: never gets a request",
		two("path: {regex: '/.*'}, queryParams: [{name: a}]", "path: {prefix: /b}"):          "",
		two("path: {regex: '/.*'}", "path: {prefix: /b}"):                                    "routes[1]: never gets a request: the regular expression of route one",
		two("serverNames: [a.example.com]", "path: {prefix: /b}"):                            "routes[0].serverNames: never matches: no listener has TLS",
	} {
		d, err := Parse([]byte(src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		text := fmt.Sprint(d.Warnings)
		if want == "" && len(d.Warnings) > 0 || !strings.Contains(text, want) {
			t.Errorf("%s: got %s, want %q", src, text, want)
		}
	}
}
