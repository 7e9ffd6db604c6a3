package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// issuer serves a JSON Web Key Set, and signs tokens.
type issuer struct {
	*httptest.Server
	answer atomic.Pointer[string] // nil: 500
	delay  atomic.Int64           // of each answer, in nanoseconds
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Duration(i.delay.Load())):
		case <-r.Context().Done():
		}
		if text := i.answer.Load(); text != nil {
			_, _ = io.WriteString(w, *text)
			return
		}
		w.WriteHeader(500)
	}))
	t.Cleanup(i.Close)
	return i
}

// publish makes a key, publishes it as the only key, and returns a token that it signs.
func (i *issuer) publish(t *testing.T, kid string) (token string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: pub, KeyID: kid}}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(set)
	i.answer.Store(&text)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(fmt.Appendf(nil, `{"iss":"i","aud":"shop","sub":"ann","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	if err != nil {
		t.Fatal(err)
	}
	if token, err = signed.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return token
}

// protocols are the names of the clients of clientsOf.
func protocols() []string { return []string{"h1", "h2", "grpc"} }

// clientsOf returns a client for each protocol, with TLS.
func clientsOf(t *testing.T, ca *certtest.Authority) map[string]*http.Client {
	t.Helper()
	clients := map[string]*http.Client{}
	for _, protocol := range protocols() {
		tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
		tr.Protocols.SetHTTP1(protocol == "h1")
		tr.Protocols.SetHTTP2(protocol != "h1")
		t.Cleanup(tr.CloseIdleConnections)
		clients[protocol] = &http.Client{Transport: tr, Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return clients
}

// requestOf returns a request of a protocol.
func requestOf(protocol, method, url string, body io.Reader) *http.Request {
	req, _ := http.NewRequest(method, url, body)
	if protocol == "grpc" {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("TE", "trailers")
	}
	return req
}

// Tokens through the real process, on HTTP/1.1, HTTP/2 and gRPC: keys are fetched, stay while the issuer is down and lies, and
// are replaced.
func TestTokensOfAnIssuer(t *testing.T) {
	t.Parallel()
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join(r.Header.Values("X-User"), ";"))
	}))
	defer instance.Close()
	issuer := newIssuer(t)
	publish := issuer.publish
	dir := t.TempDir()
	ca := certtest.New(t, "e2e")
	certPEM, keyPEM := ca.IssuePEM(certtest.Options{}, "localhost")
	cert, key := certtest.Files(t, dir, "server", certPEM, keyPEM)
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: web, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
routes:
  - {name: shop, service: a, jwt: {issuer: i, audiences: [shop], jwks: %q, claims: {X-User: sub}}}
services:
  - {id: a, instances: [{id: i, address: %q}]}
`, cert, key, issuer.URL, instance.Listener.Addr()))
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	_, port, err := net.SplitHostPort(p.Address("web"))
	if err != nil {
		t.Fatal(err)
	}
	clients := clientsOf(t, ca)
	// ask returns what the instance saw, or how the token was refused.
	ask := func(protocol, token string) string {
		t.Helper()
		req := requestOf(protocol, "POST", "https://localhost:"+port+"/", strings.NewReader("body"))
		req.Header.Set("X-User", "root")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := clients[protocol].Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		switch status := res.Header.Get("Grpc-Status"); {
		case err != nil:
			t.Fatal(err)
		case protocol == "grpc" && status == "16", res.StatusCode == 401 && strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer"):
			return "refused"
		case res.StatusCode != 200 || status != "":
			return fmt.Sprint(res.StatusCode, status)
		}
		return string(body)
	}
	each := func(what, token, want string) {
		t.Helper()
		for _, protocol := range protocols() {
			if got := ask(protocol, token); got != want {
				t.Errorf("%s, %s: got %s, want %s", what, protocol, got, want)
			}
		}
	}
	each("the issuer is down", "x.y.z", "refused")
	first := publish(t, "one")
	eventually(t, "the keys are fetched", func() bool { return ask("h1", first) == "ann" })
	each("a good token", first, "ann")
	each("no token", "", "refused")
	each("a changed token", first[:len(first)-8]+"AAAAAAAA", "refused")

	issuer.answer.Store(nil)
	stranger := publish(t, "two")
	lie := `{"keys":[]}`
	issuer.answer.Store(&lie)
	each("an unknown key", stranger, "refused")
	failures := `smartlb_jwks_fetches_total{jwks="` + issuer.URL + `",result="failure"}`
	before := metric(t, p.Address("admin"), failures)
	eventually(t, "the lie is fetched", func() bool { return metric(t, p.Address("admin"), failures) > before })
	each("the issuer lies", first, "ann")
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	each("after a reload", first, "ann")

	second := publish(t, "two")
	eventually(t, "the new keys are fetched", func() bool { return ask("h2", second) == "ann" })
	each("a token of the new key", second, "ann")
	each("a token of the old key", first, "refused")
	for reason, least := range map[string]float64{"missing": 3, "signature": 3, "unknown_key": 6} {
		if n := metric(t, p.Address("admin"), `smartlb_jwt_refused_requests_total{reason="`+reason+`",route="shop"}`); n < least {
			t.Errorf("%s: %v are counted, want at least %v", reason, n, least)
		}
	}
	if n := metric(t, p.Address("admin"), `smartlb_service_errors_total`); n != 0 {
		t.Errorf("the instances are charged for %v errors", n)
	}
	p.stop(syscall.SIGTERM)
}

// A new process fetches the keys of an issuer that takes its time, before it accepts connections.
func TestAnUpgradeWaitsForKeys(t *testing.T) {
	t.Parallel()
	instance := newInstance(t)
	issuer := newIssuer(t)
	token := issuer.publish(t, "one")
	file := mustWrite(t, fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: shop, service: a, jwt: {issuer: i, jwks: %q}}]
services: [{id: a, instances: [{id: i, address: %q}]}]
`, issuer.URL, instance.addr))
	u := startFileNode(t, file)
	ask := func() int {
		req, _ := http.NewRequest("GET", "http://"+u.Address("web")+"/", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Close = true
		res, err := (&http.Client{Timeout: time.Minute}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	eventually(t, "the keys are fetched", func() bool { return ask() == 200 })
	issuer.delay.Store(int64(2 * time.Second))
	u.upgrade(t)
	if status := ask(); status != 200 {
		t.Errorf("the first request after the upgrade got %d", status)
	}
}
