package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/forwardauth"
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
		{"jwt: {issuer: 'https://i', jwks: 'https://i/keys'}", ""},
		{"jwt: {issuer: i, audiences: [a, b], jwks: 'http://127.0.0.1:1/keys', cookie: token, claims: {X-User: sub, X-Groups: 'https://i/groups'}, leeway: 0s}", ""},
		{"jwt: {issuer: i, jwks: keys.json, header: X-Token}", ""},
		{"jwt: {jwks: keys.json}", `jwt.issuer: "": want 1 to 256 bytes`},
		{"jwt: {issuer: \"a\\nb\", jwks: keys.json}", "jwt.issuer"},
		{"jwt: {issuer: " + strings.Repeat("i", 257) + ", jwks: keys.json}", "jwt.issuer"},
		{"jwt: {issuer: i}", "jwt.jwks: missing: want the URL or the file"},
		{"jwt: {issuer: i, jwks: 'http://i.example/keys'}", `jwt.jwks: "http://i.example/keys": want https; http is for loopback addresses only`},
		{"jwt: {issuer: i, jwks: 'https://u:p@i.example/keys'}", "jwt.jwks"},
		{"jwt: {issuer: i, jwks: 'https://i/" + strings.Repeat("k", 2048) + "'}", "jwt.jwks: has 2058 bytes, at most 2048"},
		{"jwt: {issuer: i, jwks: ../keys.json}", `jwt.jwks: "../keys.json": want the name of a file below the folder proxy.pages`},
		{"jwt: {issuer: i, jwks: k, audiences: ['']}", `jwt.audiences[0]: "": want 1 to 256 bytes`},
		{"jwt: {issuer: i, jwks: k, audiences: [" + strings.Repeat("a, ", 20) + "a]}", "jwt.audiences: 21 audiences are more than 20"},
		{"jwt: {issuer: i, jwks: k, header: X-A, cookie: b}", "jwt.cookie: use either header or cookie"},
		{"jwt: {issuer: i, jwks: k, header: 'X A'}", `jwt.header: "X A": want a name`},
		{"jwt: {issuer: i, jwks: k, cookie: 'a=b'}", `jwt.cookie: "a=b": want a name`},
		{"jwt: {issuer: i, jwks: k, leeway: 6m}", "jwt.leeway: want 0s to 5m in whole seconds, got 6m0s"},
		{"jwt: {issuer: i, jwks: k, leeway: 1ms}", "jwt.leeway"},
		{"jwt: {issuer: i, jwks: k, claims: {Host: sub}}", "jwt.claims.Host: Host: use rewrite.host"},
		{"jwt: {issuer: i, jwks: k, claims: {'X A': sub}}", "jwt.claims.X A"},
		{"jwt: {issuer: i, jwks: k, claims: {X-User: ''}}", `jwt.claims.X-User: "": want 1 to 256 bytes`},
		{"jwt: {issuer: i, jwks: k, claims: {X-User: sub, x-user: sub}}", `jwt.claims.x-user: header "x-user" is already at`},
		{"jwt: {issuer: i, jwks: k, claims: {X-User: sub}}, requestHeaders: {set: {X_User: a}}", "jwt.claims.X-User: requestHeaders edits the header X_User too"},
		{"jwt: {issuer: i, jwks: k}, basicAuth: {users: [{name: ann, passwordHash: '" + someHash + "'}]}", "jwt: use either jwt or basicAuth"},
		{"forwardAuth: {url: 'http://auth:9091/verify?a=b'}", ""},
		{"forwardAuth: {url: 'https://auth', authRequestHeaders: [Accept, X-Api-Key], authResponseHeaders: [Remote-User, X-Forwarded-User, Authorization], timeout: 1ms, failOpen: true}", ""},
		{"forwardAuth: {url: 'https://auth', authResponseHeaders: [X-Roles]}, jwt: {issuer: i, jwks: k, claims: {X-User: sub}}", ""},
		{"forwardAuth: {}", "forwardAuth.url: missing: want the URL of the authentication service"},
		{"forwardAuth: {url: 'auth:9091'}", `forwardAuth.url: "auth:9091": want http or https`},
		{"forwardAuth: {url: 'http://'}", "forwardAuth.url: \"http://\": the host is missing"},
		{"forwardAuth: {url: 'http://u:p@auth'}", "forwardAuth.url"},
		{"forwardAuth: {url: 'http://auth/#f'}", "forwardAuth.url"},
		{"forwardAuth: {url: \"http://auth/\\n\"}", "forwardAuth.url"},
		{"forwardAuth: {url: 'http://auth/" + strings.Repeat("k", 2048) + "'}", "forwardAuth.url: has 2060 bytes, at most 2048"},
		{"forwardAuth: {url: 'http://auth', timeout: 0s}", "forwardAuth.timeout: want 1ms to 1m, got 0s"},
		{"forwardAuth: {url: 'http://auth', timeout: 61s}", "forwardAuth.timeout: want 1ms to 1m, got 1m1s"},
		{"forwardAuth: {url: 'http://auth', authRequestHeaders: [Host]}", "forwardAuth.authRequestHeaders[0]: Host: use rewrite.host"},
		{"forwardAuth: {url: 'http://auth', authRequestHeaders: ['A B']}", "forwardAuth.authRequestHeaders[0]"},
		{"forwardAuth: {url: 'http://auth', authRequestHeaders: [Content-Length]}", "forwardAuth.authRequestHeaders[0]"},
		{"forwardAuth: {url: 'http://auth', authRequestHeaders: [" + strings.Repeat("A, ", 32) + "A]}", "forwardAuth.authRequestHeaders: 33 headers are more than 32"},
		{"forwardAuth: {url: 'http://auth', authResponseHeaders: [X-User, x_user]}", "forwardAuth.authResponseHeaders[1]: the header x_user is in the list twice"},
		{"forwardAuth: {url: 'http://auth', authResponseHeaders: [X-Request-Id]}", "forwardAuth.authResponseHeaders[0]"},
		{"forwardAuth: {url: 'http://auth', authResponseHeaders: [X-User]}, requestHeaders: {remove: [X-User]}", "forwardAuth.authResponseHeaders[0]: requestHeaders edits the header X-User too"},
		{"forwardAuth: {url: 'http://auth', authResponseHeaders: [X-User]}, jwt: {issuer: i, jwks: k, claims: {x-user: sub}}", "forwardAuth.authResponseHeaders[0]: jwt.claims writes the header X-User too"},
		{"forwardAuth: {url: 'HTTPS://auth', ca: /etc/auth.pem, authClientHeaders: [Set-Cookie, X-Level], authResponseHeaders: [X-Level]}, requestHeaders: {set: {Set-Cookie: a}}", ""},
		{"forwardAuth: {url: 'Http://auth', ca: /etc/auth.pem}", "forwardAuth.ca: has no effect: the URL is not https"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [" + strings.Repeat("A, ", 32) + "A]}", "forwardAuth.authClientHeaders: 33 headers are more than 32"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [X-A, x_a]}", "forwardAuth.authClientHeaders[1]: the header x_a is in the list twice"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [Content-Length]}", "forwardAuth.authClientHeaders[0]"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [\"A\\r\\nB\"]}", "forwardAuth.authClientHeaders[0]"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [content-encoding]}", "forwardAuth.authClientHeaders[0]: content-encoding: describes the body of the answer"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [X-A]}, responseHeaders: {remove: [x-a]}", "forwardAuth.authClientHeaders[0]: responseHeaders edits the header X-A too"},
		{"forwardAuth: {url: 'http://auth', authClientHeaders: [Access-Control-Max-Age]}, cors: {allowOrigins: ['*']}", "forwardAuth.authClientHeaders[0]: cors writes the header Access-Control-Max-Age"},
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

// A file with authorities that cannot be used leaves the routing as it is.
func TestAuthoritiesOfTheAuthenticationServiceAreRead(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{bad, dir, filepath.Join(dir, "missing.pem"), os.DevNull} {
		d, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes: [{name: r, service: a, forwardAuth: {url: 'https://auth', ca: " + file + "}}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		client := forwardauth.NewClient(slog.New(slog.DiscardHandler))
		if _, err := Compile(d, "1", upstream.NewService, Local{Auth: AuthState{Client: client}}); err == nil || !strings.Contains(err.Error(), "route r: forwardAuth.ca: ") || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", file, err)
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
