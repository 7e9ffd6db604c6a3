package proxy

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/smartlb/smartlb/internal/dataplane/action"
	"github.com/smartlb/smartlb/internal/dataplane/jwt"
)

func TestARouteNeedsAToken(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: pub, KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	keys := must[*jwt.Keys](t)(jwt.ParseKeys(set))
	token := func(expires time.Duration) string {
		s := must[jose.Signer](t)(jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil))
		signed := must[*jose.JSONWebSignature](t)(s.Sign(fmt.Appendf(nil, `{"iss":"i","exp":%d,"sub":"ann","bad":"a\r\nX-Evil: 1"}`, time.Now().Add(expires).Unix())))
		return "Authorization: Bearer " + must[string](t)(signed.CompactSerialize())
	}
	refused := new(jwt.Refusals)
	b := guarded(t, func(a *action.Actions) {
		a.JWT = must[*action.JWT](t)(action.NewJWT(jwt.New(jwt.Settings{
			Issuer: "i", Header: "authorization", Claims: []string{"bad", "absent", "sub"}, Keys: jwt.FixedKeySet("f", keys), Tokens: jwt.NewTokens(), Refused: refused, Wall: time.Now,
		})))
		a.Request = must[*action.Headers](t)(action.NewHeaders(action.ClaimEdits([]string{"X-Bad", "X-Role", "X-User"}), nil))
	})
	for protocol, open := range b.clientsOf("/") {
		client, url := open()
		for header, want := range map[string]string{"": "Bearer", token(-time.Hour): `Bearer error="invalid_token", error_description="the token has expired"`} {
			headers := []string{"X-User: root"}
			if header != "" {
				headers = append(headers, header)
			}
			res, body := do(t, client, "POST", url, headers...)
			if res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != want || !strings.Contains(body, "401 unauthorized: the ") {
				t.Errorf("%s: got %d %v %s", protocol, res.StatusCode, res.Header, body)
			}
		}
		res, body := do(t, client, "POST", url, token(time.Hour), "X-User: root", "X_User: root", "X-Role: admin", "X-Bad: 1")
		seen := res.Header.Get("X-Seen")
		if res.StatusCode != 200 || body != "body" || !strings.Contains(seen, "X-User:[ann]") || strings.Contains(seen, "root") || strings.Contains(seen, "Role") || strings.Contains(seen, "Bad") || strings.Contains(seen, "Evil") {
			t.Errorf("%s: got %d %s %s", protocol, res.StatusCode, body, seen)
		}
	}
	for protocol, open := range b.clientsOf("/") { // an instance could read the token that was not verified
		client, url := open()
		req, _ := http.NewRequest("GET", url, nil)
		for range 2 {
			_, value, _ := strings.Cut(token(time.Hour), ": ")
			req.Header.Add("Authorization", value)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, res.Body); res.StatusCode != 401 {
			t.Errorf("%s: two tokens: got %d %s", protocol, res.StatusCode, body)
		}
	}
	client, url := b.h2Client("/shop.Catalog/List")
	if res, _ := do(t, client, "POST", url, "Content-Type: application/grpc", "TE: trailers"); res.Header.Get("Grpc-Status") != "16" {
		t.Errorf("gRPC: got %d %v", res.StatusCode, res.Header)
	}
	if got := refused[jwt.Missing].Load() + refused[jwt.Expired].Load(); got != 5 {
		t.Errorf("%d refusals are counted", got)
	}
	eventually(t, "two lines name the user", func() bool { return strings.Count(b.log.String(), `,"user":"ann"`) == 2 })
}
