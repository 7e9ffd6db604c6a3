package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestMistakesInLoadReportsAreNamed(t *testing.T) {
	for _, tc := range []struct {
		reports, want string
		orca          dispatch.LoadReports
	}{
		{"{orca: {}}", "", dispatch.LoadReports{Read: true, Strip: true}},
		{"{orca: {strip: true}}", "", dispatch.LoadReports{Read: true, Strip: true}},
		{"{orca: {strip: false}}", "", dispatch.LoadReports{Read: true}},
		{"{orca: {outOfBand: {port: 9090, interval: 1s}}}", "", dispatch.LoadReports{Read: true, Strip: true}},
		{"{orca: {outOfBand: {}}}", "orca.outOfBand.port: missing: the stream needs HTTP/2", dispatch.LoadReports{}},
		{"{orca: {outOfBand: {port: 0}}}", "orca.outOfBand.port: want 1 to 65535, got 0", dispatch.LoadReports{}},
		{"{orca: {outOfBand: {port: 1, interval: 2m}}}", "orca.outOfBand.interval: want 1s to 1m, got 2m0s", dispatch.LoadReports{}},
		{"{}", "line 2: services[0].loadReports: has no effect: want orca, scrape, agentCheck, podMetrics or otlp", dispatch.LoadReports{}},
		{"{orca: {strip: maybe}}", "line 2: services[0].loadReports.orca.strip: want true or false", dispatch.LoadReports{}},
		{"{orca: {enabled: true}}", "line 2: services[0].loadReports.orca.enabled: unknown key", dispatch.LoadReports{}},
		{"{agent: {}}", "line 2: services[0].loadReports.agent: unknown key", dispatch.LoadReports{}},
		{"{scrape: {metrics: {utilization: busy}}}", "", dispatch.LoadReports{}},
		{"{scrape: {path: '/m?x=1', port: 9100, interval: 1s, timeout: 1s, metrics: {requests: 'n{a=\"1\"}', errors: 'n{a=\"2\"}', cpu: a / 4, memory: a / b, inFlight: f, queue: q}}}", "", dispatch.LoadReports{}},
		{"{scrape: {}}", "scrape.metrics: want at least one of utilization, cpu,", dispatch.LoadReports{}},
		{"{scrape: {metrics: {queue: 5}}}", "scrape.metrics.queue: \"5\": want the name of a metric", dispatch.LoadReports{}},
		{"{scrape: {metrics: {queue: 'a{b=~\"(\"}'}}}", "scrape.metrics.queue: error parsing regexp", dispatch.LoadReports{}},
		{"{scrape: {metrics: {errors: a}}}", "scrape.metrics.errors: has no effect without requests", dispatch.LoadReports{}},
		{"{scrape: {metrics: {load: a}}}", "scrape.metrics.load: unknown key", dispatch.LoadReports{}},
		{"{scrape: {path: metrics, metrics: {cpu: a}}}", "scrape.path: \"metrics\": want a path", dispatch.LoadReports{}},
		{"{scrape: {path: '/%zz', metrics: {cpu: a}}}", "scrape.path: \"/%zz\": no request", dispatch.LoadReports{}},
		{"{scrape: {port: 0, metrics: {cpu: a}}}", "scrape.port: want 1 to 65535, got 0", dispatch.LoadReports{}},
		{"{scrape: {port: 70000, metrics: {cpu: a}}}", "scrape.port: want 1 to 65535, got 70000", dispatch.LoadReports{}},
		{"{scrape: {interval: 900ms, metrics: {cpu: a}}}", "scrape.interval: want 1s to 1m, got 900ms", dispatch.LoadReports{}},
		{"{scrape: {interval: 61s, metrics: {cpu: a}}}", "scrape.interval: want 1s to 1m", dispatch.LoadReports{}},
		{"{scrape: {timeout: 0s, metrics: {cpu: a}}}", "scrape.timeout: want more than 0", dispatch.LoadReports{}},
		{"{scrape: {timeout: 6s, metrics: {cpu: a}}}", "scrape.timeout: 6s is longer than the interval of 5s", dispatch.LoadReports{}},
		{"{podMetrics: {}}, discovery: {kubernetes: {service: a}}", "", dispatch.LoadReports{}},
		{"{podMetrics: {interval: 2s}}, discovery: {kubernetes: {service: a}}", "", dispatch.LoadReports{}},
		{"{podMetrics: {}}", "loadReports.podMetrics: has no effect without discovery.kubernetes of the service", dispatch.LoadReports{}},
		{"{podMetrics: {interval: 2m}}, discovery: {kubernetes: {service: a}}", "podMetrics.interval: want 1s to 1m, got 2m0s", dispatch.LoadReports{}},
		{"{podMetrics: {timeout: 16s}}, discovery: {kubernetes: {service: a}}", "podMetrics.timeout: 16s is longer than the interval of 15s", dispatch.LoadReports{}},
		{"{podMetrics: {timeout: 0s}}, discovery: {kubernetes: {service: a}}", "podMetrics.timeout: want more than 0", dispatch.LoadReports{}},
		{"{agentCheck: {port: 9777}}", "", dispatch.LoadReports{}},
		{`{agentCheck: {port: 9777, interval: 1m, timeout: 10s, send: "shop\n"}}`, "", dispatch.LoadReports{}},
		{"{agentCheck: {}}", "agentCheck.port: want 1 to 65535, got 0", dispatch.LoadReports{}},
		{"{agentCheck: {port: -1}}", "agentCheck.port: want 1 to 65535, got -1", dispatch.LoadReports{}},
		{"{agentCheck: {port: 1, interval: 0s}}", "agentCheck.interval: want 1s to 1m, got 0s", dispatch.LoadReports{}},
		{"{agentCheck: {port: 1, timeout: 3s}}", "agentCheck.timeout: 3s is longer than the interval of 2s", dispatch.LoadReports{}},
		{"{otlp: {metrics: {requests: http.server.request.duration, errors: 'http.server.request.duration{http.response.status_code=~\"5..\"}', inFlight: http.server.active_requests}}}", "", dispatch.LoadReports{}},
		{"{otlp: {serviceName: shop, instanceAttribute: host.name, metrics: {cpu: a.b / c}}}", "", dispatch.LoadReports{}},
		{"{otlp: {}}", "otlp.metrics: want at least one of utilization", dispatch.LoadReports{}},
		{"{otlp: {metrics: {cpu: .a}}}", "otlp.metrics.cpu: \".a\": want the name of a metric", dispatch.LoadReports{}},
		{"{otlp: {metrics: {errors: a.b}}}", "otlp.metrics.errors: has no effect without requests", dispatch.LoadReports{}},
		{"{otlp: {instanceAttribute: '', metrics: {cpu: a}}}", "otlp.instanceAttribute: want 1 to 256 bytes", dispatch.LoadReports{}},
		{"{otlp: {serviceName: " + strings.Repeat("a", 257) + ", metrics: {cpu: a}}}", "otlp.serviceName: longer than 256 bytes", dispatch.LoadReports{}},
		{"{agentCheck: {port: 1, send: " + strings.Repeat("a", 257) + "}}", "agentCheck.send: longer than 256 bytes", dispatch.LoadReports{}},
	} {
		src := "services:\n  - {id: a, instances: [{id: i, address: 'h:1'}], loadReports: " + tc.reports + "}\n"
		d, err := Check([]byte(src))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.reports, err, tc.want)
		}
		if err == nil && leg(d.Services[0]).LoadReports != tc.orca {
			t.Errorf("%s: got %+v, want %+v", tc.reports, leg(d.Services[0]).LoadReports, tc.orca)
		}
	}
}

