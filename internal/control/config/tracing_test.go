package config

import (
	"strings"
	"testing"
)

func TestTracingIsChecked(t *testing.T) {
	const local = "endpoint: 'http://localhost:4318'"
	headers := "headers: {" + strings.Repeat("H%: '${env:A}', ", 17) + "}"
	for i := range 17 {
		headers = strings.Replace(headers, "%", string(rune('a'+i)), 1)
	}
	for keys, want := range map[string]string{
		local: "",
		"endpoint: 'https://c.example/otlp', sample: 1, timeout: 60s, ca: /ca.pem, headers: {Authorization: '${file:/token}'}": "",
		local + ", headers: {Authorization: '${env:TOKEN}'}":                                                                   "",
		"endpoint: 'http://c.example', sample: 0":                                                                              "",
		local + ", protocol: grpc":                                                                                             "",
		"endpoint: 'http://localhost:4317/', protocol: grpc":                                                                   "",
		"endpoint: 'https://c.example', protocol: grpc, headers: {A: '${env:A}'}":                                              "",
		"endpoint: 'http://c.example/v1/traces', protocol: grpc":                                                               "telemetry.tracing.endpoint: the URL of gRPC has no path",
		local + ", protocol: http/json":                                                                                        "telemetry.tracing.protocol: unknown protocol \"http/json\", want one of http, grpc",
		local + ", protocol: ''":                                                                                               "telemetry.tracing.protocol",
		local + ", sample: 1.1":                                                                                                "telemetry.tracing.sample: want 0 to 1",
		local + ", sample: -0.1":                                                                                               "telemetry.tracing.sample: want 0 to 1",
		local + ", timeout: 99ms":                                                                                              "telemetry.tracing.timeout: want 100ms to 60s",
		local + ", timeout: 61s":                                                                                               "telemetry.tracing.timeout: want 100ms to 60s",
		"endpoint: 'c.example:4318'":                                                                                           "telemetry.tracing.endpoint: want a URL",
		"endpoint: 'grpc://c.example:4317'":                                                                                    "telemetry.tracing.endpoint: want a URL",
		"endpoint: 'http://'":                                                                                                  "telemetry.tracing.endpoint: want a URL",
		"endpoint: 'http://:4318'":                                                                                             "telemetry.tracing.endpoint: want a URL",
		"endpoint: 'https://a:b@c.example'":                                                                                    "telemetry.tracing.endpoint: a URL cannot hold a password",
		"endpoint: 'https://c.example/?token=x'":                                                                               "telemetry.tracing.endpoint: the URL cannot have a query",
		"endpoint: 'https://c.example/#x'":                                                                                     "telemetry.tracing.endpoint: the URL cannot have a query",
		"endpoint: 'https://c.example/" + strings.Repeat("x", 2048) + "'":                                                      "telemetry.tracing.endpoint: the URL has",
		"endpoint: 'http://c.example', headers: {Authorization: '${env:TOKEN}'}":                                               "telemetry.tracing.endpoint: want https",
		local + ", headers: {Authorization: hunter2}":                                                                          "telemetry.tracing.headers.Authorization: a secret is not written here",
		local + ", headers: {Authorization: ''}":                                                                               "telemetry.tracing.headers.Authorization: missing",
		local + ", headers: {'a b': '${env:A}'}":                                                                               "telemetry.tracing.headers.a b: ",
		local + ", headers: {Host: '${env:A}'}":                                                                                "telemetry.tracing.headers.Host: ",
		local + ", headers: {Content-Type: '${env:A}'}":                                                                        "telemetry.tracing.headers.Content-Type: ",
		local + ", " + headers:                                                                                                 "telemetry.tracing.headers: 17 headers are more than 16",
		local + ", ca: /ca.pem":                                                                                                "telemetry.tracing.ca: has no effect",
		local + ", headers: 5":                                                                                                 "telemetry.tracing.headers: want keys with values",
		local + ", unknown: 5":                                                                                                 "unknown",
	} {
		_, err := Parse([]byte("telemetry: {tracing: {" + keys + "}}"))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", keys, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", keys, err, want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error shows the secret: %v", keys, err)
		}
	}
}

func TestLogsOfACollectorAreChecked(t *testing.T) {
	for keys, want := range map[string]string{
		"endpoint: 'http://localhost:4318'": "",
		"endpoint: 'https://c.example/x', timeout: 60s, ca: /ca.pem, headers: {A: '${file:/t}'}": "",
		"endpoint: 'http://localhost:4317', protocol: grpc":                                      "",
		"endpoint: 'http://c.example/v1/logs', protocol: grpc":                                   "telemetry.logs.endpoint: the URL of gRPC has no path",
		"endpoint: 'http://c.example', protocol: http/json":                                      "telemetry.logs.protocol: unknown protocol \"http/json\", want one of http, grpc",
		"endpoint: 'c.example:4318'":                                                             "telemetry.logs.endpoint: want a URL",
		"endpoint: 'http://c.example', headers: {A: '${env:TOKEN}'}":                             "telemetry.logs.endpoint: want https",
		"endpoint: 'http://localhost', timeout: 99ms":                                            "telemetry.logs.timeout: want 100ms to 60s",
		"endpoint: 'http://localhost', ca: /ca.pem":                                              "telemetry.logs.ca: has no effect",
		"endpoint: 'http://localhost', headers: {A: hunter2}":                                    "telemetry.logs.headers.A: a secret is not written here",
		"endpoint: 'http://localhost', sample: 1":                                                "telemetry.logs.sample: unknown key",
	} {
		_, err := Parse([]byte("telemetry: {logs: {" + keys + "}}"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
	for want, logs := range map[string]Logs{"http://a:4318/v1/logs": {Endpoint: "http://a:4318"}, "http://a:4317": {Endpoint: "http://a:4317", Protocol: "grpc"}} {
		if got := logs.URL(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTracingURLHasAPath(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://a:4318": "http://a:4318/v1/traces", "http://a:4318/": "http://a:4318/v1/traces", "https://a/otlp/x": "https://a/otlp/x",
	} {
		if got := (Tracing{Endpoint: endpoint}).URL(); got != want {
			t.Errorf("%s gives %s", endpoint, got)
		}
	}
}
