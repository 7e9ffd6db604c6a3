package certs

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// shake makes a whole connection, so that the client gets its session tickets, and returns what the server sees.
func shake(t *testing.T, s *Set, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a net.Pipe has no buffer: both sides may write at once
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{here, there} {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
	}
	server := tls.Server(there, s.TLS())
	done := make(chan error, 1)
	go func() {
		defer there.Close()
		err := server.Handshake()
		if err == nil {
			_, err = server.Write([]byte("x"))
		}
		done <- err
	}()
	_, _ = tls.Client(here, client).Read(make([]byte, 1))
	_ = here.Close() // ends what the server still writes
	err = <-done
	return server.ConnectionState(), err
}

// write replaces a file in one step.
func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// withClients loads a set that verifies clients by an authority file.
func withClients(t *testing.T, dir, ca string, auth tls.ClientAuthType, edit func(*Config)) *Set {
	t.Helper()
	cfg := Config{
		Pairs: []Pair{pair(t, certtest.New(t, "server"), dir, "server", certtest.Options{}, "a")}, MinVersion: tls.VersionTLS12,
		Protocols: []string{"http/1.1"}, ClientAuth: auth, ClientCA: ca,
	}
	if edit != nil {
		edit(&cfg)
	}
	s, err := Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// always presents a certificate, whatever authorities the server names.
func always(c tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
}

func TestClientsAreVerified(t *testing.T) {
	ca, other, dir := certtest.New(t, "ca"), certtest.New(t, "ca"), t.TempDir()
	file := write(t, filepath.Join(dir, "ca.pem"), ca.PEM())
	past := time.Now().Add(-time.Minute)
	for name, tc := range map[string]struct {
		cert             *tls.Certificate
		request, require bool
	}{
		"no certificate":                      {nil, true, false},
		"a certificate of the authority":      {ptr(ca.Issue(certtest.Options{Client: true}, "me")), true, true},
		"another authority, same name":        {ptr(other.Issue(certtest.Options{Client: true}, "me")), false, false},
		"an expired certificate":              {ptr(ca.Issue(certtest.Options{Client: true, NotAfter: past}, "me")), false, false},
		"a certificate of a server":           {ptr(ca.Issue(certtest.Options{}, "me")), false, false},
		"a certificate that is not valid yet": {ptr(ca.Issue(certtest.Options{Client: true, NotBefore: time.Now().Add(time.Hour)}, "me")), false, false},
	} {
		for v, version := range versions {
			for auth, want := range map[tls.ClientAuthType]bool{tls.VerifyClientCertIfGiven: tc.request, tls.RequireAndVerifyClientCert: tc.require} {
				client := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"http/1.1"}}
				if tc.cert != nil {
					client.GetClientCertificate = always(*tc.cert)
				}
				st, err := shake(t, withClients(t, t.TempDir(), file, auth, nil), client)
				if (err == nil) != want {
					t.Errorf("%s, %s, %v: %v", name, v, auth, err)
				}
				if err == nil && (len(st.VerifiedChains) > 0) != (tc.cert != nil) || err == nil && st.NegotiatedProtocol != "http/1.1" {
					t.Errorf("%s, %s, %v: the server knows %d chains, protocol %q", name, v, auth, len(st.VerifiedChains), st.NegotiatedProtocol)
				}
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

// A session that began under one authority must not be resumed when the authority is gone.
func TestAResumedSessionIsVerifiedAgain(t *testing.T) {
	for v, version := range versions {
		for _, auth := range []tls.ClientAuthType{tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert} {
			ca, next, dir := certtest.New(t, "one"), certtest.New(t, "two"), t.TempDir()
			file := write(t, filepath.Join(dir, "ca.pem"), ca.PEM())
			s := withClients(t, dir, file, auth, nil)
			client := &tls.Config{
				InsecureSkipVerify: true, ServerName: "a", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4),
				GetClientCertificate: always(ca.Issue(certtest.Options{Client: true}, "me")),
			}
			for i := range 2 {
				st, err := shake(t, s, client)
				if err != nil || st.DidResume != (i == 1) || len(st.VerifiedChains) != 1 || st.VerifiedChains[0][0].Subject.CommonName != "me" {
					t.Fatalf("%s, %v, connection %d: resumed %v, %v", v, auth, i, st.DidResume, err)
				}
			}
			write(t, file, append(next.PEM(), ca.PEM()...)) // one more authority ends no session
			s.Refresh()
			if st, err := shake(t, s, client); err != nil || !st.DidResume {
				t.Errorf("%s, %v, with two authorities: resumed %v, %v", v, auth, st.DidResume, err)
			}
			write(t, file, next.PEM())
			s.Refresh()
			if st, err := shake(t, s, client); err == nil {
				t.Errorf("%s, %v: a client of an authority that is gone is accepted, resumed %v", v, auth, st.DidResume)
			}
			client.GetClientCertificate = always(next.Issue(certtest.Options{Client: true}, "you"))
			if st, err := shake(t, s, client); err != nil || st.DidResume || st.VerifiedChains[0][0].Subject.CommonName != "you" {
				t.Errorf("%s, %v, a client of the new authority: resumed %v, %v", v, auth, st.DidResume, err)
			}
		}
	}
}

func TestBadAuthoritiesAreNamedAndTheOldOnesStay(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	file := filepath.Join(dir, "ca.pem")
	leaf, key := ca.IssuePEM(certtest.Options{Client: true}, "leaf")
	expired := certtest.Until(t, "old", time.Now().Add(-time.Hour))
	block := func(kind string) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("x")}) }
	var said bytes.Buffer
	s := withClients(t, dir, write(t, file, ca.PEM()), tls.RequireAndVerifyClientCert, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&said, nil)) })
	client := &tls.Config{InsecureSkipVerify: true, GetClientCertificate: always(ca.Issue(certtest.Options{Client: true}, "me"))}
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"an empty file":             {nil, "the file is empty"},
		"no PEM":                    {[]byte("no certificate"), "holds no PEM data"},
		"a file that is cut":        {ca.PEM()[:100], "is cut or damaged"},
		"a second one that is cut":  {append(ca.PEM(), ca.PEM()[:100]...), "is cut or damaged"},
		"damage in the middle":      {bytes.Replace(append(ca.PEM(), ca.PEM()...), []byte("MII"), []byte("M!I"), 1), "is cut or damaged"},
		"a private key":             {key, `block 1 is of the type "PRIVATE KEY"`},
		"a key beside it":           {append(ca.PEM(), key...), `block 2 is of the type "PRIVATE KEY"`},
		"a list of revocations":     {append(ca.PEM(), block("X509 CRL")...), `block 2 is of the type "X509 CRL"`},
		"no certificate inside":     {block("CERTIFICATE"), "block 1: x509:"},
		"a certificate of a client": {leaf, "block 1 (CN=leaf) is not the certificate of an authority"},
		"an expired authority":      {expired.PEM(), "have expired, the last on "},
	} {
		write(t, file, tc.content)
		_, err := Load(s.Config())
		if err == nil || !strings.Contains(err.Error(), file+": ") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		said.Reset()
		s.Refresh()
		s.Refresh()
		if _, err := shake(t, s, client); err != nil {
			t.Errorf("%s: the old authority is gone: %v", name, err)
		}
		st := s.Status()[1]
		if st.File != file || st.Bad == nil || st.Expires.IsZero() || strings.Count(said.String(), "level=ERROR") != 1 {
			t.Errorf("%s: status %+v, log %s", name, st, said.String())
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(s.Config()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: %v", err)
	}
	said.Reset()
	write(t, file, append(expired.PEM(), ca.PEM()...))
	s.Refresh()
	if st := s.Status()[1]; st.Bad != nil || st.ExpiresSoon(time.Now()) != true || !strings.Contains(said.String(), "CN=old") {
		t.Errorf("one expired authority of two: %+v, %s", st, said.String())
	}
	if _, err := shake(t, s, client); err != nil {
		t.Errorf("after the correction: %v", err)
	}
}

// Files of another set of authorities make another set, and a set without clients has none.
func TestSameComparesClients(t *testing.T) {
	a := Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCA: "a"}
	if b := a; !a.Same(b) {
		t.Error("a configuration differs from itself")
	}
	for _, b := range []Config{{ClientAuth: tls.VerifyClientCertIfGiven, ClientCA: "a"}, {ClientAuth: tls.RequireAndVerifyClientCert, ClientCA: "b"}, {}, {ClientAuth: tls.RequireAndVerifyClientCert, ClientCA: "a", TicketKeys: "k"}} {
		if a.Same(b) {
			t.Errorf("%+v is the same as %+v", a, b)
		}
	}
}
