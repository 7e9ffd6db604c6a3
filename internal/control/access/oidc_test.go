package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"crypto"
)

// issuer is an OpenID Connect provider that logs everybody in as its claims
// say. It checks what a provider has to check.
type issuer struct {
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	claims map[string]any
	codes  map[string]url.Values // what was asked for, by code
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		e := big.NewInt(int64(key.E)).Bytes()
		answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(e),
		}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		asked, ok := i.codes[r.FormValue("code")]
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		claims := map[string]any{"iss": i.URL, "aud": asked.Get("client_id"), "nonce": asked.Get("nonce"), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "sub": "1"}
		for k, v := range i.claims {
			claims[k] = v
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": i.sign(claims)})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) sign(claims map[string]any) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			i.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]string{"alg": "RS256", "kid": "k"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// login goes to the issuer as a browser would and comes back with a code.
func (i *issuer) login(g *Gate, back string) (*http.Request, error) {
	w := httptest.NewRecorder()
	if err := g.Redirect(w, httptest.NewRequest("GET", "/api/v1/login/oidc", nil), back); err != nil {
		return nil, err
	}
	to, err := url.Parse(w.Result().Header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), i.URL+"/authorize?") {
		i.t.Fatalf("sent to %v, %v", to, err)
	}
	i.codes["code-1"] = to.Query()
	r := httptest.NewRequest("GET", "/api/v1/login/oidc/callback?code=code-1&state="+to.Query().Get("state"), nil)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	return r, nil
}

func oidcGate(t *testing.T, i *issuer, change func(*Issuer)) *Gate {
	t.Helper()
	cfg := Issuer{URL: i.URL, ClientID: "smartlb", ClientSecret: "s", RedirectURL: "http://localhost/api/v1/login/oidc/callback", Roles: map[string]Role{"sre": Admin, "dev": Operator}}
	if change != nil {
		change(&cfg)
	}
	g, err := New(Config{Issuer: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.oidc.client.CloseIdleConnections)
	return g
}

func TestTheIssuerSaysWhoSomebodyIs(t *testing.T) {
	i := newIssuer(t)
	i.claims = map[string]any{"email": "ann@example.com", "groups": []string{"dev", "sre", "other"}}
	g := oidcGate(t, i, nil)
	r, err := i.login(g, "/topics/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	id, back, err := g.Callback(w, r)
	if want := (Identity{"ann@example.com", Admin}); err != nil || id != want || back != "/topics/a?b=c" {
		t.Fatalf("%v %q %v", id, back, err)
	}
	var session *http.Cookie
	for _, c := range w.Result().Cookies() {
		if c.Name == cookie {
			session = c
		}
	}
	if id, ok, _ := g.Identify(request(session)); !ok || id.User != "ann@example.com" {
		t.Errorf("%v %v", id, ok)
	}
	// What came back once is worth nothing the second time.
	if _, _, err := g.Callback(httptest.NewRecorder(), r); !errors.Is(err, errFlow) {
		t.Errorf("a second time: %v", err)
	}
}

func TestLoginsAtTheIssuerThatAreRefused(t *testing.T) {
	i := newIssuer(t)
	viewer := Viewer
	for _, c := range []struct {
		why    string
		claims map[string]any
		change func(*Issuer)
		spoil  func(*http.Request)
		want   string // part of the error; empty: accepted
	}{
		{why: "no group that has a role", claims: map[string]any{"email": "a", "groups": []string{"hr"}}, want: "has no role here"},
		{why: "no group, but a role for everybody", claims: map[string]any{"email": "a"}, change: func(c *Issuer) { c.Default = &viewer }},
		{why: "one group as text", claims: map[string]any{"email": "a", "groups": "dev"}},
		{why: "another claim for roles", claims: map[string]any{"email": "a", "team": []string{"sre"}}, change: func(c *Issuer) { c.RolesClaim = "team" }},
		{why: "another claim for names, which is missing", claims: map[string]any{"email": "a", "groups": "dev"}, change: func(c *Issuer) { c.NameClaim = "upn" }, want: "has no user name"},
		{why: "a token for somebody else", claims: map[string]any{"aud": "other", "groups": "dev"}, want: "token"},
		{why: "a token that is over", claims: map[string]any{"exp": 1, "groups": "dev"}, want: "token"},
		{why: "a token of another login", claims: map[string]any{"nonce": "x", "groups": "dev"}, want: "another login"},
		{why: "a token of another issuer", claims: map[string]any{"iss": "https://evil.example", "groups": "dev"}, want: "token"},
		{why: "a state that nobody gave", claims: map[string]any{"groups": "dev"}, spoil: func(r *http.Request) { r.URL.RawQuery = "code=code-1&state=guess" }, want: "begin again"},
		{why: "another browser", claims: map[string]any{"groups": "dev"}, spoil: func(r *http.Request) { r.Header.Del("Cookie") }, want: "begin again"},
		{why: "a code that the issuer does not know", claims: map[string]any{"groups": "dev"}, spoil: func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "code-1", "code-2", 1) }, want: "exchange the code"},
		{why: "the issuer says no", spoil: func(r *http.Request) { r.URL.RawQuery = "error=access_denied" }, want: "refused"},
	} {
		i.claims = c.claims
		g := oidcGate(t, i, c.change)
		r, err := i.login(g, "/")
		if err != nil {
			t.Fatal(err)
		}
		if c.spoil != nil {
			c.spoil(r)
		}
		_, _, err = g.Callback(httptest.NewRecorder(), r)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.why, err, c.want)
		}
	}
}

