package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// secureClient trusts an authority. Each of its requests takes a new connection if fresh is set.
func secureClient(ca *certtest.Authority, fresh bool) *http.Client {
	return &http.Client{Timeout: maxWait, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DisableKeepAlives: fresh}}
}

// certificateAt returns the common name of the certificate that a new connection gets.
func certificateAt(t *testing.T, ca *certtest.Authority, addr string) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.Pool()})
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestTLSIsServedAndCertificatesAreExchangedUnderLoad(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t, "e2e"), t.TempDir()
	issue := func(subject string) (cert, key []byte) {
		return ca.IssuePEM(certtest.Options{Subject: subject}, "127.0.0.1", "localhost")
	}
	cert, key := issue("one")
	certFile, keyFile := certtest.Files(t, dir, "server", cert, key)
	ins := instances(t, 2)
	p := lineProxy(t, []string{ins[0].addr, ins[1].addr}, "--tls-cert", certFile, "--tls-key", keyFile)
	addr, admin := p.Address("web"), p.Address("admin")
	url := "https://" + addr + "/"

	if got := certificateAt(t, ca, addr); got != "one" {
		t.Fatalf("the certificate of a new connection: %s", got)
	}
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--tlsv1.2", "--tls-max", "1.2"}, {"--tlsv1.3"}, {"--http1.0"}} {
		out, err := exec.Command("curl", append([]string{"-sS", "--cacert", caFile, url}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("curl %v: %v %s", args, err, out)
		}
	}
	client := exec.Command("openssl", "s_client", "-connect", addr, "-CAfile", caFile, "-verify_return_error", "-quiet", "-ign_eof")
	client.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if out, err := client.CombinedOutput(); err != nil || !strings.Contains(string(out), "HTTP/1.1 200 OK") {
		t.Errorf("openssl: %v %s", err, out)
	}
	if status, body, err := get(t, "http://"+addr+"/"); err != nil || status != 400 || !strings.Contains(body, "use https://") {
		t.Errorf("plain HTTP gets %d %q, %v", status, body, err)
	}
	if out, err := exec.Command("curl", "-sS", url).CombinedOutput(); err == nil || !strings.Contains(string(out), "certificate") {
		t.Errorf("curl without the authority: %s", out)
	}

	stop, failed := make(chan struct{}), make(chan error, 4)
	for i := range cap(failed) {
		c := secureClient(ca, i%2 == 0)
		go func() {
			for {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				resp, err := c.Get(url)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 200 && err == nil {
						err = fmt.Errorf("status %d", resp.StatusCode)
					}
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	for _, subject := range []string{"two", "three"} {
		cert, key := issue(subject)
		certtest.Files(t, dir, "server", cert, key)
		eventually(t, "the changed certificate is served", func() bool { return certificateAt(t, ca, addr) == subject })
	}
	cert, _ = issue("four")
	certtest.Files(t, dir, "server", cert, key) // the key of another certificate
	eventually(t, "the bad pair is noticed", func() bool { return metric(t, admin, "smartlb_certificate_refused") == 1 })
	if got := certificateAt(t, ca, addr); got != "three" {
		t.Errorf("after a bad pair: %s", got)
	}
	close(stop)
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Errorf("a request during the exchange of certificates: %v", err)
		}
	}
	expires := time.Unix(int64(metric(t, admin, "smartlb_certificate_expires_timestamp_seconds")), 0)
	if left := time.Until(expires); left < time.Hour || left > 25*time.Hour {
		t.Errorf("the certificate expires in %v", left)
	}
	if metric(t, admin, "smartlb_tls_handshakes_total") < 10 {
		t.Error("handshakes are not counted")
	}
}

func TestAConfigurationWithoutItsCertificatesIsRefused(t *testing.T) {
	t.Parallel()
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	ins := instances(t, 1)
	file := document(t, "", ins...)
	n := node(t, b.Address("broker"), file, t.TempDir())
	eventually(t, "the file seeds the log", func() bool { return look(t, n.Address("admin")).Node.Config.Revision != "file" })
	ca := certtest.New(t, "e2e")
	cert, key := ca.IssuePEM(certtest.Options{Subject: "applied"}, "127.0.0.1")
	dir := t.TempDir()
	certFile, keyFile := certtest.Files(t, dir, "a", cert, key)
	secure := func(cert, key string) string {
		return mustWrite(t, strings.Replace(mustRead(t, file), "listeners: [{", fmt.Sprintf("listeners: [{name: secure, address: '127.0.0.1:0', tls: {certificates: [{cert: %q, key: %q}]}}, {", cert, key), 1))
	}
	if _, stderr, code := smartlb(t, "config", "apply", secure(certFile, "/nowhere.key"), "-b", b.Address("broker")); code != 0 {
		t.Fatalf("apply: %s", stderr)
	}
	var o struct {
		Node struct {
			Config struct {
				State  string
				Errors []string
			}
		}
	}
	eventually(t, "the node refuses a revision whose key does not exist", func() bool {
		return getJSON(t, "http://"+n.Address("admin")+"/api/v1/overview", &o) == nil && o.Node.Config.State == "refused"
	})
	if !strings.Contains(fmt.Sprint(o.Node.Config.Errors), "listener secure: tls: stat /nowhere.key: no such file") {
		t.Errorf("the reason: %q", o.Node.Config.Errors)
	}
	if status, _, err := get(t, "http://"+n.Address("web")+"/"); err != nil || status != 200 {
		t.Errorf("after a refused revision: %d, %v", status, err)
	}
	if _, stderr, code := smartlb(t, "config", "apply", secure(certFile, keyFile), "-b", b.Address("broker"), "--wait"); code != 0 {
		t.Fatalf("apply: %s", stderr)
	}
	if status, _, err := get(t, "http://"+n.Address("web")+"/"); err != nil || status != 200 {
		t.Errorf("the listener in the clear beside the new one: %d, %v", status, err)
	}
}
