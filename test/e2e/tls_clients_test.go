package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

func TestAFleetVerifiesClientsAndSharesSessions(t *testing.T) {
	t.Parallel()
	b, dir := broker(t, t.TempDir(), "127.0.0.1:0"), t.TempDir()
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %d", r.Header.Values("X-Client-Subject"), len(r.Header.Get("X-Client-Fingerprint")))
	}))
	t.Cleanup(instance.Close)
	year := time.Now().AddDate(1, 0, 0)
	servers, clients := certtest.Until(t, "servers", year), certtest.Until(t, "clients", year)
	replace := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	expires := func(at time.Time) (cert, key string) {
		c, k := servers.IssuePEM(certtest.Options{NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: at}, "127.0.0.1")
		return certtest.Files(t, dir, "server", c, k)
	}
	cert, key := expires(time.Now().AddDate(0, 0, 3))
	ca, tickets := replace("clients.pem", clients.PEM()), replace("tickets", []byte(strings.Repeat("4a", 32)+"\n"))
	file := mustWrite(t, fmt.Sprintf(`listeners:
  - {name: plain, address: '127.0.0.1:0', redirectToHttps: true, httpsPort: 8443}
  - {name: web, address: '127.0.0.1:0'}
  - name: secure
    address: '127.0.0.1:0'
    tls:
      certificates: [{cert: %q, key: %q}]
      hsts: 24h
      ticketKeys: %q
      clientCertificates: {mode: require, ca: %q, subjectHeader: X-Client-Subject, fingerprintHeader: X-Client-Fingerprint}
routes: [{name: all, service: shop}]
services: [{id: shop, instances: [{id: i1, address: %q}]}]
`, cert, key, tickets, ca, instance.Listener.Addr()))
	one, two := node(t, b.Address("broker"), file, t.TempDir()), node(t, b.Address("broker"), file, t.TempDir())

	me := clients.Issue(certtest.Options{Client: true}, "me")
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: servers.Pool(), Certificates: []tls.Certificate{me}, ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}}
	client := &http.Client{Timeout: maxWait, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(url string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["X-Client-Subject"], req.Header["X_Client_Subject"] = []string{"CN=forged"}, []string{"CN=forged"}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	for i, n := range []*process{one, two} {
		resp, body := ask("https://" + n.Address("secure") + "/")
		if body != `["CN=me"] 64` || resp.TLS.DidResume != (i == 1) || resp.Header.Get("Strict-Transport-Security") != "max-age=86400" {
			t.Errorf("node %d: %q, resumed %v, %v", i+1, body, resp.TLS.DidResume, resp.Header)
		}
	}
	if _, body := ask("http://" + one.Address("web") + "/"); body != "[] 0" {
		t.Errorf("a plain listener: %s", body)
	}
	if resp, _ := ask("http://" + one.Address("plain") + "/a?b"); resp.StatusCode != 301 || resp.Header.Get("Location") != "https://127.0.0.1:8443/a?b" {
		t.Errorf("the redirect: %d %v", resp.StatusCode, resp.Header)
	}
	if _, err := secureClient(servers, true).Get("https://" + one.Address("secure") + "/"); err == nil {
		t.Error("a client without a certificate is accepted")
	}
	if n := metric(t, one.Address("admin"), `smartlb_tls_handshakes_total{result="client-certificate"}`); n != 1 {
		t.Errorf("%v refused clients are counted", n)
	}

	admin := one.Address("admin")
	eventually(t, "the certificate expires soon", func() bool { return strings.Contains(firing(t, admin), "certificate-expires") })
	replace("clients.pem", clients.PEM()[:100])
	eventually(t, "the file of authorities is refused", func() bool { return strings.Contains(firing(t, admin), "certificate-refused") })
	if _, body := ask("https://" + two.Address("secure") + "/"); body != `["CN=me"] 64` {
		t.Errorf("with a bad file of authorities: %s", body)
	}
	expires(year)
	replace("clients.pem", clients.PEM())
	eventually(t, "both alerts end", func() bool { return !strings.Contains(firing(t, admin), "certificate") })
}
