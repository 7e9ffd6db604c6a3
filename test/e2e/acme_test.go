package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/test/certtest"
	"github.com/smartlb/smartlb/internal/test/porttest"
)

// pebble is the ACME authority that Let's Encrypt's developers test with. It verifies names at the proxy's listeners.
type pebble struct {
	t         *testing.T
	directory string
	ca        string // file with the authority of the directory's own certificate
	external  string // file with the key of the account kid-1 that it requires; empty: it requires none
	client    *http.Client
	manager   string
	stop      func()
}

// pebbleBinary is built once for all tests.
var pebbleBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "pebble")
	out, err := exec.Command("go", "build", "-C", "../../tools", "-o", path, "github.com/letsencrypt/pebble/v2/cmd/pebble").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building pebble: %w\n%s", err, out)
	}
	return path, nil
})

// newPebble starts an authority that verifies names at two ports of this machine. Its certificates are valid for life.
// With external it requires an account of its own.
func newPebble(t *testing.T, httpAddr, tlsAddr string, life time.Duration, external bool) *pebble {
	t.Helper()
	path, err := pebbleBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := certtest.New(t, "directory")
	cert, key := ca.IssuePEM(certtest.Options{}, "127.0.0.1")
	certFile, keyFile := certtest.Files(t, dir, "directory", cert, key)
	base := porttest.Block(t, 1, 2)
	p := &pebble{
		t: t, directory: fmt.Sprintf("https://127.0.0.1:%d/dir", base+1), manager: fmt.Sprintf("https://127.0.0.1:%d", base+2),
		ca: filepath.Join(dir, "ca.pem"), client: secureClient(ca, true),
	}
	if err := os.WriteFile(p.ca, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	port := func(addr string) (n int) {
		_, text, _ := net.SplitHostPort(addr)
		_, _ = fmt.Sscan(text, &n)
		return n
	}
	const macKey = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"
	if external {
		p.external = mustWrite(t, macKey)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"externalAccountBindingRequired": external, "externalAccountMACKeys": map[string]string{"kid-1": macKey},
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", base+1), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", base+2),
		"certificate": certFile, "privateKey": keyFile, "httpPort": port(httpAddr), "tlsPort": port(tlsAddr),
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(life.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	configFile := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-config", configFile, "-dnsserver", nameServer(t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log of pebble:\n%s", text[max(0, len(text)-8000):])
		}
	})
	t.Cleanup(p.stop)
	eventually(t, "the authority answers", func() bool {
		resp, err := p.client.Get(p.directory)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	return p
}

// roots returns the authority that signs the certificates of pebble. It is another after each start.
func (p *pebble) roots() *x509.CertPool {
	p.t.Helper()
	pool := x509.NewCertPool()
	resp, err := p.client.Get(p.manager + "/roots/0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		p.t.Fatalf("the root of pebble: %v %s", err, text)
	}
	return pool
}

// nameServer resolves every name to 127.0.0.1, by TCP as pebble asks.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(maxWait))
				for err := error(nil); err == nil; {
					err = resolve(c)
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// resolve answers one question (RFC 1035 §4.2.2).
func resolve(c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	question := make([]byte, endian.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, question); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
		}
	}
	answer, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = c.Write(append(endian.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

// secureAt returns the certificate that a new connection gets for a name; nil: none.
func secureAt(addr, name string) *x509.Certificate {
	d := &net.Dialer{Timeout: maxWait}
	c, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // its owner is verified by the caller
	if err != nil {
		return nil
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// acmeDocument is a file with a plain listener that redirects, and TLS listeners for names.
func acmeDocument(t *testing.T, p *pebble, plain string, secure map[string]string, in *instance) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  - {name: plain, address: %q, redirectToHttps: true}\n", plain)
	account := ""
	if p.external != "" {
		account = fmt.Sprintf(", externalAccount: {id: kid-1, key: '${file:%s}'}", p.external)
	}
	for name, addr := range secure {
		kind, host, _ := strings.Cut(name, " ")
		fmt.Fprintf(&b, "  - {name: %s, address: %q, tls: {acme: {names: [%s], termsAgreed: true, email: ops@example.com, directory: %q, ca: %q, challenge: %s%s}}}\n", kind, addr, host, p.directory, p.ca, kind, account)
	}
	fmt.Fprintf(&b, "routes: [{name: all, path: {prefix: /}, service: shop}]\nservices: [{id: shop, instances: [{id: i1, address: %q}]}]\n", in.addr)
	return mustWrite(t, b.String())
}

// A node obtains certificates by both challenges, serves them, and has them again after a restart without the authority.
func TestCertificatesAreObtainedFromAnAuthority(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"http-01": "one.example.test", "tls-alpn-01": "two.example.test"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			base := porttest.Block(t, 1, 2)
			plain, secure := fmt.Sprintf("127.0.0.1:%d", base+1), fmt.Sprintf("127.0.0.1:%d", base+2)
			p := newPebble(t, plain, secure, 24*time.Hour, kind == "http-01")
			in := newInstance(t)
			file, data := acmeDocument(t, p, plain, map[string]string{kind + " " + name: secure}, in), t.TempDir()
			run := func() *process {
				return start(t, true, "run", "--roles", "proxy", "--config", file, "--config-source", "file", "--kafka", "127.0.0.1:1", "--admin", "127.0.0.1:0", "--data", data, "--drain", "2s")
			}
			n := run()
			var cert *x509.Certificate
			eventually(t, "the certificate is served", func() bool { cert = secureAt(secure, name); return cert != nil })
			if _, err := cert.Verify(x509.VerifyOptions{Roots: p.roots(), DNSName: name, Intermediates: intermediates(t, secure, name)}); err != nil {
				t.Errorf("the certificate: %v", err)
			}
			if _, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok {
				t.Errorf("the key is a %T", cert.PublicKey)
			}
			client := &http.Client{Timeout: maxWait, Transport: &http.Transport{TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true}, DisableKeepAlives: true}}
			resp, err := client.Get("https://" + secure + "/")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || in.count() != 1 {
				t.Errorf("a request: %d; the instance got %d, none of the authority's", resp.StatusCode, in.count())
			}
			if got := secureAt(secure, "unknown.example.test"); got == nil || !got.Equal(cert) {
				t.Error("an unknown name does not get the first certificate")
			}
			want := map[string]float64{`smartlb_tls_handshakes_total{result="acme-challenge"}`: 0}
			if kind == "tls-alpn-01" {
				want[`smartlb_tls_handshakes_total{result="acme-challenge"}`] = 1
			}
			for series, least := range want {
				if got := metric(t, n.Address("admin"), series); got < least || least == 0 && got > 0 {
					t.Errorf("%s is %v", series, got)
				}
			}
			if got := metric(t, n.Address("admin"), "smartlb_certificate_expires_timestamp_seconds"); got != float64(cert.NotAfter.Unix()) {
				t.Errorf("the metric of its end is %v", got)
			}

			if err := os.WriteFile(file, []byte(strings.Replace(mustRead(t, file), "["+name+"]", "["+name+", more."+name+"]", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := n.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a name that was added has its certificate", func() bool {
				c := secureAt(secure, "more."+name)
				return c != nil && c.VerifyHostname("more."+name) == nil
			})
			if got := secureAt(secure, name); got == nil || !got.Equal(cert) {
				t.Error("another name changed the certificate of the first")
			}

			n.stop(syscall.SIGTERM)
			p.stop()
			run()
			if got := secureAt(secure, name); got == nil || !got.Equal(cert) {
				t.Error("after a restart without the authority, the stored certificate is not served at once")
			}
		})
	}
}

// intermediates returns the certificates that a server sends after its own.
func intermediates(t *testing.T, addr, name string) *x509.CertPool {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pool := x509.NewCertPool()
	for _, i := range c.ConnectionState().PeerCertificates[1:] {
		pool.AddCert(i)
	}
	return pool
}

// A renewal is not noticed by clients. While the authority is down the certificate in use is served, the node retries,
// and an alert says why.
func TestCertificatesAreRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	base := porttest.Block(t, 1, 2)
	plain, secure := fmt.Sprintf("127.0.0.1:%d", base+1), fmt.Sprintf("127.0.0.1:%d", base+2)
	p := newPebble(t, plain, secure, 100*time.Second, false)
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	const name = "shop.example.test"
	n := node(t, b.Address("broker"), acmeDocument(t, p, plain, map[string]string{"tls-alpn-01 " + name: secure}, newInstance(t)), t.TempDir())
	var first *x509.Certificate
	eventually(t, "the certificate is served", func() bool { first = secureAt(secure, name); return first != nil })

	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var mu sync.Mutex
	requests, failures := 0, []error{}
	for i := range 4 {
		client := &http.Client{Timeout: maxWait, Transport: &http.Transport{
			DisableKeepAlives: i%2 == 0, TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true}, // a slow machine may renew late
		}}
		clients.Go(func() {
			for ctx.Err() == nil {
				resp, err := client.Get("https://" + secure + "/")
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if err == nil && resp.StatusCode != 200 {
						err = fmt.Errorf("status %d", resp.StatusCode)
					}
				}
				mu.Lock()
				requests++
				if err != nil {
					failures = append(failures, err)
				}
				mu.Unlock()
			}
		})
	}
	var second *x509.Certificate
	eventually(t, "a renewed certificate is served", func() bool { second = secureAt(secure, name); return second != nil && !second.Equal(first) })
	cancel()
	clients.Wait()
	if requests == 0 || len(failures) > 0 {
		t.Errorf("%d of %d requests failed during the renewal: %v", len(failures), requests, failures)
	}
	if !second.NotAfter.After(first.NotAfter) || second.PublicKey.(*ecdsa.PublicKey).Equal(first.PublicKey) {
		t.Errorf("the renewed certificate ends at %v, the one before at %v; a renewal makes another key", second.NotAfter, first.NotAfter)
	}

	p.stop()
	eventually(t, "the alert about the order", func() bool { return strings.Contains(firing(t, n.Address("admin")), "certificate-order-failed") })
	eventually(t, "the metric of the order", func() bool { return metric(t, n.Address("admin"), "smartlb_certificate_order_failed") == 1 })
	if !n.Said("a certificate was not obtained") || !n.Said("connection refused") {
		t.Error("the log does not say why")
	}
	if got := secureAt(secure, name); got == nil || !got.Equal(second) {
		t.Error("without the authority, the certificate before is not served")
	}
}

