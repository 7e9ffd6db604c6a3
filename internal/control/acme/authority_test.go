package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

// fake is an authority that can be made hostile, as no real authority can. It verifies no signature and no name. The
// end-to-end tests use a real authority.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	paths    map[string]string // responses by path; {} in them is the URL of the authority
	headers  map[string]string // of all responses
	status   map[string]int    // by path
	template func(*x509.Certificate)
	key      crypto.PublicKey // of the certificate; nil: that of the request
	chain    []byte
}

func newFake(t *testing.T) (*fake, Want) {
	t.Helper()
	f := &fake{
		headers: map[string]string{}, status: map[string]int{"/account": 201, "/order": 201},
		paths: map[string]string{
			"/dir":     `{"newNonce": "{}/nonce", "newAccount": "{}/account", "newOrder": "{}/order"}`,
			"/account": `{"status": "valid"}`,
			"/order":   `{"status": "pending", "authorizations": ["{}/authz"], "finalize": "{}/finalize"}`,
			"/authz":   `{"status": "pending", "identifier": {"type": "dns", "value": "a.example"}, "challenges": [{"type": "http-01", "url": "{}/challenge", "token": "tok"}]}`,
			"/ready":   `{"status": "ready", "finalize": "{}/finalize"}`,
			"/cert":    "", "/nonce": "",
		},
	}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return f, Want{Authority: Authority{Directory: f.URL + "/dir", CA: ca}, Name: "a.example", KeyType: P256}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	w.Header().Set("Replay-Nonce", fmt.Sprint("nonce", f.requests))
	w.Header().Set("Location", f.URL+"/ready")
	for k, v := range f.headers {
		w.Header().Set(k, v)
	}
	text, known := f.paths[r.URL.Path]
	switch {
	case r.URL.Path == "/challenge":
		f.paths["/authz"] = strings.Replace(f.paths["/authz"], "pending", "valid", 1)
		text = `{"status": "processing", "type": "http-01", "url": "{}/challenge", "token": "tok"}`
	case r.URL.Path == "/finalize":
		f.issue(r)
		text = `{"status": "valid", "certificate": "{}/cert"}`
	case r.URL.Path == "/cert" && text == "":
		text = string(f.chain)
	case !known:
		http.NotFound(w, r)
		return
	}
	if s := f.status[r.URL.Path]; s != 0 {
		w.WriteHeader(s)
	}
	_, _ = w.Write([]byte(strings.ReplaceAll(text, "{}", f.URL)))
}

// issue signs the key of a request for a certificate.
func (f *fake) issue(r *http.Request) {
	var signed struct{ Payload string }
	_ = json.NewDecoder(r.Body).Decode(&signed)
	payload, _ := base64.RawURLEncoding.DecodeString(signed.Payload)
	var body struct{ CSR string }
	_ = json.Unmarshal(payload, &body)
	der, _ := base64.RawURLEncoding.DecodeString(body.CSR)
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: request.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if f.template != nil {
		f.template(template)
	}
	public := request.PublicKey
	if f.key != nil {
		public = f.key
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, public, key); err != nil {
		panic(err)
	}
	f.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// presented notes challenges.
type presented struct{ now, all []certs.Challenge }

func (p *presented) present(_ context.Context, c certs.Challenge) error {
	p.now, p.all = append(p.now, c), append(p.all, c)
	return nil
}

func (p *presented) withdraw(_ context.Context, c certs.Challenge) {
	if len(p.now) == 1 && p.now[0] == c {
		p.now = nil
	}
}

func TestAnOrderObtainsACertificateOfTheWantedKey(t *testing.T) {
	for kind, isKey := range map[string]func(any) bool{
		P256: func(k any) bool { _, ok := k.(*ecdsa.PublicKey); return ok }, RSA2048: func(k any) bool { _, ok := k.(*rsa.PublicKey); return ok },
	} {
		_, w := newFake(t)
		w.KeyType = kind
		s, p := store{t.TempDir()}, &presented{}
		got, err := s.order(t.Context(), w, certs.HTTP01, p)
		if err != nil || !isKey(got.key.Public()) || !isKey(got.leaf.PublicKey) || got.leaf.DNSNames[0] != "a.example" {
			t.Errorf("%s: %+v, %v", kind, got.leaf, err)
		}
		if len(p.all) != 1 || p.now != nil || p.all[0].Name != "a.example" || p.all[0].Type != certs.HTTP01 || p.all[0].Token != "tok" || !strings.HasPrefix(p.all[0].KeyAuthorization, "tok.") {
			t.Errorf("%s: challenges %+v, still there %+v", kind, p.all, p.now)
		}
	}
}

// An authority, or an attacker in its place, can cost one order and no more.
func TestAHostileAuthorityIsBounded(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(path, text string) func(*fake) { return func(f *fake) { f.paths[path] = text } }
	for want, spoil := range map[string]func(*fake){
		"want an https URL":                       set("/dir", `{"newNonce": "{}/nonce", "newAccount": "http://127.0.0.1:1/account", "newOrder": "{}/order"}`),
		`"file:///etc/passwd": want an https`:     set("/order", `{"status": "pending", "authorizations": ["file:///etc/passwd"]}`),
		"no more retries|307":                     func(f *fake) { f.status["/dir"] = 307 },
		"request body too large":                  set("/dir", `{"newOrder": "x", "meta": {"website": "`+strings.Repeat("a", 2*maxResponse)+`"}}`),
		"has 2 authorizations":                    set("/order", `{"status": "pending", "authorizations": ["{}/authz", "{}/authz"]}`),
		"has 0 authorizations":                    set("/order", `{"status": "pending"}`),
		`the authorization is for "evil.example"`: func(f *fake) { f.paths["/authz"] = strings.ReplaceAll(f.paths["/authz"], "a.example", "evil.example") },
		"does not offer the challenge http-01":    func(f *fake) { f.paths["/authz"] = strings.ReplaceAll(f.paths["/authz"], "http-01", "dns-01") },
		`has the token "../secret"`:               func(f *fake) { f.paths["/authz"] = strings.ReplaceAll(f.paths["/authz"], `"tok"`, `"../secret"`) },
		"has the token \"": func(f *fake) {
			f.paths["/authz"] = strings.ReplaceAll(f.paths["/authz"], `"tok"`, `"`+strings.Repeat("a", 1000)+`"`)
		},
		"certificate chain is empty":             set("/cert", "nothing"),
		"it belongs to another key":              func(f *fake) { f.key = stranger.Public() },
		"it expired on":                          func(f *fake) { f.template = func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) } },
		"certificate is valid for evil.example":  func(f *fake) { f.template = func(c *x509.Certificate) { c.DNSNames = []string{"evil.example"} } },
		"the order needs more than 200 requests": func(f *fake) { f.paths["/ready"] = `{"status": "processing"}`; f.headers["Retry-After"] = "-1" },
		"rateLimited: too many certificates today": func(f *fake) {
			f.paths["/order"] = `{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates today"}`
			f.status["/order"] = 429
			f.headers["Retry-After"] = "3600"
		},
	} {
		f, w := newFake(t)
		spoil(f)
		p := &presented{}
		_, err := store{t.TempDir()}.order(t.Context(), w, certs.HTTP01, p)
		if err == nil {
			t.Errorf("%s: no error", want)
			continue
		}
		found := false
		for text := range strings.SplitSeq(want, "|") {
			found = found || strings.Contains(reason(err).Error(), text)
		}
		if !found {
			t.Errorf("%s: %v", want, reason(err))
		}
		if len(p.now) > 0 {
			t.Errorf("%s: a challenge stays", want)
		}
		if f.requests > maxRequests {
			t.Errorf("%s: %d requests", want, f.requests)
		}
		if limited := strings.Contains(want, "rateLimited"); limited != (retryAfter(err) == time.Hour) {
			t.Errorf("%s: retry after %v", want, retryAfter(err))
		}
	}
}

