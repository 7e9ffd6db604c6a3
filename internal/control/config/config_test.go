package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestExampleIsValidAndCompiles(t *testing.T) {
	d, err := Parse(Example)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]*upstream.Service{}
	table, err := Compile(d.Traffic, "r1", func(id string) *upstream.Service {
		services[id] = upstream.NewService(id)
		return services[id]
	}, Local{})
	if err != nil {
		t.Fatal(err)
	}
	if table.Routes.Len() != 7 {
		t.Fatalf("got %d routes, want 7", table.Routes.Len())
	}
}

// The example must show every key, so that it stays the reference.
func TestExampleShowsEveryKey(t *testing.T) {
	for path := range byPath(t) {
		name := path[strings.LastIndex(path, ".")+1:]
		if !strings.Contains(string(Example), name+":") && !strings.Contains(string(Example), name+" ") {
			t.Errorf("%s is not in the example", path)
		}
	}
}

func TestParseReportsEveryMistakeAtOnce(t *testing.T) {
	src, err := os.ReadFile("testdata/twenty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(src)
	mistakes, ok := err.(Mistakes)
	if !ok || len(mistakes) < 20 {
		t.Fatalf("got %d mistakes, want at least 20: %v", len(mistakes), err)
	}
	got := mistakes.Error() + "\n"
	if *update {
		if err := os.WriteFile("testdata/twenty.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, _ := os.ReadFile("testdata/twenty.golden")
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("mistakes differ from testdata/twenty.golden (-want +got):\n%s", diff)
	}
}

func TestParseKeepsDefaults(t *testing.T) {
	d, err := Parse([]byte("services: [{id: s, instances: [{id: i, address: 'h:1'}], healthCheck: {}}]\nroutes: [{name: r, service: s}]"))
	if err != nil {
		t.Fatal(err)
	}
	s := d.Services[0]
	if s.Policy != "adaptive" || s.SlowStart != 10*time.Second || s.Instances[0].Weight != 1 || s.HealthCheck.Path != "/health" {
		t.Errorf("defaults missing: %+v %+v", s, s.HealthCheck)
	}
	if d.Kafka.Compression != "zstd" || d.Routes[0].Retry.Attempts != 2 {
		t.Errorf("defaults missing: %+v %+v", d.Kafka, d.Routes[0].Retry)
	}
}

func TestTrafficRefusesNodeKeys(t *testing.T) {
	_, err := ParseTraffic([]byte("kafka: {brokers: ['a:1']}\n"))
	if err == nil || !strings.Contains(err.Error(), "kafka") {
		t.Fatalf("got %v", err)
	}
}

func TestEmptyDocumentIsTheDefault(t *testing.T) {
	for _, src := range []string{"", "\n", "# only words\n", "{}"} {
		d, err := Parse([]byte(src))
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		if diff := cmp.Diff(Default().Kafka, d.Kafka); diff != "" {
			t.Errorf("%q: %s", src, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Example)
	twenty, _ := os.ReadFile("testdata/twenty.yaml")
	f.Add(twenty)
	f.Add([]byte("a: &x [*x]"))
	f.Add([]byte("routes: [[[[["))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if err != nil {
			if m, ok := err.(Mistakes); !ok || len(m) == 0 {
				t.Fatalf("error without mistakes: %v", err)
			}
			return
		}
		if slices.ContainsFunc(d.Routes, func(r Route) bool { return r.ForwardAuth != nil && r.ForwardAuth.CA != "" }) {
			return // Compile reads the file
		}
		if _, err := Compile(d.Traffic, "r", func(id string) *upstream.Service { return upstream.NewService(id) }, Local{}); err != nil {
			t.Fatalf("a valid document does not compile: %v", err)
		}
	})
}

func TestDocumentedExamplesAreValid(t *testing.T) {
	files, _ := filepath.Glob("../../../docs/examples/*.yaml")
	if len(files) < 3 {
		t.Fatalf("found %v", files)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if _, err := Compile(d.Traffic, "r", upstream.NewService, Local{}); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if part, err := TrafficPart(src); err != nil || len(part) == 0 {
			t.Errorf("%s: traffic part: %v", f, err)
		}
	}
}

func TestEnvironmentOutranksTheFileAndNamesItsMistakes(t *testing.T) {
	env := map[string]string{
		"SMARTLB_KAFKA_LINGER": "5ms", "KAFKA_BROKER": "k1:9092,k2:9092", "SMARTLB_PROXY_TRUSTED_PROXIES": "10.0.0.0/8",
		"SMARTLB_TELEMETRY_DECISION_SAMPLE": "0.5", "SMARTLB_ADMIN_ADDRESS": "127.0.0.1:1",
	}
	d := Default()
	if err := Environment(&d, func(k string) string { return env[k] }); err != nil {
		t.Fatal(err)
	}
	if d.Kafka.Linger != 5*time.Millisecond || len(d.Kafka.Brokers) != 2 || d.Proxy.TrustedProxies[0].String() != "10.0.0.0/8" || d.Telemetry.DecisionSample != .5 || d.Admin.Address != "127.0.0.1:1" {
		t.Errorf("%+v", d.Node)
	}
	env["SMARTLB_KAFKA_BROKERS"] = "k3:9092"
	if err := Environment(&d, func(k string) string { return env[k] }); err != nil || d.Kafka.Brokers[0] != "k3:9092" {
		t.Errorf("SMARTLB_KAFKA_BROKERS does not outrank KAFKA_BROKER: %v %v", d.Kafka.Brokers, err)
	}
	env["SMARTLB_KAFKA_COMPRESSION"] = "zip"
	if err := Environment(&d, func(k string) string { return env[k] }); err == nil || !strings.Contains(err.Error(), "zip") {
		t.Errorf("a value that no file may have: %v", err)
	}
	env["SMARTLB_KAFKA_LINGER"] = "soon"
	if err := Environment(&d, func(k string) string { return env[k] }); err == nil || !strings.Contains(err.Error(), "SMARTLB_KAFKA_LINGER=soon") {
		t.Errorf("got %v", err)
	}
}

func TestKafkaCredentialsAreNamedInFileAndEnvironment(t *testing.T) {
	d, err := Parse([]byte("kafka:\n  tls: {ca: /ca.pem}\n  sasl: {mechanism: PLAIN, user: ann, password: '${env:PW}'}\n"))
	if err != nil || d.Kafka.TLS.CA != "/ca.pem" || d.Kafka.SASL.Password != "${env:PW}" {
		t.Errorf("the file gives %+v, %v", d.Kafka, err)
	}
	_, err = Parse([]byte("kafka:\n  sasl: {mechanism: PLAIN, password: hunter2}\n"))
	for _, want := range []string{"kafka.sasl.user", "kafka.sasl.password: a secret is not written here"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a literal secret gives %v, want %s", err, want)
		}
	}
	env := map[string]string{
		"SMARTLB_KAFKA_TLS_ENABLED": "true", "SMARTLB_KAFKA_SASL_MECHANISM": "OAUTHBEARER", "SMARTLB_KAFKA_SASL_TOKEN_URL": "https://auth.example.com/token",
		"SMARTLB_KAFKA_SASL_CLIENT_ID": "a", "SMARTLB_KAFKA_SASL_CLIENT_SECRET": "${file:/secret}", "SMARTLB_KAFKA_SASL_SCOPES": "one,two",
	}
	s, err := KafkaSecurity(func(n string) string { return env[n] })
	if err != nil || !s.TLS.On() || s.SASL.ClientSecret != "${file:/secret}" || len(s.SASL.Scopes) != 2 {
		t.Errorf("the environment gives %+v, %v", s, err)
	}
	env["SMARTLB_KAFKA_SASL_CLIENT_SECRET"] = "hunter2"
	if _, err = KafkaSecurity(func(n string) string { return env[n] }); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a literal secret in the environment gives %v", err)
	}
}

