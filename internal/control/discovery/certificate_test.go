package discovery

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/test/certtest"
)

// A registry whose certificate does not match gets no request, and the error says why.
func TestARegistryWithTheWrongCertificateIsRefused(t *testing.T) {
	right, dir := certtest.New(t, "right"), t.TempDir()
	ca, other := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "other.pem")
	write(t, ca, string(right.PEM()))
	write(t, other, string(certtest.New(t, "other").PEM()))
	for name, tc := range map[string]struct{ host, ca, want string }{
		"right":           {"127.0.0.1", ca, ""},
		"another name":    {"registry.example", ca, "certificate"},
		"other authority": {"127.0.0.1", other, "certificate signed by unknown authority"},
		"no authority":    {"127.0.0.1", "", "certificate signed by unknown authority"},
	} {
		requests := 0
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { requests++; _, _ = io.WriteString(w, "[]") }))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{right.Issue(certtest.Options{}, tc.host)}}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		server, err := newServer(s.URL, []config.DiscoveryLogin{{Server: s.URL, CA: tc.ca}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, _, err = server.get(ctx, s.URL+"/list?key=secret", "")
		cancel()
		server.client.CloseIdleConnections()
		s.Close()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret")) || (requests > 0) != (tc.want == "") {
			t.Errorf("%s: %v, %d requests", name, err, requests)
		}
	}
}
