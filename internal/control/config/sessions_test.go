package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

func TestMistakesInSessionsAreNamed(t *testing.T) {
	for _, tc := range []struct{ service, want string }{
		{"sessionPersistence: {sessionName: SHOP}", ""},
		{"sessionPersistence: {sessionName: __Host-shop, maxAge: 9600h, path: /, sameSite: none, drainGrace: 720h, ejectGrace: 1s}", ""},
		{"sessionPersistence: {}", "sessionPersistence.sessionName: missing: want the name of the cookie"},
		{"sessionPersistence: {sessionName: 'a b'}", `sessionPersistence.sessionName: "a b": want at most 128 letters`},
		{"sessionPersistence: {sessionName: 'a=b'}", `sessionPersistence.sessionName: "a=b": want`},
		{"sessionPersistence: {sessionName: 'a;b'}", `sessionPersistence.sessionName: "a;b": want`},
		{"sessionPersistence: {sessionName: " + strings.Repeat("a", 129) + "}", `sessionPersistence.sessionName: "aaaa`},
		{"sessionPersistence: {sessionName: __Host-shop, path: /shop}", "sessionPersistence.path: browsers refuse a cookie __Host-"},
		{"sessionPersistence: {sessionName: a, path: shop}", `sessionPersistence.path: "shop": want a path that starts with /`},
		{"sessionPersistence: {sessionName: a, path: '/; Domain=example.com'}", `sessionPersistence.path: "/; Domain=example.com": want`},
		{`sessionPersistence: {sessionName: a, path: "/\r\nX: y"}`, `sessionPersistence.path: "/\r\nX: y": want`},
		{"sessionPersistence: {sessionName: a, path: /" + strings.Repeat("a", 1024) + "}", `sessionPersistence.path: "/aaa`},
		{"sessionPersistence: {sessionName: a, maxAge: 9601h}", "sessionPersistence.maxAge: want 0s to 9600h0m0s in whole seconds, got 9601h0m0s"},
		{"sessionPersistence: {sessionName: a, maxAge: 1500ms}", "sessionPersistence.maxAge: want 0s to 9600h0m0s in whole seconds, got 1.5s"},
		{"sessionPersistence: {sessionName: a, maxAge: -1s}", "sessionPersistence.maxAge: "},
		{"sessionPersistence: {sessionName: a, sameSite: Lax}", `sessionPersistence.sameSite: unknown value "Lax", want lax or strict or none`},
		{"sessionPersistence: {sessionName: a, drainGrace: 721h}", "sessionPersistence.drainGrace: want 0s to 720h"},
		{"sessionPersistence: {sessionName: a, ejectGrace: -1s}", "sessionPersistence.ejectGrace: "},
		{"sessionPersistence: {name: a}", "sessionPersistence.name: unknown key"},
		{"policy: maglev, hashBalanceFactor: 150", ""},
		{"policy: ring_hash, hashBalanceFactor: 0", ""},
		{"policy: ring_hash, hashBalanceFactor: 100", "hashBalanceFactor: want 0, or 101 to 1000 percent, got 100"},
		{"policy: ring_hash, hashBalanceFactor: 1001", "hashBalanceFactor: want 0, or 101 to 1000 percent, got 1001"},
		{"policy: ring_hash, hashBalanceFactor: -1", "hashBalanceFactor: want 0, or 101 to 1000 percent, got -1"},
		{"policy: ring_hash, hashBalanceFactor: 1.5", "hashBalanceFactor: want a whole number"},
		{"policy: adaptive, hashBalanceFactor: 150", "hashBalanceFactor: has no effect: only the policies ring_hash and maglev have hashBalanceFactor, this service has adaptive"},
	} {
		_, err := ParseTraffic([]byte("services:\n  - {id: a, instances: [{id: i, address: 'h:1'}], " + tc.service + "}\nroutes: [{name: r, service: a}]\n"))
		if strings.Contains(tc.want, "has no effect") {
			_, err = Check([]byte("services:\n  - {id: a, instances: [{id: i, address: 'h:1'}], " + tc.service + "}\nroutes: [{name: r, service: a}]\n"))
		}
		if tc.want == "" && err != nil {
			t.Errorf("%s is refused: %v", tc.service, err)
		}
		if tc.want != "" && (err == nil || !strings.Contains(err.Error(), "line 2: services[0]."+tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.service, err, tc.want)
		}
	}
}