// The library reads [a:1] within braces as a list of keys; YAML does not.
func TestPortsInBraces(t *testing.T) {
	for text, want := range map[string]string{
		"kafka: {brokers: [localhost:9092]}":                                        "localhost:9092",
		"kafka: {brokers: [a:1, b-2.example:65535], linger: 1s}":                    "a:1,b-2.example:65535",
		"kafka: {brokers: [127.0.0.1:9092]}":                                        "127.0.0.1:9092",
		"kafka: {brokers: ['a:1', \"b:2\"]}":                                        "a:1,b:2",
		"kafka:\n  brokers: [a:1]":                                                  "a:1",
		"kafka: {brokers: [a: 1]}":                                                  "",
		"kafka: {brokers: [{a: 1}]}":                                                "",
		"kafka: {brokers: ['a':1]}":                                                 "",
		"kafka: {sasl: {mechanism: OAUTHBEARER, tokenFile: /t, scopes: [urn:a:b]}}": "localhost:9092",
	} {
		d, err := Parse([]byte(text))
		if got := strings.Join(d.Kafka.Brokers, ","); want == "" && err == nil || want != "" && got != want {
			t.Errorf("%s: %q %v", text, got, err)
		}
		if scopes := d.Kafka.SASL.Scopes; strings.Contains(text, "scopes") && (len(scopes) != 1 || scopes[0] != "urn:a:b") {
			t.Errorf("%s: %q %v", text, scopes, err)
		}
	}
}

