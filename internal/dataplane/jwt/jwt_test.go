package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const now = 1_800_000_000

var (
	rsaKey, _   = rsa.GenerateKey(rand.Reader, 2048)
	smallKey, _ = rsa.GenerateKey(rand.Reader, 1024)
	ecKey, _    = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
)

type head map[string]string

func (h head) Header(name string) ([]byte, bool) { v, ok := h[name]; return []byte(v), ok }
func (h head) Cookie(name string) ([]byte, bool) {
	v, ok := h["cookie "+name]
	return []byte(v), ok
}

// sign returns a token.
func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, kid, claims string) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func setOf(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func public(kid string, key any) jose.JSONWebKey { return jose.JSONWebKey{Key: key, KeyID: kid} }

func allKeys(t testing.TB) string {
	return setOf(t, public("r", rsaKey.Public()), public("e", ecKey.Public()), public("d", edKey.Public()),
		jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "only-rs512", Algorithm: "RS512"}, jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "enc", Use: "enc"})
}

func verifier(t testing.TB, edit func(s *Settings)) *Verifier {
	t.Helper()
	keys, err := ParseKeys([]byte(allKeys(t)))
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{
		Route: "r", Issuer: "https://i", Audiences: []string{"shop", "cart"}, Header: "authorization", Claims: []string{"sub", "groups", "n", "deep"}, Leeway: 30 * time.Second,
		Keys: FixedKeySet("f", keys), Tokens: NewTokens(), Refused: new(Refusals), Wall: func() time.Time { return time.Unix(now, 0) },
	}
	if edit != nil {
		edit(&s)
	}
	return New(s)
}

func claims(more string) string {
	return fmt.Sprintf(`{"iss":"https://i","aud":["x","shop"],"sub":"ann","exp":%d%s}`, now+60, more)
}

