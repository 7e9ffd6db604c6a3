package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const twoServices = `services:
  - {id: a, policy: maglev, instances: [{id: a1, address: "h:1"}]}
  - {id: b, instances: [{id: b1, address: "h:2"}]}
`

// Keys were accepted that had no effect, or another one than they say.
func TestWhatHasNoEffectIsAWarningAndWhatContradictsAMistake(t *testing.T) {
	for _, c := range []struct{ why, doc, warning, mistake string }{
		{why: "hashOn without a policy that hashes", doc: twoServices + "routes: [{name: r, service: b, hashOn: path}, {name: s, path: {prefix: /a}, service: a}]", warning: "routes[0].hashOn: has no effect"},
		{why: "hashOn with one that does", doc: twoServices + "routes: [{name: r, hashOn: path, split: [{service: a, weight: 1}, {service: b, weight: 1}]}]"},
		{why: "perTryTimeout above timeout", doc: twoServices + "routes: [{name: r, service: a, timeout: 1s, retry: {perTryTimeout: 2s}}, {name: s, path: {prefix: /b}, service: b}]", warning: "routes[0].retry.perTryTimeout: has no effect: the route's timeout of 1s"},
		{why: "two catch-all routes", doc: twoServices + "routes: [{name: r, service: a}, {name: s, path: {prefix: /}, service: b}]", warning: "routes[1]: never gets a request: route r"},
		{why: "the same host twice", doc: twoServices + "routes: [{name: r, hosts: [x.io], service: a}, {name: s, hosts: [X.io, y.io], service: b}]", warning: "routes[1]: gets no requests for some of its hosts"},
		{why: "the same conditions in another order", doc: twoServices + "routes: [{name: r, methods: [GET, PUT], service: a}, {name: s, methods: [PUT, GET], service: b}]", warning: "routes[1]: never"},
		{why: "other headers", doc: twoServices + "routes: [{name: r, headers: [{name: X, exact: a}], service: a}, {name: s, headers: [{name: X, exact: b}], service: b}]"},
		{why: "slow start of a policy without", doc: "services: [{id: a, policy: ring_hash, slowStart: 5s, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", warning: "services[0].slowStart: has no effect"},
		{why: "a service that nobody uses", doc: twoServices + "routes: [{name: r, service: a}]", warning: "services[1]: no route uses the service b"},
		{why: "a console port that a listener has", doc: "listeners: [{name: web, address: ':8083'}]", warning: "console.address: 127.0.0.1:8083 cannot be opened beside :8083 of listeners[0].address"},
		{why: "one port twice", doc: "listeners: [{name: a, address: ':80'}, {name: b, address: '127.0.0.1:80'}]", mistake: "listeners[1].address: 127.0.0.1:80 cannot be opened beside :80"},
		{why: "one port by two names", doc: "listeners: [{name: a, address: 'localhost:80'}, {name: b, address: '127.0.0.1:80'}]", mistake: "listeners[1].address"},
		{why: "one port of two addresses", doc: "listeners: [{name: a, address: '127.0.0.2:80'}, {name: b, address: '127.0.0.1:80'}]"},
		{why: "free ports", doc: "listeners: [{name: a, address: ':0'}, {name: b, address: ':0'}]"},
		{why: "weight 0", doc: "services: [{id: a, instances: [{id: i, address: 'h:1', weight: 0}]}]\nroutes: [{name: r, service: a}]", mistake: "services[0].instances[0].weight: want 0.01 to 1000, got 0"},
		{why: "no time for a probe", doc: "services: [{id: a, healthCheck: {timeout: 0s}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.timeout: want more than 0"},
		{why: "probes without a pause", doc: "services: [{id: a, healthCheck: {interval: 0s}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.interval: want at least 100ms"},
		{why: "a header in the host of a probe", doc: "services: [{id: a, healthCheck: {host: \"h\\r\\nX: y\"}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.host: \"h\\r\\nX: y\": the host holds a character"},
		{why: "a probe that nobody can send", doc: "services: [{id: a, healthCheck: {path: '/%zz'}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "every check would fail"},
		{why: "no threshold", doc: "services: [{id: a, healthCheck: {healthyThreshold: 0}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.healthyThreshold: want 1 to 100"},
		{why: "no time to connect", doc: "proxy: {connectTimeout: 0s}", mistake: "proxy.connectTimeout: want more than 0"},
		{why: "a variable", doc: "services: [{id: a, instances: [{id: i, address: '${HOST}:1'}]}]\nroutes: [{name: r, service: a}]", mistake: `services[0].instances[0].address: "${HOST}:1": variables are not replaced here`},
		{why: "a variable in a tag", doc: "services: [{id: a, instances: [{id: i, address: 'h:1'}], healthCheck: {path: '/${P}'}}]\nroutes: [{name: r, service: a}]", mistake: "variables are not replaced here"},
		{why: "an expression ends before a brace", doc: twoServices + "routes: [{name: r, path: {regex: '/x${1}'}, service: a}, {name: s, service: b}]"},
		{why: "a secret is a variable", doc: "admin: {token: '${env:TOKEN}'}"},
		{why: "a second document", doc: "routes: []\n---\nroutes: [{name: r}]", mistake: "a second YAML document"},
	} {
		d, err := Parse([]byte(c.doc))
		switch {
		case c.mistake != "":
			if err == nil || !strings.Contains(err.Error(), c.mistake) {
				t.Errorf("%s: mistakes %v, want %q", c.why, err, c.mistake)
			}
		case err != nil:
			t.Errorf("%s: %v", c.why, err)
		case c.warning == "" && len(d.Warnings) > 0 || c.warning != "" && !strings.Contains(d.Warnings.Error(), c.warning):
			t.Errorf("%s: warnings %v, want %q", c.why, d.Warnings, c.warning)
		}
	}
}

// retry: {attempts: 3} was no retry at all, because `on` was empty then.
func TestAKeyThatIsLeftOutTakesItsDefaultAlsoBesideOthers(t *testing.T) {
	d, err := Parse([]byte(twoServices + "routes: [{name: r, service: a, retry: {attempts: 3}}, {name: s, path: {prefix: /b}, service: b, retry: {on: [reset]}}, {name: n, path: {prefix: /n}, service: b, retry: {attempts: 0}}]"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"3 [connect-failure reset]", "2 [reset]", "0 [connect-failure reset]"} {
		if r := d.Routes[i].Retry; fmt.Sprint(r.Attempts, " ", r.On) != want {
			t.Errorf("route %s: %v %v, want %s", d.Routes[i].Name, r.Attempts, r.On, want)
		}
	}
	d, err = Parse([]byte("services: [{id: a, slowStart: 0s, instances: [{id: i, address: 'h:1', weight: }]}]"))
	if err != nil || d.Services[0].SlowStart != 0 || d.Services[0].Instances[0].Weight != 1 {
		t.Errorf("slow start %v, want none as it is written; %v", d.Services, err)
	}
	if d, _ = Parse([]byte(twoServices)); d.Services[0].SlowStart != 10*time.Second {
		t.Errorf("slow start %v", d.Services[0].SlowStart)
	}
}

func TestAFileWithNodeKeysHasATrafficPart(t *testing.T) {
	part, err := TrafficPart([]byte("admin: {address: '127.0.0.1:1'}\nroutes: [] # mine\ndata: {dir: x}\nservices: []\n"))
	if err != nil || string(part) != "routes: [] # mine\nservices: []\n" {
		t.Errorf("%q, %v", part, err)
	}
	if part, err = TrafficPart([]byte("{routes: [], services: []}")); err != nil || string(part) != "{routes: [], services: []}" {
		t.Errorf("in braces: %q, %v", part, err)
	}
	if _, err = TrafficPart([]byte("{routes: [], admin: {address: ':1'}}")); err == nil || !strings.Contains(err.Error(), "lines of their own") {
		t.Errorf("node keys in braces: %v", err)
	}
	if _, err = ParseTraffic([]byte("routes: []\nadmin: {}\n")); err == nil || !strings.Contains(err.Error(), "a setting of one node") {
		t.Errorf("%v", err)
	}
}
