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

// An older smartlb published settings without effect. A node that is upgraded still applies such a revision.
func TestAPublishedSettingWithoutEffectIsAWarning(t *testing.T) {
	const doc = `services:
  - {id: a, policy: ring_hash, slowStart: 5s, instances: [{id: i, address: "h:1"}]}
  - {id: b, instances: [{id: j, address: "h:2"}]}
routes: [{name: r, service: a}, {name: s, path: {prefix: /b}, service: b, hashOn: path}]
`
	if _, err := Check([]byte(doc)); err == nil || strings.Count(err.Error(), "has no effect") != 2 {
		t.Errorf("to publish it: %v", err)
	}
	published, err := ParseTraffic([]byte(doc))
	if err != nil || strings.Count(published.Warnings.Error(), "has no effect") != 2 {
		t.Errorf("published: %v, warnings %v", err, published.Warnings)
	}
}

// Keys were accepted that had no effect, or another one than they say.
func TestWhatHasNoEffectIsAWarningAndWhatContradictsAMistake(t *testing.T) {
	const login = "telemetry: {scrapeLogins: [{service: a, bearerToken: '${env:T}'}], streamLogins: [{service: a, bearerToken: '${env:T}'}]}\n"
	for _, c := range []struct{ why, doc, warning, mistake string }{
		{why: "hashOn without a policy that hashes", doc: twoServices + "routes: [{name: r, service: b, hashOn: path}, {name: s, path: {prefix: /a}, service: a}]", mistake: "routes[0].hashOn: has no effect"},
		{why: "hashOn with one that does", doc: twoServices + "routes: [{name: r, hashOn: path, split: [{service: a, weight: 1}, {service: b, weight: 1}]}]"},
		{why: "perTryTimeout above timeout", doc: twoServices + "routes: [{name: r, service: a, timeout: 1s, retry: {perTryTimeout: 2s}}, {name: s, path: {prefix: /b}, service: b}]", warning: "routes[0].retry.perTryTimeout: has no effect: the route's timeout of 1s"},
		{why: "two catch-all routes", doc: twoServices + "routes: [{name: r, service: a}, {name: s, path: {prefix: /}, service: b}]", warning: "routes[1]: never gets a request: route r"},
		{why: "the same host twice", doc: twoServices + "routes: [{name: r, hosts: [x.io], service: a}, {name: s, hosts: [X.io, y.io], service: b}]", warning: "routes[1]: gets no requests for some of its hosts"},
		{why: "the same conditions in another order", doc: twoServices + "routes: [{name: r, methods: [GET, PUT], service: a}, {name: s, methods: [PUT, GET], service: b}]", warning: "routes[1]: never"},
		{why: "other headers", doc: twoServices + "routes: [{name: r, headers: [{name: X, exact: a}], service: a}, {name: s, headers: [{name: X, exact: b}], service: b}]"},
		{why: "slow start of a policy without", doc: "services: [{id: a, policy: ring_hash, slowStart: 5s, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "services[0].slowStart: has no effect: the policy ring_hash has no slow start"},
		{why: "no slow start of a policy without", doc: "services: [{id: a, policy: ring_hash, slowStart: 0s, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "spread of another policy", doc: "services: [{id: a, policy: round_robin, spread: 0.5, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "services[0].spread: has no effect: only the policy adaptive has spread"},
		{why: "spread of adaptive", doc: "services: [{id: a, spread: 0, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "spread above 1", doc: "services: [{id: a, spread: 1.1, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "services[0].spread: want 0 to 1, got 1.1"},
		{why: "spread that is no number", doc: "services: [{id: a, spread: .nan, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "services[0].spread: "},
		{why: "a service that nobody uses", doc: twoServices + "routes: [{name: r, service: a}]", warning: "services[1]: no route uses the service b"},
		{why: "a console port that a listener has", doc: "listeners: [{name: web, address: ':8083'}]", warning: "console.address: 127.0.0.1:8083 conflicts with :8083 of listeners[0].address"},
		{why: "one port twice", doc: "listeners: [{name: a, address: ':80'}, {name: b, address: '127.0.0.1:80'}]", mistake: "listeners[1].address: 127.0.0.1:80 conflicts with :80 of listeners[0].address"},
		{why: "one port by two names", doc: "listeners: [{name: a, address: 'localhost:80'}, {name: b, address: '127.0.0.1:80'}]", mistake: "listeners[1].address"},
		{why: "one port of two addresses", doc: "listeners: [{name: a, address: '127.0.0.2:80'}, {name: b, address: '127.0.0.1:80'}]", warning: "there are no routes"},
		{why: "free ports", doc: "listeners: [{name: a, address: ':0'}, {name: b, address: ':0'}]", warning: "there are no routes: every request gets 404"},
		{why: "a header that clients cannot send", doc: "listeners: [{name: w, address: ':0', tls: {certificates: [{cert: a, key: b}], clientCertificates: {mode: require, ca: c, subjectHeader: X-Client}}}]\nservices: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, headers: [{name: x-client, exact: CN=a}], service: a}]", warning: "routes[0].headers[0].name: never matches: the proxy removes x-client"},
		{why: "a hash of such a header", doc: "listeners: [{name: w, address: ':0', tls: {certificates: [{cert: a, key: b}], clientCertificates: {mode: require, ca: c, subjectHeader: X-Client}}}]\nservices: [{id: a, policy: maglev, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, hashOn: 'header:x_client', service: a}]", warning: "routes[0].hashOn: has no effect: the proxy removes x_client"},
		{why: "a challenge that no listener answers", doc: "listeners: [{name: a, address: ':443', tls: {acme: {names: [a.io], termsAgreed: true, challenge: http-01}}}]\n", warning: "listeners[0].tls.acme.challenge: no listener answers http-01"},
		{why: "a challenge that a redirect answers", doc: "listeners: [{name: p, address: ':80', redirectToHttps: true}, {name: a, address: ':443', tls: {acme: {names: [a.io], termsAgreed: true, challenge: http-01}}}]\nservices: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "only redirects", doc: "listeners: [{name: a, address: ':0', redirectToHttps: true}]"},
		{why: "a login without TLS", doc: login + "services: [{id: a, loadReports: {scrape: {metrics: {cpu: c}}}, instances: [{id: i, address: '127.0.0.1:1'}, {id: j, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", warning: "telemetry.scrapeLogins[0]: is not sent to instances on other machines: loadReports.scrape of the service a has no TLS"},
		{why: "a login on this machine", doc: login + "services: [{id: a, loadReports: {scrape: {metrics: {cpu: c}}}, instances: [{id: i, address: '127.0.0.1:1'}, {id: j, address: 'localhost:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "a login without verified certificates", doc: login + "services: [{id: a, tls: {insecure: true}, loadReports: {scrape: {metrics: {cpu: c}}}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", warning: "telemetry.scrapeLogins[0]: is not sent to instances on other machines: loadReports.scrape of the service a has TLS with insecure: true, so any server could take the login; name the authority (ca)"},
		{why: "a login at a stream without verified certificates", doc: login + "services: [{id: a, protocol: h2, tls: {insecure: true}, loadReports: {orca: {outOfBand: {interval: 1s}}}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", warning: "telemetry.streamLogins[0]: is not sent to instances on other machines: loadReports.orca.outOfBand of the service a has TLS with insecure: true"},
		{why: "a login with TLS", doc: login + "services: [{id: a, protocol: h2, tls: {ca: ca.pem}, loadReports: {scrape: {metrics: {cpu: c}}, orca: {outOfBand: {interval: 1s}}}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "weight 0", doc: "services: [{id: a, instances: [{id: i, address: 'h:1', weight: 0}]}]\nroutes: [{name: r, service: a}]", mistake: "services[0].instances[0].weight: want 0.01 to 1000, got 0"},
		{why: "no time for a probe", doc: "services: [{id: a, healthCheck: {timeout: 0s}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.timeout: want more than 0"},
		{why: "probes without a pause", doc: "services: [{id: a, healthCheck: {interval: 0s}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.interval: want at least 100ms"},
		{why: "a header in the host of a probe", doc: "services: [{id: a, healthCheck: {host: \"h\\r\\nX: y\"}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.host: \"h\\r\\nX: y\": want a name, or a name with a port"},
		{why: "a probe that nobody can send", doc: "services: [{id: a, healthCheck: {path: '/%zz'}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "every check would fail"},
		{why: "no threshold", doc: "services: [{id: a, healthCheck: {healthyThreshold: 0}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]", mistake: "healthCheck.healthyThreshold: want 1 to 100"},
		{why: "no time to connect", doc: "proxy: {connectTimeout: 0s}", mistake: "proxy.connectTimeout: want more than 0"},
		{why: "a variable", doc: "services: [{id: a, instances: [{id: i, address: '${HOST}:1'}]}]\nroutes: [{name: r, service: a}]", mistake: `services[0].instances[0].address: "${HOST}:1": variables are not replaced here`},
		{why: "a variable in a tag", doc: "services: [{id: a, instances: [{id: i, address: 'h:1'}], healthCheck: {path: '/${P}'}}]\nroutes: [{name: r, service: a}]", mistake: "variables are not replaced here"},
		{why: "an expression ends before a brace", doc: twoServices + "routes: [{name: r, path: {regex: '/x${1}'}, service: a}, {name: s, service: b}]"},
		{why: "a secret is a variable", doc: "admin: {token: '${env:TOKEN}'}"},
		{why: "a variable in an expression", doc: twoServices + "routes: [{name: r, path: {regex: '/${env:P}'}, service: a}, {name: s, service: b}]", mistake: "routes[0].path.regex: \"/${env:P}\": variables are not replaced here"},
		{why: "a variable of a shell", doc: "services: [{id: a, instances: [{id: i, address: '$HOST:1'}]}]", mistake: "the host holds a character that no host has"},
		{why: "a variable of another shell", doc: "services: [{id: a, instances: [{id: i, address: '%HOST%:1'}]}]", mistake: "the host holds a character that no host has"},
		{why: "a zone", doc: "services: [{id: a, instances: [{id: i, address: '[fe80::1%eth0]:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "a port with a sign", doc: "services: [{id: a, instances: [{id: i, address: 'h:+1'}]}]", mistake: "want a port from 1 to 65535"},
		{why: "one port in two spellings", doc: "listeners: [{name: a, address: ':08080'}, {name: b, address: ':8080'}]", mistake: "listeners[0].address: \":08080\": want a port"},
		{why: "one instance in two spellings", doc: "services: [{id: a, instances: [{id: i, address: '[::1]:1'}, {id: j, address: '[0:0::1]:1'}]}]", mistake: "services[0].instances[1].address: instance address"},
		{why: "an instance that is a listener", doc: "listeners: [{name: w, address: ':8080'}]\nservices: [{id: a, instances: [{id: i, address: 'localhost:8080'}]}]\nroutes: [{name: r, service: a}]", warning: "services[0].instances[0].address: is :8080 of listeners[0].address: the proxy would send requests to itself"},
		{why: "another host's port", doc: "listeners: [{name: w, address: ':8080'}]\nservices: [{id: a, instances: [{id: i, address: '10.0.0.1:8080'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "methods that an earlier route has", doc: twoServices + "routes: [{name: r, methods: [GET, PUT], service: a}, {name: s, methods: [PUT], service: b}]", warning: "routes[1]: never gets a request: route r"},
		{why: "some methods that an earlier route has", doc: twoServices + "routes: [{name: r, methods: [GET, PUT], service: a}, {name: s, methods: [PUT, POST], service: b}]", warning: "routes[1]: gets no requests for some of its hosts or methods"},
		{why: "methods go before none", doc: twoServices + "routes: [{name: r, service: a}, {name: s, methods: [PUT], service: b}]"},
		{why: "one prefix in two spellings", doc: twoServices + "routes: [{name: r, path: {prefix: /u/}, service: a}, {name: s, path: {prefix: /%75}, service: b}]", warning: "routes[1]: never"},
		{why: "one host in two spellings", doc: twoServices + "routes: [{name: r, hosts: [x.io.], service: a}, {name: s, hosts: [x.io], service: b}]", warning: "routes[1]: never"},
		{why: "an expression for every path", doc: twoServices + "routes: [{name: p, path: {prefix: /p}, service: b}, {name: r, path: {regex: '/.*'}, service: a}]", warning: "routes[0]: never gets a request: the regular expression of route r"},
		{why: "such an expression for another host", doc: twoServices + "routes: [{name: p, hosts: [x.io], service: b}, {name: r, path: {regex: '.*'}, service: a}]"},
		{why: "an expression that no path begins like", doc: twoServices + "routes: [{name: p, path: {regex: '(?i)users/.*|^v1'}, service: b}, {name: r, service: a}]", warning: "routes[0].path.regex: never matches"},
		{why: "an expression that a path begins like", doc: twoServices + "routes: [{name: p, path: {regex: '^(x|[./])u'}, service: b}, {name: r, service: a}]"},
		{why: "a query in a path", doc: twoServices + "routes: [{name: p, path: {prefix: '/a?b=1'}, service: b}, {name: r, service: a}]", warning: "routes[0].path.prefix: never matches"},
		{why: "a method that is refused", doc: twoServices + "routes: [{name: p, methods: [CONNECT, GET], service: b}, {name: r, service: a}]", warning: "routes[0].methods[0]: has no effect: CONNECT"},
		{why: "no method", doc: twoServices + "routes: [{name: p, methods: ['G@T'], service: b}]", mistake: "routes[0].methods[0]"},
		{why: "no name of a header", doc: twoServices + "routes: [{name: p, headers: [{name: 'X A'}], service: b}]", mistake: "routes[0].headers[0].name"},
		{why: "no value of a header", doc: twoServices + "routes: [{name: p, headers: [{name: X, exact: ' a'}], service: b}]", mistake: "routes[0].headers[0].exact: \" a\": no header has this value"},
		{why: "two values of one header", doc: twoServices + "routes: [{name: p, headers: [{name: X, exact: a}, {name: x, exact: b}], service: b}, {name: r, service: a}]", warning: "routes[0].headers[1]: never matches: x cannot be \"a\" and \"b\""},
		{why: "a header that listeners drop", doc: "listeners: [{name: w, address: ':1'}]\n" + twoServices + "routes: [{name: p, headers: [{name: X_U}], service: b}, {name: r, service: a}]", warning: "routes[0].headers[0].name: never matches: no listener lets"},
		{why: "a header that a listener keeps", doc: "listeners: [{name: w, address: ':1', underscoreHeaders: keep}]\n" + twoServices + "routes: [{name: p, headers: [{name: X_U}], service: b}, {name: r, service: a}]"},
		{why: "hashOn a header that cannot be", doc: twoServices + "routes: [{name: p, hashOn: 'header:X A', service: a}]", mistake: "routes[0].hashOn"},
		{why: "a host beyond ASCII", doc: twoServices + "routes: [{name: p, hosts: [münchen.de], service: a}]", mistake: "names beyond ASCII as xn--"},
		{why: "retries of nothing", doc: twoServices + "routes: [{name: p, retry: {on: []}, service: a}, {name: r, path: {prefix: /b}, service: b}]", warning: "routes[0].retry.on: is empty"},
		{why: "no retries", doc: twoServices + "routes: [{name: p, retry: {attempts: 0, on: [reset]}, service: a}, {name: r, path: {prefix: /b}, service: b}]", warning: "routes[0].retry.on: has no effect"},
		{why: "no time for an answer", doc: twoServices + "routes: [{name: p, timeout: 1us, service: a}]", mistake: "routes[0].timeout: want at least 1ms"},
		{why: "no time for a try", doc: twoServices + "routes: [{name: p, retry: {perTryTimeout: 1ns}, service: a}]", mistake: "routes[0].retry.perTryTimeout: want at least 1ms"},
		{why: "a service twice in a split", doc: twoServices + "routes: [{name: p, split: [{service: a, weight: 1}, {service: b, weight: 1}, {service: a, weight: 2}]}]", warning: "routes[0].split[2].service: a is in this split already"},
		{why: "statuses of tcp", doc: "services: [{id: a, healthCheck: {type: tcp, statuses: [200]}, instances: [{id: i, address: 'h:1'}]}]", mistake: "healthCheck.statuses: has no effect: a tcp check only connects"},
		{why: "a host of tcp", doc: "services: [{id: a, healthCheck: {type: tcp, host: h}, instances: [{id: i, address: 'h:1'}]}]", mistake: "healthCheck.host: has no effect: a tcp check only connects"},
		{why: "a host with a line end", doc: "services: [{id: a, healthCheck: {host: \"h\\r\\nX: y\"}, instances: [{id: i, address: 'h:1'}]}]", mistake: "healthCheck.host: "},
		{why: "a status that is no answer", doc: "services: [{id: a, healthCheck: {statuses: [100]}, instances: [{id: i, address: 'h:1'}]}]", mistake: "healthCheck.statuses[0]: \"100\": want a status from 200 to 599"},
		{why: "a host with a port", doc: "services: [{id: a, healthCheck: {host: 'h:80'}, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a}]"},
		{why: "TLS that is off and on", doc: "kafka: {tls: {enabled: false, ca: /ca.pem}}", mistake: "kafka.tls.enabled: false contradicts"},
		{why: "a login of another mechanism", doc: "kafka: {sasl: {mechanism: PLAIN, user: u, password: '${env:P}', tokenUrl: 'https://x'}}", warning: "kafka.sasl.tokenUrl: has no effect with the mechanism PLAIN"},
		{why: "an hour of linger", doc: "kafka: {linger: 1h}", mistake: "kafka.linger: want 0s to 1m0s"},
		{why: "a bound of what is not sampled", doc: "telemetry: {decisionSample: 1, sampleRate: 5}", warning: "telemetry.sampleRate: has no effect"},
		{why: "a console for everybody", doc: "console: {address: ':8083'}", warning: "console.address: :8083 can be reached from other machines"},
		{why: "a scaler for everybody", doc: "scaler: {address: '0.0.0.0:8085'}", warning: "scaler.address: 0.0.0.0:8085 can be reached"},
		{why: "a scaler at the address of the console", doc: "scaler: {address: '127.0.0.1:8083'}", warning: "scaler.address: 127.0.0.1:8083 conflicts with 127.0.0.1:8083 of console.address"},
		{why: "an admin API for everybody", doc: "admin: {address: '0.0.0.0:8081'}", warning: "admin.address: 0.0.0.0:8081 can be reached"},
		{why: "an admin API with a token", doc: "admin: {address: '0.0.0.0:8081', token: '${env:TOKEN}'}"},
		{why: "an admin API on loopback", doc: "admin: {address: '[::1]:8081'}"},
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
	if d, _ = Parse([]byte("services: [{id: a, spread: 0, instances: [{id: i, address: 'h:1'}]}]")); d.Services[0].Spread != 0 {
		t.Errorf("spread %v, want 0 as it is written", d.Services[0].Spread)
	}
	if d, _ = Parse([]byte(twoServices)); d.Services[1].Spread != .75 {
		t.Errorf("spread %v", d.Services[1].Spread)
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

// A file with `listeners:` and nothing behind it closed everything.
func TestADocumentWithoutAnythingIsEmpty(t *testing.T) {
	for doc, want := range map[string]bool{
		"": true, "# nothing\n": true, "listeners:\nroutes:\nservices:\n": true, "listeners: []\nroutes: []\nservices: []\n": true,
		"listeners: [{name: w, address: ':80'}]\n": false,
	} {
		d, err := ParseTraffic([]byte(doc))
		if err != nil || d.Empty() != want {
			t.Errorf("%q: empty %v, want %v; %v", doc, d.Empty(), want, err)
		}
	}
}

// A warning about a default was "file:0: warning", and one about the whole
// document "file:4: : a second".
func TestAMistakeIsNamedInItsFile(t *testing.T) {
	for want, m := range map[string]Mistake{
		"f:4: a.b: wrong": {Line: 4, Path: "a.b", Text: "wrong"}, "f:4: wrong": {Line: 4, Text: "wrong"}, "f: a: wrong": {Path: "a", Text: "wrong"}, "f: wrong": {Text: "wrong"},
	} {
		if got := m.In("f"); got != want {
			t.Errorf("%+v: %q, want %q", m, got, want)
		}
	}
}
