package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// The real process connects to instances by TLS with a client certificate, probes them in the same way, uses changed
// files, and refuses a revision whose files cannot be read.
func TestInstancesWithTLS(t *testing.T) {
	t.Parallel()
	ca, dir := certtest.New(t, "instances"), t.TempDir()
	instance := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" of "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	instance.EnableHTTP2 = true
	instance.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(certtest.Options{}, "127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	instance.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	instance.StartTLS()
	defer instance.Close()
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, certtest.New(t, "another").PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := ca.IssuePEM(certtest.Options{Client: true, Subject: "lb-1"})
	certFile, keyFile := certtest.Files(t, dir, "proxy", cert, key)
	text := fmt.Sprintf(`listeners: [{name: web, address: "127.0.0.1:0"}]
routes: [{name: all, path: {prefix: /}, service: shop}]
services:
  - id: shop
    protocol: h2
    tls: {ca: %q, cert: %q, key: %q}
    healthCheck: {interval: 200ms}
    instances: [{id: i1, address: %q}]
`, caFile, certFile, keyFile, instance.Listener.Addr())
	file := mustWrite(t, text)
	p := start(t, true, "run", "--roles", "proxy", "--kafka", "127.0.0.1:1", "--config", file, "--config-source", "file", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	url := "http://" + p.Address("web") + "/"
	if status, body, err := get(t, url); err != nil || status < 500 {
		t.Errorf("with the authority of another: %d %s, %v", status, body, err)
	}
	eventually(t, "the log names the reason", func() bool { return strings.Contains(strings.Join(p.Log(), "\n"), "unknown authority") })
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the changed authority is used", func() bool {
		status, body, err := get(t, url)
		return err == nil && status == 200 && body == "HTTP/2.0 of lb-1"
	})
	if err := os.WriteFile(file, []byte(strings.Replace(text, caFile, dir+"/nothing.pem", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log names the file", func() bool { return strings.Contains(strings.Join(p.Log(), "\n"), "nothing.pem") })
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if status, body, err := get(t, url); err != nil || status != 200 {
			t.Fatalf("after a refused revision: %d %s, %v", status, body, err)
		}
	}
}