func TestAnAuthorityWithAnUnknownCertificateIsNotTrusted(t *testing.T) {
	f, w := newFake(t)
	w.Authority.CA = ""
	if _, err := (store{t.TempDir()}).order(t.Context(), w, certs.HTTP01, &presented{}); err == nil || !strings.Contains(err.Error(), "certificate") || f.requests > 0 {
		t.Errorf("%v after %d requests", err, f.requests)
	}
}

func TestFilesAndSecretsOfAnAuthorityAreChecked(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secretIn := func(path string) func(*Authority) {
		return func(a *Authority) { a.ExternalID, a.ExternalKey = "id", secret.Ref("${file:"+path+"}") }
	}
	bad := write("bad.pem", "no certificate")
	for name, tc := range map[string]struct {
		edit func(*Authority)
		want string // empty: no error
	}{
		"good":                 {func(*Authority) {}, ""},
		"no file":              {func(a *Authority) { a.CA = filepath.Join(dir, "none.pem") }, "none.pem: no such file"},
		"no certificate in it": {func(a *Authority) { a.CA = bad }, bad + ": the file holds no certificate"},
		"a key":                {secretIn(write("key", "c2VjcmV0LXNlY3JldA\n")), ""},
		"a key with padding":   {secretIn(write("padded", "c2VjcmV0LXNlY3JldA==")), ""},
		"a key that is none":   {secretIn(write("none", "+/+/ ++")), "key of the external account: not base64url"},
		"no key":               {secretIn(filepath.Join(dir, "gone")), "key of the external account: open "},
	} {
		_, w := newFake(t)
		tc.edit(&w.Authority)
		err := w.Authority.Check()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if tc.want != "" {
			continue
		}
		if _, err := (store{t.TempDir()}).order(t.Context(), w, certs.HTTP01, &presented{}); err != nil {
			t.Errorf("%s: an order: %v", name, err)
		}
	}
}

func TestReasonsAreShortAndOnOneLine(t *testing.T) {
	if err := reason(errors.New("acme: order of /data/acme: acme: not\na directory")); err.Error() != "order of /data/acme: not a directory" {
		t.Error(err)
	}
	err := reason(fmt.Errorf("order: acme: %s\n\tmore", strings.Repeat("é", maxReason)))
	if text := err.Error(); len(text) > maxReason+3 || strings.ContainsAny(text, "\n\t") || strings.Contains(text, "acme: ") || !strings.HasPrefix(text, "order: é") {
		t.Errorf("%d bytes: %.100s", len(text), text)
	}
}
