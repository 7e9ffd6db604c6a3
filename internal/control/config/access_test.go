package config

import (
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

const someHash = "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"

func TestMistakesInAccessAreNamed(t *testing.T) {
	for _, tc := range []struct{ route, want string }{
		{"access: {allow: [10.0.0.0/8, '::1/128']}", ""},
		{"access: {deny: [10.0.0.0/8]}", ""},
		{"access: {}", "access: is empty: want allow or deny"},
		{"access: {allow: [localhost]}", "access.allow[0]"},
		{"access: {deny: [" + strings.Repeat("10.0.0.0/8, ", 1000) + "10.0.0.0/8]}", "access.deny: 1001 networks are more than 1000"},
		{"basicAuth: {users: [{name: ann, passwordHash: '" + someHash + "'}]}", ""},
		{"basicAuth: {realm: The shop, users: [{name: ann b, passwordHash: '" + someHash + "'}]}", ""},
		{"basicAuth: {}", "basicAuth.users: missing: want at least one user"},
		{"basicAuth: {realm: 'a\"b', users: [{name: ann, passwordHash: '" + someHash + "'}]}", `basicAuth.realm: "a\"b": want at most 200 printable ASCII characters`},
		{"basicAuth: {realm: café, users: [{name: ann, passwordHash: '" + someHash + "'}]}", "basicAuth.realm"},
		{"basicAuth: {users: [{name: 'a:b', passwordHash: '" + someHash + "'}]}", `basicAuth.users[0].name: "a:b": want 1 to 128 characters without colons`},
		{"basicAuth: {users: [{passwordHash: '" + someHash + "'}]}", `basicAuth.users[0].name: "": want`},
		{"basicAuth: {users: [{name: ann, passwordHash: '" + someHash + "'}, {name: ann, passwordHash: '" + someHash + "'}]}", `basicAuth.users[1].name: user "ann" is already at routes[0].basicAuth.users[0].name`},
		{"basicAuth: {users: [{name: ann, passwordHash: secret}]}", "basicAuth.users[0].passwordHash: is no bcrypt hash"},
		{"basicAuth: {users: [{name: ann, passwordHash: '" + strings.Replace(someHash, "12", "04", 1) + "'}]}", "basicAuth.users[0].passwordHash: has cost 4"},
		{"basicAuth: {users: [{name: ann}]}", "basicAuth.users[0].passwordHash"},
		{"cors: {allowOrigins: ['*']}", ""},
		{"cors: {allowOrigins: ['https://a.example', 'https://*.a.example:8443', 'http://[::1]:80'], allowMethods: [PUT], allowHeaders: [X-A], exposeHeaders: ['*'], maxAge: 24h}", ""},
		{"cors: {}", "cors.allowOrigins: missing"},
		{"cors: {allowOrigins: ['*', 'https://a.example']}", "cors.allowOrigins[0]: * stands for all origins"},
		{"cors: {allowOrigins: ['*'], allowCredentials: true}", "cors.allowOrigins[0]: * with allowCredentials would let every page act as the user"},
		{"cors: {allowOrigins: ['null']}", `cors.allowOrigins[0]: "null": want an origin`},
		{"cors: {allowOrigins: ['https://a.example/']}", `cors.allowOrigins[0]: "https://a.example/": want an origin`},
		{"cors: {allowOrigins: ['https://*']}", `cors.allowOrigins[0]: "https://*": want an origin`},
		{"cors: {allowOrigins: ['https://*.*.example']}", "cors.allowOrigins[0]"},
		{"cors: {allowOrigins: ['ftp://a.example']}", "cors.allowOrigins[0]"},
		{"cors: {allowOrigins: ['https://u@a.example']}", "cors.allowOrigins[0]"},
		{`cors: {allowOrigins: ["https://a.example\r\nX: y"]}`, "cors.allowOrigins[0]"},
		{"cors: {allowOrigins: ['https://a.example'], allowHeaders: ['X A']}", `cors.allowHeaders[0]: "X A"`},
		{"cors: {allowOrigins: ['https://a.example'], allowHeaders: ['*', X-A]}", "cors.allowHeaders[0]: * stands for all headers"},
		{"cors: {allowOrigins: ['https://a.example'], exposeHeaders: ['*'], allowCredentials: true}", "cors.exposeHeaders[0]: browsers do not read * as all headers"},
		{"cors: {allowOrigins: ['https://a.example'], allowMethods: ['*']}", ""},
		{"cors: {allowOrigins: ['https://a.example'], maxAge: 25h}", "cors.maxAge: want 0s to 24h in whole seconds, got 25h0m0s"},
		{"cors: {allowOrigins: ['https://a.example'], maxAge: 1ms}", "cors.maxAge: want 0s to 24h"},
		{"cors: {allowOrigins: ['https://a.example']}, methods: [GET]", "cors: never answers a preflight: add OPTIONS"},
		{"cors: {allowOrigins: ['https://a.example']}, responseHeaders: {set: {Access-Control-Max-Age: '1'}}", "cors: writes Access-Control-Max-Age, as responseHeaders does"},
		{"cors: {origins: ['*']}", "cors.origins: unknown key"},
	} {
		_, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n  - {name: r, service: a, " + tc.route + "}\n"))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), "line 3: routes[0]."+tc.want)) {
			t.Errorf("%.200s: got %v, want %q", tc.route, err, tc.want)
		}
	}
}

func TestAccessIsCompiled(t *testing.T) {
	d, err := ParseTraffic([]byte(`
services: [{id: a, instances: [{id: i, address: 'h:1'}]}]
routes:
  - name: r
    service: a
    access: {allow: [10.0.0.0/8], deny: [10.0.0.1/32]}
    basicAuth: {users: [{name: ann, passwordHash: '` + someHash + `'}]}
    cors: {allowOrigins: ['https://a.example']}
    responseHeaders: {set: {X-A: b}, remove: [Server]}
`))
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile(d, "1", upstream.NewService, Local{Passwords: action.NewPasswords()})
	if err != nil {
		t.Fatal(err)
	}
	route, _ := table.Routes.Match(hashed{}, router.Peer{})
	a := route.Actions
	if a.Networks == nil || a.Basic == nil || !a.CORS.Allows([]byte("https://a.example")) || !a.Response.Puts("access-control-allow-origin") || !a.Response.Puts("x-a") || !a.Response.Drops("server") || !a.Response.Drops("access-control-expose-headers") {
		t.Errorf("%+v", a)
	}
	if got := string(a.Basic.Challenge.AppendLine(0, nil, &action.Values{})); !strings.Contains(got, `realm="r"`) {
		t.Error(got)
	}
	if route.Traffic == nil {
		t.Error("refused requests are not counted")
	}
}