func TestKeysOfSessions(t *testing.T) {
	long := strings.Repeat("k", 32)
	env := map[string]string{"A": long, "B": long + "b", "SHORT": long[1:]}
	getenv := func(name string) string { return env[name] }
	read := func(string) ([]byte, error) { return nil, errors.New("no such file") }
	for _, tc := range []struct {
		refs []secret.Ref
		want string
	}{
		{nil, ""},
		{[]secret.Ref{"${env:A}", "${env:B}"}, ""},
		{[]secret.Ref{"${env:A}", "${env:SHORT}"}, "proxy.sessionKeys[1]: the key is shorter than 32 characters"},
		{[]secret.Ref{"${env:NONE}"}, "proxy.sessionKeys[0]: the variable NONE is not set"},
		{[]secret.Ref{"${file:/none}"}, "proxy.sessionKeys[0]: no such file"},
	} {
		keys, err := Proxy{SessionKeyRefs: tc.refs}.sessionKeys(getenv, read)
		if tc.want == "" && (err != nil || keys.Generated() != (tc.refs == nil)) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%v: %v", tc.refs, err)
		}
	}
	for keys, want := range map[string]string{
		"[hunter2hunter2hunter2hunter2hunter2]": "proxy.sessionKeys[0]: a secret is not written here",
		"['']":                                  "proxy.sessionKeys[0]: missing",
		"[" + strings.Repeat("'${env:A}', ", 5) + "]": "proxy.sessionKeys: 5 keys are more than 4",
	} {
		if _, err := Parse([]byte("proxy:\n  sessionKeys: " + keys + "\n")); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

// hashed is a request whose parts have the value v.
type hashed struct{ v, absent string }

func (h hashed) Method() []byte { return []byte("GET") }
func (h hashed) Host() []byte   { return nil }
func (h hashed) Path() []byte   { return []byte("/") }
func (h hashed) Query() []byte  { return []byte("q=" + h.v) }
func (h hashed) Header(n string) ([]byte, bool) {
	return []byte(h.v), n == "X-User" && h.absent == ""
}
func (h hashed) Cookie(n string) ([]byte, bool) { return []byte(h.v), n == "user" && h.absent == "" }

func TestSessionsAndHashKeysAreCompiled(t *testing.T) {
	doc := func(hashOn string) Traffic {
		d, err := ParseTraffic([]byte(fmt.Sprintf(`
routes: [{name: r, service: a, hashOn: '%s'}]
services:
  - id: a
    policy: ring_hash
    sessionPersistence: {sessionName: S, maxAge: 1m, path: /p, sameSite: strict, drainGrace: 2m, ejectGrace: 3s}
    instances: [{id: i, address: 'h:1'}, {id: j, address: 'h:2'}]
`, hashOn)))
		if err != nil {
			t.Fatal(hashOn, err)
		}
		return d
	}
	for _, on := range []string{"", "client", "path", "header:X-User", "cookie:user", "query:q"} {
		service := upstream.NewService("a")
		table, err := Compile(doc(on), "1", func(string) *upstream.Service { return service }, Local{Sessions: affinity.NewKeys("k")})
		if err != nil {
			t.Fatal(err)
		}
		route, _ := table.Routes.Match(hashed{}, router.Peer{})
		s := route.Split[0].Session
		if s.Cookie != "S" || s.DrainGrace.String() != "2m0s" || s.EjectGrace.String() != "3s" {
			t.Errorf("%+v", s.Settings)
		}
		c := string(s.AppendCookie(nil, "j", false))
		if !strings.HasSuffix(c, "; Path=/p; Max-Age=60; HttpOnly; SameSite=Strict") {
			t.Error(c)
		}
	}
	for _, on := range []string{"header:", "cookie:", "query:", "ip", "cookie:a b", "header:X Y", "cookie:a;b"} {
		src := "routes: [{name: r, service: a, hashOn: '" + on + "'}]\nservices: [{id: a, policy: maglev, instances: [{id: i, address: 'h:1'}]}]\n"
		if _, err := ParseTraffic([]byte(src)); err == nil || !strings.Contains(err.Error(), "routes[0].hashOn") {
			t.Errorf("%s: %v", on, err)
		}
	}
}
