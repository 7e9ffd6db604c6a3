package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// withRoute is a document with one route, whose keys are in flow style.
func withRoute(keys string) []byte {
	return []byte("services: [{id: s, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: r, " + keys + "}\n")
}

func TestMistakesInWhatARouteDoes(t *testing.T) {
	for keys, want := range map[string]string{
		`path: {prefix: /}`:                                              "routes[0].service: missing: a route wants service, split, redirect or response",
		`service: s, redirect: {host: h}`:                                "routes[0].redirect: service and redirect exclude each other",
		`redirect: {host: h}, response: {status: 200}`:                   "routes[0].response: redirect and response exclude each other",
		`service: s, requestHeaders: {set: {Host: h}}`:                   "routes[0].requestHeaders.set.Host: Host: use rewrite.host",
		`service: s, requestHeaders: {set: {content-length: "1"}}`:       "cannot change it",
		`service: s, responseHeaders: {remove: [Connection]}`:            "routes[0].responseHeaders.remove[0]: Connection: smartlb reads or writes this header itself",
		`service: s, requestHeaders: {add: {"a b": c}}`:                  "no such character",
		`service: s, requestHeaders: {add: {X-A: "${cleint}"}}`:          "routes[0].requestHeaders.add.X-A: there is no variable ${cleint}; variables: client, requestId, sni, route, service, instance, tlsSubject",
		`service: s, requestHeaders: {add: {X-A: "a\r\nX-B: c"}}`:        "line ends",
		`service: s, requestHeaders: {set: {X-A: ""}}`:                   "to remove a header, use remove",
		`service: s, requestHeaders: {set: {X-A: a}, remove: [x-a]}`:     "x-a is already at routes[0].requestHeaders.set.X-A",
		`service: s, requestHeaders: {set: {X-A: a, X-A: b}}`:            "already defined",
		`service: s, requestHeaders: {set: {X-A: a, x-a: b}}`:            "is already at",
		`service: s, rewrite: {}`:                                        "routes[0].rewrite: is empty",
		`service: s, rewrite: {host: "a b"}`:                             "want a name or an address",
		`service: s, rewrite: {host: "a:b"}`:                             "want a name or an address",
		`service: s, rewrite: {path: x}`:                                 "routes[0].rewrite.path: \"x\": must start with /",
		`service: s, rewrite: {path: "/a?b"}`:                            "a path ends before '?'",
		`service: s, rewrite: {path: "/../a"}`:                           "routes[0].rewrite.path",
		`service: s, rewrite: {path: /a, prefix: /b}`:                    "want one of path, prefix, regex, not several",
		`service: s, path: {exact: /x}, rewrite: {prefix: /b}`:           "has no path.prefix",
		`service: s, rewrite: {regex: "/(.*)"}`:                          "regex and replace need each other",
		`service: s, rewrite: {replace: /a}`:                             "regex and replace need each other",
		`service: s, rewrite: {regex: "(", replace: /a}`:                 "routes[0].rewrite.regex",
		`service: s, rewrite: {regex: "/(.*)", replace: "/$2"}`:          "routes[0].rewrite.replace: $2: the expression has 1 groups",
		`service: s, rewrite: {regex: "/(.*)", replace: "/${name}"}`:     "routes[0].rewrite.replace",
		`service: s, rewrite: {regex: "(a{1000}){1000}", replace: "/a"}`: "routes[0].rewrite.regex",
		`redirect: {}`:                                                         "leads back to the request",
		`redirect: {scheme: ftp, host: h}`:                                     "routes[0].redirect.scheme: unknown value \"ftp\", want http or https",
		`redirect: {host: "h:80"}`:                                             "without port",
		`redirect: {host: "h/x"}`:                                              "without port",
		`redirect: {port: 70000}`:                                              "want 1 to 65535, got 70000",
		`redirect: {host: h, code: 200}`:                                       "want 301, 302, 303, 307 or 308, got 200",
		`redirect: {host: h}, timeout: 1s`:                                     "routes[0].timeout: has no effect: a route with redirect asks no instance",
		`response: {status: 200}, requestHeaders: {remove: [X-A]}`:             "routes[0].requestHeaders: has no effect: a route with response asks no instance",
		`response: {body: x}`:                                                  "routes[0].response.status: want 200 to 599, got 0",
		`response: {status: 100}`:                                              "want 200 to 599, got 100",
		`response: {status: 204, body: x}`:                                     "a response with the status 204 has no body",
		`response: {status: 200, body: x, file: y}`:                            "body and file exclude each other",
		`response: {status: 200, file: ../y}`:                                  "below the folder proxy.pages",
		`response: {status: 200, file: /etc/passwd}`:                           "below the folder proxy.pages",
		`response: {status: 200, headers: {Content-Length: "3"}}`:              "routes[0].response.headers.Content-Length",
		`response: {status: 200, body: "` + strings.Repeat("x", 65537) + `"}`:  "the body has 65537 bytes, at most 65536 are possible; use file",
		`service: s, requestHeaders: {remove: [` + names(101) + `]}`:           "101 headers are more than 100",
		`service: s, requestHeaders: {set: {` + values(5, 4000) + `}}`:         "at most 16384 are possible",
		`service: s, requestHeaders: {set: {X-A: ` + strings.Repeat("x", 5000): "at most 4096 are possible",
	} {
		if strings.Count(keys, "{") > strings.Count(keys, "}") {
			keys += "}}"
		}
		_, err := Parse(withRoute(keys))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s:\n got %.500v\nwant %s", keys, err, want)
		}
	}
}