func TestTwoServicesCannotHaveTheSameNameInOTLP(t *testing.T) {
	src := "services:\n"
	for i, names := range []string{"{id: a, loadReports: {otlp: {serviceName: b, metrics: {cpu: a}}}", "{id: b, loadReports: {otlp: {metrics: {cpu: a}}}"} {
		src += fmt.Sprintf("  - %s, instances: [{id: i, address: 'h:%d'}]}\n", names, i+1)
	}
	if _, err := Check([]byte(src)); err == nil || !strings.Contains(err.Error(), `services[1].loadReports.otlp.serviceName: "b" is the name of the service a too`) {
		t.Errorf("got %v", err)
	}
}

func TestMistakesInTheReceiverOfOTLPAreNamed(t *testing.T) {
	for settings, want := range map[string]string{
		"{address: '127.0.0.1:4318', token: '${file:/run/token}', tls: {cert: a, key: b}}": "",
		"{token: '${file:/run/token}'}":                "telemetry.otlp: has no effect without address",
		"{address: '4318'}":                            "telemetry.otlp.address: \"4318\": want host:port",
		"{address: ':4318', token: 'secret'}":          "telemetry.otlp.token",
		"{address: ':4318', tls: {cert: a}}":           "telemetry.otlp.tls: want both cert and key",
		"{address: ':4318', path: /v1/metrics}":        "telemetry.otlp.path: unknown key",
		"{address: ['127.0.0.1:1'], tls: {cert: a.b}}": "telemetry.otlp.address: want text",
	} {
		_, err := Parse([]byte("telemetry: {otlp: " + settings + "}\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", settings, err, want)
		}
	}
	d, err := Parse([]byte("telemetry: {otlp: {address: ':4318'}}\n"))
	if err != nil || len(d.Warnings) != 1 || d.Warnings[0].Path != "telemetry.otlp.address" {
		t.Errorf("an open receiver: %v, %v", d.Warnings, err)
	}
}