func TestTokensAreVerified(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	good := claims("")
	hmac := func() string { // signed with the public key as the secret
		return sign(t, jose.HS256, []byte(allKeys(t)), "r", good)
	}
	rs := sign(t, jose.RS256, rsaKey, "r", good)
	parts := strings.Split(rs, ".")
	for name, tc := range map[string]struct {
		token string
		want  Reason
	}{
		"RS256":                       {rs, Good},
		"PS384":                       {sign(t, jose.PS384, rsaKey, "r", good), Good},
		"ES256":                       {sign(t, jose.ES256, ecKey, "e", good), Good},
		"EdDSA":                       {sign(t, jose.EdDSA, edKey, "d", good), Good},
		"no key id":                   {sign(t, jose.ES256, ecKey, "", good), Good},
		"audience as a text":          {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"iss":"https://i","aud":"cart","exp":%d}`, now+1)), Good},
		"expired within leeway":       {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"iss":"https://i","aud":"cart","exp":%d}`, now-29)), Good},
		"none":                        {b64([]byte(`{"alg":"none","kid":"r"}`)) + "." + parts[1] + ".", Algorithm},
		"HS256 with public key":       {hmac(), Algorithm},
		"of another key":              {sign(t, jose.RS256, must(rsa.GenerateKey(rand.Reader, 2048)), "r", good), Signature},
		"changed claims":              {parts[0] + "." + b64([]byte(claims(`,"admin":true`))) + "." + parts[2], Signature},
		"without signature":           {parts[0] + "." + parts[1] + ".", Signature},
		"unknown key id":              {sign(t, jose.RS256, rsaKey, "new", good), UnknownKey},
		"key id of another type":      {sign(t, jose.ES256, ecKey, "r", good), UnknownKey},
		"key for another algorithm":   {sign(t, jose.RS256, rsaKey, "only-rs512", good), UnknownKey},
		"key for encryption":          {sign(t, jose.RS256, rsaKey, "enc", good), UnknownKey},
		"no exp":                      {sign(t, jose.ES256, ecKey, "e", `{"iss":"https://i","aud":"cart"}`), Malformed},
		"exp as a text":               {sign(t, jose.ES256, ecKey, "e", `{"iss":"https://i","aud":"cart","exp":"9999999999"}`), Malformed},
		"exp that is too large":       {sign(t, jose.ES256, ecKey, "e", `{"iss":"https://i","aud":"cart","exp":1e300}`), Malformed},
		"expired":                     {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"iss":"https://i","aud":"cart","exp":%d}`, now-30)), Expired},
		"not yet valid":               {sign(t, jose.ES256, ecKey, "e", claims(fmt.Sprintf(`,"nbf":%d`, now+31))), NotYetValid},
		"soon valid":                  {sign(t, jose.ES256, ecKey, "e", claims(fmt.Sprintf(`,"nbf":%d`, now+30))), Good},
		"nbf as a text":               {sign(t, jose.ES256, ecKey, "e", claims(`,"nbf":"soon"`)), Malformed},
		"another issuer":              {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"iss":"https://i/","aud":"cart","exp":%d}`, now+1)), Issuer},
		"no issuer":                   {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"aud":"cart","exp":%d}`, now+1)), Issuer},
		"claim names in another case": {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"ISS":"https://i","aud":"cart","exp":%d}`, now+1)), Issuer},
		"another audience":            {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"iss":"https://i","aud":["x"],"exp":%d}`, now+1)), Audience},
		"no audience":                 {sign(t, jose.ES256, ecKey, "e", fmt.Sprintf(`{"iss":"https://i","exp":%d}`, now+1)), Audience},
		"claims that are no object":   {sign(t, jose.ES256, ecKey, "e", `[]`), Malformed},
		"no claims":                   {sign(t, jose.ES256, ecKey, "e", ``), Malformed},
		"no token":                    {"x", Malformed},
		"too long":                    {rs + strings.Repeat("A", maxToken), Malformed},
		"JSON serialization":          {`{"payload":"e30","signatures":[]}`, Malformed},
		"empty":                       {"", Missing},
	} {
		v := verifier(t, nil)
		for range 2 { // the second time from memory
			id, r := v.Check(head{"authorization": "Bearer " + tc.token})
			if r != tc.want || (id != nil) != (tc.want == Good) {
				t.Errorf("%s: got %v, want %v", name, r, tc.want)
			}
		}
		if tc.want != Good && v.Refused[tc.want].Load() != 2 {
			t.Errorf("%s: is not counted", name)
		}
		if v.Keys.wanted.Load() != (tc.want == UnknownKey) {
			t.Errorf("%s: wants new keys: %v", name, v.Keys.wanted.Load())
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestATokenIsReadFromHeaderOrCookie(t *testing.T) {
	token := sign(t, jose.ES256, ecKey, "e", claims(""))
	for _, tc := range []struct {
		header, cookie string
		head           head
		want           Reason
	}{
		{"authorization", "", head{"authorization": "bearer  " + token}, Good},
		{"authorization", "", head{"authorization": token}, Missing},
		{"authorization", "", head{"authorization": "Basic " + token}, Missing},
		{"x-token", "", head{"x-token": token}, Good},
		{"x-token", "", head{"x-token": "Bearer " + token}, Good},
		{"x-token", "", head{"authorization": "Bearer " + token}, Missing},
		{"", "session", head{"cookie session": token}, Good},
		{"", "session", head{}, Missing},
	} {
		v := verifier(t, func(s *Settings) { s.Header, s.Cookie = tc.header, tc.cookie })
		if _, r := v.Check(tc.head); r != tc.want {
			t.Errorf("%+v: got %v", tc, r)
		}
	}
}

func TestClaimsBecomeValuesOfHeaders(t *testing.T) {
	for claim, want := range map[string]string{
		`"a b"`: "a b", `" a "`: "a", `["a","b"]`: "a,b", `["a,admin"]`: "", `["a",{}]`: "", `12`: "12", `true`: "true", `null`: "", `{}`: "", `[]`: "", `[1,true]`: "1,true", `[["a"]]`: "",
	} {
		v := verifier(t, nil)
		id, r := v.Check(head{"authorization": "Bearer " + sign(t, jose.ES256, ecKey, "e", claims(`,"groups":`+claim))})
		if r != Good || id.Subject != "ann" || id.Claims[0] != "ann" || id.Claims[1] != want || id.Claims[2] != "" {
			t.Errorf("%s: got %v %+v, want %q", claim, r, id, want)
		}
	}
}

// A token that was remembered is no longer good after it expired, on another route, and after its key was removed.
func TestRememberedTokensAreCheckedAnew(t *testing.T) {
	wall := int64(now)
	v := verifier(t, func(s *Settings) { s.Wall = func() time.Time { return time.Unix(wall, 0) } })
	token := head{"authorization": "Bearer " + sign(t, jose.ES256, ecKey, "e", claims(""))}
	first, _ := v.Check(token)
	again, _ := v.Check(token)
	if first == nil || again != first {
		t.Error("the token is not remembered")
	}
	other := v.Settings
	other.Route, other.Audiences = "other", []string{"else"}
	if _, r := New(other).Check(token); r != Audience {
		t.Errorf("another route: %v", r)
	}
	other.Route = v.Route // after a change of the configuration
	if _, r := New(other).Check(token); r != Audience {
		t.Errorf("another check of the route: %v", r)
	}
	wall = now + 60 + 30
	if _, r := v.Check(token); r != Expired {
		t.Errorf("later: %v", r)
	}
	wall = now
	v.Keys.keys.Store(must(ParseKeys([]byte(setOf(t, public("r", rsaKey.Public()))))))
	if _, r := v.Check(token); r != UnknownKey {
		t.Errorf("without its key: %v", r)
	}
}

func TestTokensHasABound(t *testing.T) {
	v := verifier(t, nil)
	keys := v.Keys.keys.Load()
	for i := range 3 * shards * perShard {
		v.Tokens.remember(&[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, known{by: v, keys: keys, until: now + 1, id: &Identity{}})
	}
	n := 0
	for i := range v.Tokens.shards {
		n += len(v.Tokens.shards[i].good)
	}
	if n > shards*perShard {
		t.Errorf("remembers %d", n)
	}
	key := [32]byte{1}
	v.Tokens.remember(&key, known{by: v, keys: keys, until: now + 1, id: &Identity{Subject: strings.Repeat("x", maxRemember+1)}})
	if id := v.Tokens.find(&key, v, keys, now); id != nil && len(id.Subject) > 0 {
		t.Error("remembers a large token")
	}
}

func TestARememberedTokenAllocatesNothing(t *testing.T) {
	v := verifier(t, nil)
	value := []byte(sign(t, jose.ES256, ecKey, "e", claims("")))
	if n := testing.AllocsPerRun(100, func() { v.check(value) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOnlyPublicKeysForSignaturesAreUsed(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "{", "no keys": `{}`, "empty": `{"keys":[]}`, "null": `null`, "small": setOf(t, public("s", smallKey.Public())),
		"private":  setOf(t, public("r", rsaKey)),
		"secret":   setOf(t, public("h", []byte("secret"))),
		"unknown":  `{"keys":[{"kty":"new"},{"kty":"EC"},{"kty":"RSA","n":"","e":""},{"kty":"OKP","crv":"Ed25519","x":"AA"},1,null]}`,
		"too many": `{"keys":[` + strings.Repeat("{},", maxKeys) + `{}]}`,
		"large":    `{"keys":[]` + strings.Repeat(" ", maxSet) + "}",
	} {
		if keys, err := ParseKeys([]byte(text)); err == nil {
			t.Errorf("%s: got %+v", name, keys)
		}
	}
}

func FuzzKeysAndTokens(f *testing.F) {
	f.Add(allKeys(f), sign(f, jose.ES256, ecKey, "e", claims("")))
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, "e30.e30.e30")
	own := verifier(f, nil)
	f.Fuzz(func(t *testing.T, set, token string) {
		if keys, err := ParseKeys([]byte(set)); err == nil {
			v := verifier(t, func(s *Settings) { s.Keys = FixedKeySet("f", keys) })
			v.check([]byte(token))
		}
		own.check([]byte(token))
	})
}

// issuer serves keys, or a failure.
type issuer struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*i.answer.Load())(w, r) }))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(h http.HandlerFunc) { i.answer.Store(&h) }

func (i *issuer) keys(text string) {
	i.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}

func TestKeysAreFetchedAndKept(t *testing.T) {
	i := newIssuer(t)
	set := NewKeySet(i.URL)
	f := NewFetcher(func() []*KeySet { return []*KeySet{set} }, slog.New(slog.DiscardHandler))
	v := verifier(t, func(s *Settings) { s.Keys = set })
	at := time.Unix(now, 0)
	look := func(after time.Duration) (fetched bool) {
		t.Helper()
		at = at.Add(after)
		if f.start(t.Context(), at, concurrent) == 0 {
			return false
		}
		if f.start(t.Context(), at, concurrent) != 0 {
			t.Fatal("fetches the same keys twice at the same time")
		}
		f.note(<-f.done, at)
		return true
	}
	check := func(kid string, want Reason) {
		t.Helper()
		if _, r := v.Check(head{"authorization": "Bearer " + sign(t, jose.ES256, ecKey, kid, claims(""))}); r != want {
			t.Errorf("key %s: got %v, want %v", kid, r, want)
		}
	}
	check("one", NoKeys)
	i.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	if !look(0) || set.Ready() || look(0) {
		t.Error("a failure")
	}
	i.keys(setOf(t, public("one", ecKey.Public())))
	if !look(time.Second) || !set.Ready() {
		t.Error("is not fetched after a failure")
	}
	check("one", Good)
	before := set.keys.Load()
	check("two", UnknownKey)
	i.keys(setOf(t, public("two", ecKey.Public())))
	if look(afterUnknown - 1) {
		t.Error("an unknown key causes a fetch at once")
	}
	check("one", Good) // refused tokens change nothing
	if !look(1) {
		t.Error("an unknown key causes no fetch")
	}
	check("two", Good)
	check("one", UnknownKey)
	if !look(afterUnknown) || look(refresh-1) || !look(1) || set.keys.Load() == before {
		t.Error("the interval")
	}
	before = set.keys.Load()
	for name, bad := range map[string]http.HandlerFunc{
		"large": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat(" ", maxSet) + allKeys(t)))
		},
		"html":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"empty": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"leads away": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://issuer.example/", http.StatusFound)
		},
		"circle": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"cut":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		i.serve(bad)
		failed := set.Fetches().Failed
		if !look(refresh) || set.Fetches().Failed != failed+1 || set.keys.Load() != before {
			t.Errorf("%s: %+v", name, set.Fetches())
		}
		check("two", Good)
	}
	i.keys(setOf(t, public("two", ecKey.Public())))
	if look(refresh); set.keys.Load() != before || set.Fetches().Succeeded != 5 || set.Fetches().Last != at.Unix() {
		t.Errorf("equal keys are new keys: %+v", set.Fetches())
	}
}

// A fetch ends with the fetcher, also if the endpoint does not answer.
func TestTheFetcherEnds(t *testing.T) {
	i := newIssuer(t)
	asked := make(chan struct{}, 1)
	i.serve(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	set := NewKeySet(i.URL)
	f := NewFetcher(func() []*KeySet { return []*KeySet{set} }, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	<-asked
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestKeysComeOverHTTPS(t *testing.T) {
	for url, good := range map[string]bool{
		"https://i.example/keys?a=b": true, "http://127.0.0.1:1/k": true, "http://localhost/k": true, "http://[::1]/k": true,
		"http://i.example/": false, "http://10.0.0.1/": false, "ftp://localhost/": false, "https://": false, "https://u:p@i.example": false,
		"https://i.example/#a": false, "file:///etc/passwd": false, "http://localhost.example/": false, "://": false,
	} {
		if err := CheckURL(url); (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
	}
}