func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d, ", i)
	}
	return b.String()
}

func values(n, bytes int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d: %s, ", i, strings.Repeat("x", bytes))
	}
	return b.String()
}

func TestMistakesInErrorPages(t *testing.T) {
	for keys, want := range map[string]string{
		`{body: x}`:                           "services[0].errorPages[0].statuses: missing",
		`{statuses: [503]}`:                   "services[0].errorPages[0].body: is empty: want body or file",
		`{statuses: [503], body: x, file: y}`: "body and file exclude each other",
		`{statuses: [200], body: x}`:          "services[0].errorPages[0].statuses[0]: want 400 to 599, got 200",
		`{statuses: [502, 503], body: x}, {statuses: [503], body: y}`: "services[0].errorPages[1].statuses[0]: 503 is already at services[0].errorPages[0].statuses[1]",
		`{statuses: [503], file: ../x}`:                               "below the folder proxy.pages",
		`{statuses: [503], body: x, intercept: maybe}`:                "services[0].errorPages[0].intercept: want true or false",
		`{statuses: [503], body: x, headers: {Connection: close}}`:    "services[0].errorPages[0].headers.Connection",
	} {
		_, err := Parse([]byte("services: [{id: s, instances: [{id: i, address: 'h:1'}], errorPages: [" + keys + "]}]\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", keys, err, want)
		}
	}
}

// A listener's headers about client certificates cannot be written by a route.
func TestARouteCannotWriteWhatAListenerWrites(t *testing.T) {
	_, err := Parse([]byte(`listeners: [{name: l, address: ':1', tls: {certificates: [{cert: a, key: b}], clientCertificates: {mode: require, ca: c, subjectHeader: X-Subject}}}]
services: [{id: s, instances: [{id: i, address: 'h:1'}]}]
routes: [{name: r, service: s, requestHeaders: {set: {x_subject: "CN=admin"}}}]`))
	if err == nil || !strings.Contains(err.Error(), "routes[0].requestHeaders.set.x_subject: x_subject: clientCertificates of a listener writes this header") {
		t.Errorf("got %v", err)
	}
}

// Files of responses come from the folder of the node, and from nowhere else.
func TestPagesComeFromTheirFolder(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for name, body := range map[string]string{filepath.Join(dir, "page.html"): "<h1>Closed</h1>", filepath.Join(dir, "large"): strings.Repeat("x", 1<<20+1), filepath.Join(outside, "key.pem"): "secret"} {
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "key.pem"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"page.html": "", "link": "escapes", "pipe": "not a regular file", "large": "larger than 1 MiB", "none": "no such file", ".": "not a regular file"} {
		d, err := Parse(withRoute("response: {status: 503, file: " + file + "}"))
		if err != nil {
			t.Fatal(err)
		}
		table, err := Compile(d.Traffic, "r", upstream.NewService, Local{Pages: Pages{Dir: dir}})
		switch {
		case want == "" && (err != nil || table == nil):
			t.Errorf("%s: %v", file, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", file, err, want)
		}
		if _, err := Compile(d.Traffic, "r", upstream.NewService, Local{}); err == nil || !strings.Contains(err.Error(), "proxy.pages") {
			t.Errorf("%s without a folder: %v", file, err)
		}
	}
}

func TestTheBodiesOfADocumentAreBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("routes:\n")
	for i := range 17 {
		fmt.Fprintf(&b, "  - {name: r%d, path: {exact: /%d}, response: {status: 200, file: page}}\n", i, i)
	}
	d, err := Parse([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compile(d.Traffic, "r", upstream.NewService, Local{Pages: Pages{Dir: dir}}); err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("got %v", err)
	}
}
