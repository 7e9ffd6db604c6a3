package certs

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

// oneFile writes a certificate with its key into one file.
func oneFile(t *testing.T, path string, ca *certtest.Authority, o certtest.Options, names ...string) {
	t.Helper()
	cert, key := ca.IssuePEM(o, names...)
	write(t, path, append(cert, key...))
}

// subjectFor returns the common name of the certificate for a name, or the error of the client.
func subjectFor(t *testing.T, s *Set, name string) string {
	t.Helper()
	st, err := served(t, s, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	return st.PeerCertificates[0].Subject.CommonName
}

const refused = "remote error: tls: unrecognized name"

func TestAnAwaitedNameIsRefusedUntilItsCertificateIsThere(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	file := filepath.Join(dir, "await.pem")
	s, err := Load(Config{
		MinVersion: tls.VersionTLS12, Pairs: []Pair{pair(t, ca, dir, "static", certtest.Options{}, "static.example")},
		Awaited: []Awaited{{"await.example", file}},
	})
	if err != nil {
		t.Fatal(err)
	}
	say := func(when string, want map[string]string) {
		t.Helper()
		for name, subject := range want {
			if got := subjectFor(t, s, name); got != subject {
				t.Errorf("%s: a client that asks for %q gets %q, want %q", when, name, got, subject)
			}
		}
	}
	others := map[string]string{"static.example": "static.example", "unknown.example": "static.example", "": "static.example"}
	say("at first", others)
	say("at first", map[string]string{"await.example": refused, "AWAIT.example": refused})
	s.Refresh()
	if st := s.Status()[1]; st.File != file || st.Bad != nil || !st.Expires.IsZero() {
		t.Errorf("while the certificate is awaited: %+v", st)
	}
	oneFile(t, file, ca, certtest.Options{Subject: "one"}, "await.example")
	s.Refresh()
	say("with the certificate", others)
	say("with the certificate", map[string]string{"await.example": "one"})
	if st := s.Status()[1]; st.Bad != nil || st.Expires.IsZero() {
		t.Errorf("with the certificate: %+v", st)
	}
	for why, spoil := range map[string]func(){
		"certificate is valid for other.example": func() { oneFile(t, file, ca, certtest.Options{}, "other.example") },
		"is cut or damaged":                      func() { write(t, file, ca.PEM()[:100]) },
		"no such file":                           func() { _ = os.Remove(file) },
	} {
		spoil()
		s.Refresh()
		say(why, map[string]string{"await.example": "one"})
		if st := s.Status()[1]; st.Bad == nil || !strings.Contains(st.Bad.Error(), why) {
			t.Errorf("%s: %+v", why, st)
		}
	}
	oneFile(t, file, ca, certtest.Options{Subject: "two"}, "await.example")
	s.Refresh()
	say("renewed", map[string]string{"await.example": "two"})
}

// A listener without any certificate yet opens, and refuses all handshakes.
func TestAListenerMayOnlyAwaitCertificates(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	a, b := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
	write(t, b, []byte("no certificate"))
	s, err := Load(Config{MinVersion: tls.VersionTLS12, Awaited: []Awaited{{"a.example", a}, {"b.example", b}}})
	if err != nil {
		t.Fatalf("a stored certificate that is damaged: %v", err)
	}
	for _, name := range []string{"a.example", "b.example", "c.example", ""} {
		if got := subjectFor(t, s, name); got != refused {
			t.Errorf("%q: %s", name, got)
		}
	}
	if st := s.Status(); st[0].Bad != nil || st[1].Bad == nil {
		t.Errorf("status: %+v", st)
	}
	oneFile(t, a, ca, certtest.Options{}, "a.example")
	s.Refresh()
	for name, want := range map[string]string{"a.example": "a.example", "b.example": refused, "c.example": "a.example", "": "a.example"} {
		if got := subjectFor(t, s, name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	if _, err := Load(Config{}); err == nil {
		t.Error("a listener without certificates is accepted")
	}
}

func TestACertificateOfTheConfigurationIsPreferred(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	file := filepath.Join(dir, "await.pem")
	oneFile(t, file, ca, certtest.Options{Subject: "awaited"}, "a.example")
	cfg := Config{MinVersion: tls.VersionTLS12, Awaited: []Awaited{{"a.example", file}}}
	alone, err := Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Pairs = []Pair{pair(t, ca, dir, "static", certtest.Options{Subject: "static"}, "a.example")}
	both, err := Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := subjectFor(t, alone, "a.example"), subjectFor(t, both, "a.example"); a != "awaited" || b != "static" {
		t.Errorf("alone %s, with one of the configuration %s", a, b)
	}
	for name, other := range map[string]Config{"other names": {Pairs: cfg.Pairs, MinVersion: cfg.MinVersion}, "with challenges": {Pairs: cfg.Pairs, MinVersion: cfg.MinVersion, Awaited: cfg.Awaited, Challenges: new(Challenges)}} {
		if cfg.Same(other) {
			t.Errorf("%s count as the same", name)
		}
	}
	if !cfg.Same(Config{Pairs: cfg.Pairs, MinVersion: cfg.MinVersion, Awaited: slices.Clone(cfg.Awaited)}) {
		t.Error("equal configurations differ")
	}
}

// FuzzAwaited reads any file without a panic, and takes only a certificate of the name.
func FuzzAwaited(f *testing.F) {
	for _, seed := range []string{"", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "f.pem")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(file, bytes.Clone(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if cert, err := (Awaited{"a.example", file}).Read(); err == nil && cert.Leaf.VerifyHostname("a.example") != nil {
			t.Error("a certificate of another name was taken")
		}
	})
}
