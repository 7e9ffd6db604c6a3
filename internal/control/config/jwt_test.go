package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
	"github.com/smartlb/smartlb/internal/dataplane/router"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// someKeys has the key of RFC 8037, appendix A.
const someKeys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

func compiledJWT(t *testing.T, local Local, routes string) *dispatch.Table {
	t.Helper()
	d, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n" + routes))
	if err != nil {
		t.Fatal(err)
	}
	table, err := Compile(d, "1", upstream.NewService, local)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestRoutesShareTheKeysOfAnIssuer(t *testing.T) {
	local := Local{JWT: JWTState{Tokens: jwt.NewTokens(), Wall: time.Now}}
	const one = "  - {name: r, service: a, jwt: {issuer: i, jwks: 'https://i/keys', claims: {X-User: sub}}}\n"
	first := compiledJWT(t, local, one+"  - {name: s, service: a, path: {prefix: /s}, jwt: {issuer: i, jwks: 'https://i/keys'}}\n")
	if len(first.KeySets) != 1 || len(first.Refused) != 2 {
		t.Fatalf("%+v", first)
	}
	route, _ := first.Routes.Match(hashed{}, router.Peer{})
	if a := route.Actions; a.JWT == nil || !a.Request.Drops("x-user") || !a.Request.Puts("x-user") || route.Traffic == nil {
		t.Errorf("%+v", a)
	}
	if got := string(route.Actions.Request.AppendLine(0, nil, &action.Values{Claims: []string{"ann"}})); got != "X-User: ann\r\n" {
		t.Errorf("%q", got)
	}
	local.JWT.KeySets, local.JWT.Refused = first.KeySets, first.Refused
	second := compiledJWT(t, local, one)
	if len(second.KeySets) != 1 || second.KeySets[0] != first.KeySets[0] || len(second.Refused) != 1 || second.Refused["r"] != first.Refused["r"] {
		t.Errorf("a change of the configuration loses keys or counters: %+v", second)
	}
}

func TestKeysOfAFileAreReadWithTheConfiguration(t *testing.T) {
	local := Local{Pages: Pages{Dir: t.TempDir()}, JWT: JWTState{Tokens: jwt.NewTokens(), Wall: time.Now}}
	const route = "  - {name: r, service: a, jwt: {issuer: i, jwks: keys.json}}\n"
	file := filepath.Join(local.Pages.Dir, "keys.json")
	for text, want := range map[string]string{"{}": "route r: jwt.jwks: file keys.json: has no public key", "": "no such file", someKeys: ""} {
		_ = os.Remove(file)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n" + route))
		if err != nil {
			t.Fatal(err)
		}
		table, err := Compile(d, "1", upstream.NewService, local)
		if want == "" && (err != nil || len(table.KeySets) != 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestTheURLsOfKeysAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range maxJWKSURLs + 1 {
		fmt.Fprintf(&b, "  - {name: r%d, service: a, path: {prefix: /%d}, jwt: {issuer: i, jwks: 'https://i/%d'}}\n", i, i, i)
	}
	_, err := ParseTraffic([]byte("services: [{id: a, instances: [{id: i, address: 'h:1'}]}]\nroutes:\n" + b.String()))
	if err == nil || !strings.Contains(err.Error(), "routes[100].jwt.jwks: the configuration has more than 100 URLs of keys") {
		t.Errorf("got %v", err)
	}
}
