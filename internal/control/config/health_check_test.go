package config

import (
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// withCheck is a document with one service and its healthCheck. keys are further keys of the service.
func withCheck(keys, check string) []byte {
	return []byte("routes: [{name: r, service: s}]\nservices:\n  - {id: s, instances: [{id: i, address: 'h:1'}]" + keys + ", healthCheck: {" + check + "}}\n")
}

func TestMistakesInHealthChecks(t *testing.T) {
	const at = "services[0].healthCheck"
	for check, want := range map[string]string{
		`port: 0`:                            at + ".port: want 1 to 65535, got 0",
		`port: 65536`:                        at + ".port: want 1 to 65535, got 65536",
		`port: -1`:                           at + ".port: want 1 to 65535, got -1",
		`protocol: http2`:                    at + `.protocol: unknown value "http2", want http1 or h2c or h2`,
		`protocol: h2`:                       at + ".protocol: h2 is HTTP/2 with TLS, and the checks have none: use h2c",
		`tls: true`:                          at + ".tls: the service has no tls, whose settings the checks would use",
		`tls: maybe`:                         at + ".tls: want true or false",
		`method: get`:                        at + `.method: "get": want a method in capitals like GET`,
		`method: "G T"`:                      "want a method in capitals like GET",
		`method: CONNECT`:                    "CONNECT asks for a tunnel",
		`method: ` + strings.Repeat("A", 33): at + ".method: ",
		`headers: {Host: a}`:                 at + ".headers.Host: Host: use the key host of the check",
		`headers: {Content-Length: "3"}`:     at + ".headers.Content-Length: ",
		`headers: {"a b": c}`:                "no such character",
		`headers: {X-A: "a\r\nX-B: c"}`:      "line ends",
		`headers: {X-A: "${client}"}`:        at + `.headers.X-A: "${client}": a check has no request`,
		`headers: {X-A: "$${x"}`:             "a check has no request",
		`headers: {X-A: ""}`:                 at + ".headers.X-A: the value is empty",
		`headers: {X-A: a, x-a: b}`:          "is already at",
		`headers: {` + values(5, 4000) + `}`: "at most 16384 are possible",
		`headers: {` + values(101, 1) + `}`:  "101 headers are more than 100",
		`statuses: [199]`:                    at + `.statuses[0]: "199": want a status from 200 to 599, or a range such as 200-299`,
		`statuses: [200, 600]`:               at + `.statuses[1]: "600": `,
		`statuses: [299-200]`:                at + `.statuses[0]: "299-200": `,
		`statuses: [200-]`:                   at + ".statuses[0]: ",
		`statuses: ["200-299-300"]`:          at + ".statuses[0]: ",
		`statuses: ["+20"]`:                  at + ".statuses[0]: ",
		`statuses: [2xx]`:                    at + ".statuses[0]: ",
		`statuses: [` + strings.Repeat("200, ", 101) + `]`:    at + ".statuses: 101 statuses are more than 100",
		`body: {contains: a, regex: b}`:                       at + ".body: want one of contains, regex, not both",
		`body: {regex: "("}`:                                  at + ".body.regex: ",
		`body: {regex: "((a{1000}){1000})"}`:                  at + ".body.regex: ",
		`body: {regex: "(ab?c?){300}"}`:                       at + ".body.regex: repetitions make a program of more than 1000 steps of it",
		`body: {contains: ` + strings.Repeat("x", 4097) + `}`: at + ".body.contains: longer than 4096 bytes",
		`method: HEAD, body: {contains: a}`:                   at + ".body: a response to HEAD has no body",
		`body: ok`:                                            at + ".body: want keys with values",
		`type: tcp, statuses: [200]`:                          at + ".statuses: has no effect: a tcp check only connects",
		`type: tcp, headers: {X-A: b}`:                        at + ".headers: has no effect: a tcp check only connects",
		`type: tcp, method: GET`:                              at + ".method: has no effect",
		`type: tcp, body: {contains: a}`:                      at + ".body: has no effect",
		`type: tcp, protocol: h2c`:                            at + ".protocol: has no effect",
		`type: grpc`:                                          at + ".type: a grpc check needs instances that speak HTTP/2",
		`type: grpc, protocol: h2c, body: {contains: a}`:      at + ".body: has no effect: a grpc check calls grpc.health.v1",
		`type: grpc, protocol: h2c, method: POST`:             at + ".method: has no effect",
		`type: udp`: at + `.type: unknown type "udp", want http, tcp or grpc`,
	} {
		_, err := ParseTraffic(withCheck("", check))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s:\n got %.500v\nwant %s", check, err, want)
		}
	}
	_, err := ParseTraffic([]byte("services: [{id: s, instances: [{id: i, address: 'unix:/run/a'}], healthCheck: {port: 80}}]"))
	if err == nil || !strings.Contains(err.Error(), at+".port: the instance i has a Unix socket, which has no port") {
		t.Errorf("a port of a Unix socket: %v", err)
	}
	_, err = ParseTraffic(withCheck(", protocol: h2, tls: {}", "protocol: h2c"))
	if err == nil || !strings.Contains(err.Error(), at+".protocol: h2c is HTTP/2 without TLS, and the checks have TLS: use h2, or set tls: false") {
		t.Errorf("h2c inside TLS: %v", err)
	}
}

func TestHowChecksConnect(t *testing.T) {
	for _, tc := range []struct {
		keys, check   string
		http2, secure bool
	}{
		{"", "path: /a", false, false},
		{", protocol: h2c", "path: /a", true, false},
		{", protocol: h2, tls: {}", "path: /a", true, true},
		{", protocol: h2, tls: {}", "protocol: http1", false, true},
		{", protocol: h2, tls: {}", "protocol: http1, tls: false, port: 8081", false, false},
		{", protocol: h2, tls: {}", "protocol: h2c, tls: false, type: grpc", true, false},
		{", tls: {}", "protocol: h2", true, true},
		{"", "protocol: h2c, type: grpc, headers: {X-Key: a}", true, false},
		{", protocol: h2, tls: {}", "type: tcp, tls: false, port: 81", true, false},
	} {
		d, err := ParseTraffic(withCheck(tc.keys, tc.check))
		if err != nil {
			t.Errorf("%s, %s: %v", tc.keys, tc.check, err)
			continue
		}
		if http2, secure := d.Services[0].CheckProtocol(); http2 != tc.http2 || secure != tc.secure {
			t.Errorf("%s, %s: HTTP/2 %v, TLS %v", tc.keys, tc.check, http2, secure)
		}
	}
}

func TestStatusesOfAHealthCheck(t *testing.T) {
	d, err := ParseTraffic(withCheck("", `statuses: [204, "301", 400-403], headers: {X-B: "2", A: b}, body: {contains: "${"}`))
	if err != nil {
		t.Fatal(err)
	}
	h := d.Services[0].HealthCheck
	set := h.StatusSet()
	for _, status := range []int{204, 301, 400, 401, 402, 403} {
		if !set.Has(status) {
			t.Errorf("%d is missing", status)
		}
	}
	if set.Has(200) || set.Has(404) || h.HeaderLines() != "A: b\nX-B: 2\n" {
		t.Errorf("%v %q", set, h.HeaderLines())
	}
	if (HealthCheck{}).StatusSet() != (upstream.StatusSet{}) {
		t.Error("a check without statuses has some")
	}
}