func TestBackStaysInTheConsole(t *testing.T) {
	i := newIssuer(t)
	i.claims = map[string]any{"groups": "dev"}
	g := oidcGate(t, i, nil)
	for _, evil := range []string{"https://evil.example", "//evil.example", `/\evil.example`, ""} {
		r, err := i.login(g, evil)
		if err != nil {
			t.Fatal(err)
		}
		if _, back, err := g.Callback(httptest.NewRecorder(), r); err != nil || back != "/" {
			t.Errorf("%q: %q %v", evil, back, err)
		}
	}
}

func TestAnIssuerThatIsAwayIsNamed(t *testing.T) {
	i := newIssuer(t)
	g := oidcGate(t, i, nil)
	i.Close()
	if _, err := i.login(g, "/"); err == nil || !strings.Contains(err.Error(), i.URL) {
		t.Error(err)
	}
}

// Logins that begin while the issuer hangs wait for one question, and each no
// longer than its own browser does.
func TestLoginsDoNotQueueForAnIssuerThatHangs(t *testing.T) {
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer server.Close()
	o := newOIDC(Issuer{URL: server.URL})
	defer o.client.CloseIdleConnections()
	first := make(chan error, 1)
	go func() {
		_, _, err := o.begin(context.Background(), "/", time.Now())
		first <- err
	}()
	<-asked
	gone, leave := context.WithCancel(context.Background())
	leave()
	if _, _, err := o.begin(gone, "/", time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("a browser that has left waits for the issuer: %v", err)
	}
	if _, _, err := o.finish(gone, flow{}, "code"); !errors.Is(err, context.Canceled) {
		t.Errorf("a browser that has left waits for the issuer: %v", err)
	}
	close(answer)
	if err := <-first; err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("the first login: %v", err)
	}
	if _, _, err := o.begin(context.Background(), "/", time.Now()); err == nil || len(asked) != 1 {
		t.Errorf("the next login asks again: asked %d times more, %v", len(asked), err)
	}
}

// back=/%09/evil.example sent the browser to another host after the login: it
// leaves the tab out.
func TestALoginReturnsToThisHostOnly(t *testing.T) {
	for back, want := range map[string]string{
		"/": "/", "/topics/t/messages?where=size+%3E+1&from=@1#x": "/topics/t/messages?where=size+%3E+1&from=@1#x", "/a//b": "/a//b", "/é": "/é",
		"": "/", "topics": "/", "//evil.example": "/", "///evil.example": "/", "/\t/evil.example": "/", "/\n/evil.example": "/", "/\r\n/evil.example": "/", "\t//evil.example": "/",
		" //evil.example": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\x00/evil.example": "/", "/\x7f/evil.example": "/", "/\u0085/evil.example": "/", "/\xff": "/",
		"http://evil.example": "/", "https:evil.example": "/", "javascript:alert(1)": "/", "/%zz": "/", "/" + strings.Repeat("x", maxBack): "/", "/ /evil.example": "/",
	} {
		if got := localPath(back); got != want {
			t.Errorf("%q becomes %q, want %q", back, got, want)
		}
	}
}

// Whatever it is, a browser stays where it is.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/\t/evil.example", "//a", "/a?b#c", "\\a", "/.//a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, back string) {
		got := localPath(back)
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(got) // as browsers read it
		seen = strings.TrimFunc(seen, func(r rune) bool { return r <= ' ' })
		if !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") {
			t.Errorf("%q becomes %q", back, got)
		}
	})
}