// Two nodes have one name, and the authority reaches only the second. It answers the challenges of the first, which
// come over the log.
func TestAnyNodeOfAFleetAnswersTheAuthority(t *testing.T) {
	t.Parallel()
	base := porttest.Block(t, 1, 2)
	plain, secure := fmt.Sprintf("127.0.0.1:%d", base+1), fmt.Sprintf("127.0.0.1:%d", base+2)
	p := newPebble(t, plain, secure, 24*time.Hour, false)
	b := broker(t, t.TempDir(), "127.0.0.1:0")
	env := append(cleanEnv(t), "SMARTLB_SIGNING_KEYS=k1=${env:SIGNING_SECRET}", "SIGNING_SECRET="+sign.NewSecret())
	const byHTTP, byTLS = "http.example.test", "tls.example.test"
	file := acmeDocument(t, p, "127.0.0.1:0", map[string]string{"http-01 " + byHTTP: "127.0.0.1:0", "tls-alpn-01 " + byTLS: "127.0.0.1:0"}, newInstance(t))
	run := func(listen ...string) *process {
		args := []string{"run", "--roles", "proxy", "--config", file, "--kafka", b.Address("broker"), "--admin", "127.0.0.1:0", "--data", t.TempDir(), "--drain", "2s"}
		for _, l := range listen {
			args = append(args, "--listen", l)
		}
		return startIn(t, env, true, args...)
	}
	two := run("plain="+plain, "tls-alpn-01="+secure)
	one := run("plain=127.0.0.1:0", "tls-alpn-01=127.0.0.1:0")
	for name, listener := range map[string]string{byHTTP: "http-01", byTLS: "tls-alpn-01"} {
		got := map[string]bool{}
		for which, n := range map[string]*process{"the first node": one, "the second node": two} {
			eventually(t, which+" has a certificate for "+name, func() bool {
				c := secureAt(n.Address(listener), name)
				if c != nil {
					got[c.SerialNumber.String()] = true
				}
				return c != nil
			})
		}
		if len(got) != 2 {
			t.Errorf("%s: %d certificates; each node should have its own, private keys do not travel", name, len(got))
		}
	}
	if one.Said("acme-challenge") || metric(t, one.Address("admin"), `smartlb_tls_handshakes_total{result="acme-challenge"}`) != 0 {
		t.Error("the authority reached the first node")
	}
	if got := metric(t, two.Address("admin"), `smartlb_tls_handshakes_total{result="acme-challenge"}`); got < 2 {
		t.Errorf("the second node answered %v handshakes of the authority, want those of both nodes", got)
	}
}