// The examples of the page are valid, and every setting in them has an effect.
func TestExamplesOfLoadReportsAreValid(t *testing.T) {
	page, err := os.ReadFile("../../../docs/load-reports.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```\n").FindAllSubmatch(page, -1)
	if len(examples) == 0 {
		t.Fatal("the page has no example")
	}
	for _, e := range examples {
		d, err := Parse(e[1])
		if err != nil || len(d.Warnings) > 0 {
			t.Errorf("%s\n%v %v", e[1], err, d.Warnings)
			continue
		}
		if _, err := Compile(d.Traffic, "r", upstream.NewService, Local{}); err != nil {
			t.Errorf("%s\n%v", e[1], err)
		}
	}
}

func TestCollectorsNeedAPort(t *testing.T) {
	for protocol, want := range map[string]string{"protocol: h2c": "", "protocol: h2, tls: {}": "", "protocol: http1": "outOfBand.port: missing: the stream needs HTTP/2"} {
		_, err := Check([]byte("services:\n  - {id: a, " + protocol + ", instances: [{id: i, address: 'h:1'}], loadReports: {orca: {outOfBand: {}}}}\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

// The collector uses the encryption of the service, or that of the kind of load reports.
func TestEncryptionOfLoadReports(t *testing.T) {
	const file, none = "&{CA:ca.pem ServerName: Cert: Key: Insecure:false}", "<nil>"
	for _, tc := range []struct{ service, own, want string }{
		{"{}", "", "&{CA: ServerName: Cert: Key: Insecure:false}"}, {"{ca: ca.pem}", "", file}, {"", "", none},
		{"{}", "tls: {ca: ca.pem}, ", file}, {"{}", "tls: {enabled: false}, port: 9, ", none}, {"", "tls: {enabled: true, ca: ca.pem}, port: 9, ", file},
		{"", "tls: {}, ", "port: missing: the ports of the instances have no TLS"},
		{"{}", "tls: {enabled: false}, ", "port: missing: the ports of the instances have TLS"},
		{"{}", "tls: {enabled: false, ca: ca.pem}, port: 9, ", "tls: with enabled: false, the other keys have no effect"},
		{"{}", "tls: {cert: a}, ", "tls: cert and key: want both or none"},
		{"{}", "tls: {ca: a, insecure: true}, ", "tls.insecure: accepts every certificate, so ca has no effect"},
		{"{}", "tls: {serverName: 'a b'}, ", "tls.serverName: \"a b\": want a name without a port"},
		{"{}", "tls: {enabled: maybe}, ", "tls.enabled: want true or false"},
		{"{}", "tls: {authority: a}, ", "tls.authority: unknown key"},
	} {
		service := "protocol: h2c"
		if tc.service != "" {
			service = "protocol: h2, tls: " + tc.service
		}
		for path, reports := range map[string]string{"scrape": "{scrape: {%smetrics: {cpu: a}}}", "orca.outOfBand": "{orca: {outOfBand: {%sinterval: 1s}}}"} {
			d, err := Check([]byte("services:\n  - {id: a, " + service + ", instances: [{id: i, address: 'h:1'}], loadReports: " + fmt.Sprintf(reports, tc.own) + "}\n"))
			if err != nil {
				if want := "loadReports." + path + "." + tc.want; !strings.Contains(err.Error(), want) {
					t.Errorf("%+v: got %v, want %s", tc, err, want)
				}
				continue
			}
			got := ""
			if s := d.Services[0]; path == "scrape" {
				got = fmt.Sprintf("%+v", s.ScrapeTLS())
			} else {
				got = fmt.Sprintf("%+v", s.StreamTLS())
			}
			if got != tc.want {
				t.Errorf("%+v, %s: got %s", tc, path, got)
			}
		}
	}
}

func TestMistakesInLoginsAtPagesAreNamed(t *testing.T) {
	for logins, want := range map[string]string{
		"[{service: a, user: u, password: '${env:P}'}, {service: b, bearerToken: '${file:/run/t}'}]": "",
		"[{user: u, password: '${env:P}'}]":                                              "scrapeLogins[0].service: missing",
		"[{service: a, bearerToken: '${env:P}'}, {service: a, bearerToken: '${env:P}'}]": "scrapeLogins[1].service: service \"a\" is already at telemetry.scrapeLogins[0].service",
		"[{service: 'a b', bearerToken: '${env:P}'}]":                                    "scrapeLogins[0].service: \"a b\": want 1 to 128 letters",
		"[{service: a}]":                       "scrapeLogins[0]: want user and password, or bearerToken",
		"[{service: a, user: u}]":              "scrapeLogins[0]: user and password: want both",
		"[{service: a, password: '${env:P}'}]": "scrapeLogins[0]: user and password: want both",
		"[{service: a, user: u, password: '${env:P}', bearerToken: '${env:P}'}]": "scrapeLogins[0]: want user and password, or bearerToken, not both",
		"[{service: a, bearerToken: abc}]":                                       "scrapeLogins[0].bearerToken: a secret is not written here",
		"[{service: a, user: u, password: abc}]":                                 "scrapeLogins[0].password: a secret is not written here",
		"[{service: a, user: 'u:v', password: '${env:P}'}]":                      "scrapeLogins[0].user: want at most 256 bytes without a colon",
		"[" + strings.Repeat("{service: a},", 1001) + "]":                        "scrapeLogins: 1001 logins are more than 1000",
	} {
		for _, key := range []string{"scrapeLogins", "streamLogins"} {
			want := strings.ReplaceAll(want, "scrapeLogins", key)
			_, err := Parse([]byte("telemetry: {" + key + ": " + logins + "}\n"))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "telemetry."+want)) {
				t.Errorf("%.200s: got %.300v, want %q", logins, err, want)
			}
		}
	}
}
