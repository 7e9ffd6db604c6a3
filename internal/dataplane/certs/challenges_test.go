package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/asn1"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

func TestOnlyTheExactRequestOfAnAuthorityIsAnswered(t *testing.T) {
	var c Challenges
	if got := c.Answer([]byte("a.example"), []byte(challengePath+"tok")); got != "" {
		t.Errorf("without challenges: %q", got)
	}
	c.Set([]Challenge{
		{"a.example", HTTP01, "tok", "tok.a"}, {"b.example", HTTP01, "tok", "tok.b"}, {"a.example", HTTP01, "other", "other.a"},
		{"c.example", TLSALPN01, "alpn", "alpn.c"},
	})
	for request, want := range map[string]string{
		"a.example /.well-known/acme-challenge/tok":     "tok.a",
		"A.Example:80 /.well-known/acme-challenge/tok":  "tok.a",
		"b.example /.well-known/acme-challenge/tok":     "tok.b",
		"a.example /.well-known/acme-challenge/other":   "other.a",
		"b.example /.well-known/acme-challenge/other":   "",
		"d.example /.well-known/acme-challenge/tok":     "",
		" /.well-known/acme-challenge/tok":              "",
		"a.example /.well-known/acme-challenge/":        "",
		"a.example /.well-known/acme-challenge/tok/":    "",
		"a.example /.well-known/acme-challenge/toke":    "",
		"a.example /.well-known/acme-challenge/TOK":     "",
		"a.example /.well-known/acme-challenge":         "",
		"a.example /x/.well-known/acme-challenge/tok":   "",
		"c.example /.well-known/acme-challenge/alpn":    "",
		"[::1]:80 /.well-known/acme-challenge/tok":      "",
		"a.example/tok /.well-known/acme-challenge/tok": "",
	} {
		host, path, _ := strings.Cut(request, " ")
		if got := c.Answer([]byte(host), []byte(path)); got != want {
			t.Errorf("%s: got %q, want %q", request, got, want)
		}
	}
	host, path := []byte("a.example"), []byte("/users/1")
	if n := testing.AllocsPerRun(100, func() { c.Answer(host, path) }); n != 0 {
		t.Errorf("another request costs %v allocations", n)
	}
	c.Set(nil)
	if got := c.Answer(host, []byte(challengePath+"tok")); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

// digestFor makes the handshake of an authority and returns the digest of the key authorization in the certificate.
func digestFor(t *testing.T, s *Set, name string, protocols ...string) string {
	t.Helper()
	st, err := shake(t, s, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols, VerifyConnection: func(tls.ConnectionState) error { return nil }})
	if err != nil {
		return err.Error()
	}
	if st.NegotiatedProtocol != ChallengeProtocol {
		return "protocol " + st.NegotiatedProtocol
	}
	client, err := served(t, s, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		return err.Error()
	}
	cert := client.PeerCertificates[0]
	for _, e := range cert.Extensions {
		if e.Id.Equal(acmeIdentifier) {
			var digest []byte
			if _, err := asn1.Unmarshal(e.Value, &digest); err != nil || !e.Critical || len(cert.DNSNames) != 1 || cert.DNSNames[0] != name {
				return fmt.Sprintf("%v, critical %v, names %v", err, e.Critical, cert.DNSNames)
			}
			return fmt.Sprintf("%x", digest)
		}
	}
	return "no extension"
}

func TestAnAuthorityVerifiesANameByAHandshake(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	var c Challenges
	caFile := write(t, filepath.Join(dir, "ca.pem"), ca.PEM())
	s := withClients(t, dir, caFile, tls.RequireAndVerifyClientCert, func(cfg *Config) {
		cfg.Awaited, cfg.Challenges = []Awaited{{"b.example", filepath.Join(dir, "none.pem")}}, &c
	})
	const noProtocol = "unsupported application protocols"
	if got := digestFor(t, s, "b.example", ChallengeProtocol); !strings.Contains(got, noProtocol) {
		t.Errorf("without a challenge: %s", got)
	}
	c.Set([]Challenge{{"b.example", HTTP01, "h", "h.x"}, {"b.example", TLSALPN01, "one", "one.x"}, {"b.example", TLSALPN01, "two", "two.x"}})
	want := fmt.Sprintf("%x", sha256.Sum256([]byte("one.x")))
	if got := digestFor(t, s, "b.example", ChallengeProtocol); got != want {
		t.Errorf("got %s, want the digest of the first challenge %s", got, want)
	}
	for why, got := range map[string]string{
		"another name":   digestFor(t, s, "c.example", ChallengeProtocol),
		"also HTTP/1.1":  digestFor(t, s, "b.example", "http/1.1", ChallengeProtocol),
		"HTTP/1.1 alone": digestFor(t, s, "b.example", "http/1.1"),
		"no protocol":    digestFor(t, s, "b.example"),
	} {
		if got == want || strings.Contains(got, "no extension") {
			t.Errorf("%s: %s", why, got)
		}
	}
	c.Set(nil)
	if got := digestFor(t, s, "b.example", ChallengeProtocol); !strings.Contains(got, noProtocol) {
		t.Errorf("after the end: %s", got)
	}
}