// A rule written with another spelling of an escape never matched.
func TestPathsOfRulesAreSpelledLikeThoseOfRequests(t *testing.T) {
	src := "routes:\n  - {name: a, path: {prefix: /a%2fb}, service: s}\n  - {name: b, path: {exact: /caf\u00e9}, service: s}\nservices:\n  - {id: s, instances: [{id: i, address: 'h:1'}]}\n"
	doc, err := ParseTraffic([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	service := upstream.NewService("s")
	table, err := Compile(doc, "1", func(string) *upstream.Service { return service }, Local{})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{"/a%2Fb/c": "a", "/a%2fb": "a", "/caf%c3%a9": "b", "/a/b": ""} {
		var r h1.Request
		limits := h1.Limits{}.WithDefaults()
		if _, bad := r.Parse([]byte("GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n"), &limits); bad != nil {
			t.Fatal(bad)
		}
		route, ok := table.Routes.Match(&r, router.Peer{})
		if ok != (want != "") || ok && route.Name != want {
			t.Errorf("%s: %v %+v, want %q", target, ok, route, want)
		}
	}
	for _, bad := range []string{"/a%zz", "/a/../../b", "/a%2f.."} {
		if _, err := ParseTraffic([]byte(strings.Replace(src, "/a%2fb", bad, 1))); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestNetworksOfProxyHeaders(t *testing.T) {
	for value, want := range map[string]string{
		"{from: [10.0.0.0/8, '2001:db8::/32']}": "",
		"{}":                                    "listeners[0].proxyProtocol.from: missing: want the networks",
		"{from: []}":                            "listeners[0].proxyProtocol.from: missing: want the networks",
		"{from: [10.0.0.1/33]}":                 "listeners[0].proxyProtocol.from[0]",
		"{from: [somewhere]}":                   "listeners[0].proxyProtocol.from[0]",
		"{to: [10.0.0.0/8]}":                    "listeners[0].proxyProtocol.to: unknown key",
		"true":                                  "listeners[0].proxyProtocol: ",
	} {
		_, err := ParseTraffic([]byte("listeners:\n  - {name: web, address: ':80', proxyProtocol: " + value + "}\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestAddressesOfUnixSockets(t *testing.T) {
	document := func(listener, more, instance string) string {
		return fmt.Sprintf("listeners:\n  - {name: web, address: %q%s}\nroutes: [{name: all, service: s}]\nservices: [{id: s, instances: [{id: i, address: %q}, {id: j, address: 'unix:/run/j'}]}]\n", listener, more, instance)
	}
	const tcp, socket, app = ":80", "unix:/run/web.sock", "unix:/run/app.sock"
	long := "unix:/" + strings.Repeat("x", maxSocketPath)
	for _, tc := range []struct{ listener, more, instance, want string }{
		{socket, "", app, ""},
		{socket, ", mode: '660'", app, ""},
		{socket, ", mode: 0660", app, ""},
		{long[:len(long)-1], "", "unix:/run/a:b.sock", ""},
		{socket, ", mode: 0888", app, "listeners[0].mode: "},
		{socket, ", mode: rw", app, `listeners[0].mode: "rw": want three octal digits`},
		{tcp, ", mode: '660'", app, "listeners[0].mode: only a listener"},
		{"unix:run/web.sock", "", app, "listeners[0].address: "},
		{"unix:/run//web.sock", "", app, "listeners[0].address: "},
		{"unix:/run/../web.sock", "", app, "listeners[0].address: "},
		{"unix:/", "", app, "listeners[0].address: "},
		{long, "", app, "listeners[0].address: the path of the socket has 108 bytes"},
		{tcp, "", "unix:/a b", "services[0].instances[0].address: "},
		{tcp, "", "unix:/run/j", "services[0].instances[1].address: "},
		{"unix:/run/w", "}\n  - {name: too, address: 'unix:/run/w'", app, "listeners[1].address: unix:/run/w conflicts"},
	} {
		_, err := ParseTraffic([]byte(document(tc.listener, tc.more, tc.instance)))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s%s, %s: %v, want %q", tc.listener, tc.more, tc.instance, err, tc.want)
		}
	}
	loop, err := ParseTraffic([]byte(document(socket, "", socket)))
	if err != nil || !strings.Contains(fmt.Sprint(loop.Warnings), "to itself") {
		t.Errorf("an instance that is the listener: %v, %v", loop.Warnings, err)
	}
}

func TestWordsOfAListener(t *testing.T) {
	for key, words := range map[string][]string{
		"encodedCharacters": {"keep", "reject"},
		"underscoreHeaders": {"drop", "keep", "reject"},
		"requestId":         {"trusted", "keep", "overwrite"},
	} {
		for _, word := range append(words, "wrong") {
			_, err := ParseTraffic([]byte("listeners:\n  - {name: web, address: ':80', " + key + ": " + word + "}\n"))
			if (err == nil) != (word != "wrong") || err != nil && !strings.Contains(err.Error(), "line 2: listeners[0]."+key) {
				t.Errorf("%s: %s: %v", key, word, err)
			}
		}
	}
}
