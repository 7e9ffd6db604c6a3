package certs

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

func pair(t *testing.T, ca *certtest.Authority, dir, name string, o certtest.Options, names ...string) Pair {
	t.Helper()
	cert, key := ca.IssuePEM(o, names...)
	c, k := certtest.Files(t, dir, name, cert, key)
	return Pair{c, k}
}

// served returns the certificate that a client gets who asks for a name.
func served(t *testing.T, s *Set, client *tls.Config) (*tls.ConnectionState, error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() { _ = tls.Server(there, s.TLS()).Handshake() }()
	_ = here.SetDeadline(time.Now().Add(time.Minute))
	c := tls.Client(here, client)
	err := c.Handshake()
	st := c.ConnectionState()
	return &st, err
}

func TestTheServerNameChoosesTheCertificate(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	s, err := Load(Config{MinVersion: tls.VersionTLS12, Protocols: []string{"http/1.1"}, Pairs: []Pair{
		pair(t, ca, dir, "first", certtest.Options{}, "first.example"),
		pair(t, ca, dir, "exact", certtest.Options{}, "a.wild.example", "Second.Example"),
		pair(t, ca, dir, "wild", certtest.Options{}, "*.wild.example"),
		pair(t, ca, dir, "rsa", certtest.Options{RSA: true, Subject: "rsa"}, "both.example"),
		pair(t, ca, dir, "ec", certtest.Options{Subject: "ec"}, "both.example"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"": "first.example", "unknown.example": "first.example", "first.example": "first.example", "FIRST.example": "first.example",
		"a.wild.example": "a.wild.example", "b.wild.example": "*.wild.example", "x.b.wild.example": "first.example", "wild.example": "first.example",
		"second.example": "a.wild.example", "both.example": "rsa",
	} {
		st, err := served(t, s, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if got := st.PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q is served %s, want %s", name, got, want)
		}
	}
	onlyEC := &tls.Config{ServerName: "both.example", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	if st, err := served(t, s, onlyEC); err != nil || st.PeerCertificates[0].Subject.CommonName != "ec" {
		t.Errorf("a client without RSA: %v", err)
	}
	if _, err := served(t, s, &tls.Config{ServerName: "first.example", RootCAs: ca.Pool()}); err != nil {
		t.Errorf("a client that trusts the authority: %v", err)
	}
	if _, err := served(t, s, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
}

func TestChangedFilesAreTakenOverAndBadOnesAreNot(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	var said bytes.Buffer
	p := pair(t, ca, dir, "a", certtest.Options{Subject: "one"}, "a.example")
	s, err := Load(Config{Pairs: []Pair{p}, MinVersion: tls.VersionTLS12, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	who := func() string {
		st, err := served(t, s, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		return st.PeerCertificates[0].Subject.CommonName
	}
	s.Refresh()
	if said.Len() > 0 {
		t.Errorf("nothing changed, and the log says %s", said.String())
	}
	pair(t, ca, dir, "a", certtest.Options{Subject: "second"}, "a.example")
	s.Refresh()
	if got := who(); got != "second" || !strings.Contains(said.String(), "changed TLS files are in use") {
		t.Errorf("%s is served after a change: %s", got, said.String())
	}
	good, key := ca.IssuePEM(certtest.Options{Subject: "third"}, "a.example")
	_, other := ca.IssuePEM(certtest.Options{}, "a.example")
	for name, files := range map[string][2][]byte{
		"the key of another certificate": {good, other}, "a file that is cut": {good[:len(good)/2], key}, "an empty file": {nil, key}, "an empty key": {good, nil}, "a chain that is cut": {append(slices.Clip(good), ca.PEM()[:200]...), key},
		"a key that is cut": {good, key[:len(key)-40]},
		"no PEM":            {[]byte("no certificate at all"), key}, "key and certificate exchanged": {key, good},
	} {
		said.Reset()
		certtest.Files(t, dir, "a", files[0], files[1])
		s.Refresh()
		s.Refresh()
		if got := who(); got != "second" {
			t.Errorf("%s: %s is served", name, got)
		}
		if n := strings.Count(said.String(), "level=ERROR"); n != 1 || !strings.Contains(said.String(), p.Cert) {
			t.Errorf("%s: %d errors, want one that names the file: %s", name, n, said.String())
		}
		if st := s.Status(); st[0].Bad == nil {
			t.Errorf("%s: the status knows of no error", name)
		}
	}
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	s.Refresh()
	if got := who(); got != "second" {
		t.Errorf("without its key %s is served", got)
	}
	certtest.Files(t, dir, "a", good, key)
	s.Refresh()
	if st := s.Status(); who() != "third" || st[0].Bad != nil || st[0].File != p.Cert {
		t.Errorf("after the files are right again: %s, %+v", who(), st)
	}
}

func TestACertificateExpiresSoon(t *testing.T) {
	now, day := time.Now(), 24*time.Hour
	for name, tc := range map[string]struct {
		life, left time.Duration
		want       bool
	}{
		"a year, 15 days left":    {365 * day, 15 * day, false},
		"a year, 14 days left":    {365 * day, 14 * day, true},
		"a year, expired":         {365 * day, -day, true},
		"six days, three left":    {6 * day, 3 * day, false},
		"six days, one left":      {6 * day, day, true},
		"a day, nine hours left":  {day, 9 * time.Hour, false},
		"a day, eight hours left": {day, 8 * time.Hour, true},
	} {
		s := Status{Begins: now.Add(tc.left - tc.life), Expires: now.Add(tc.left)}
		if got := s.ExpiresSoon(now); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEveryBadFileIsNamed(t *testing.T) {
	ca, dir := certtest.New(t, "ca"), t.TempDir()
	good := pair(t, ca, dir, "good", certtest.Options{}, "a")
	other := pair(t, ca, dir, "other", certtest.Options{}, "b")
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, bytes.Repeat([]byte("x"), maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Config{Pairs: []Pair{good, {good.Cert, other.Key}, {"/nowhere.pem", good.Key}, {junk, good.Key}, {dir, good.Key}, {"/dev/zero", good.Key}}})
	if err == nil {
		t.Fatal("loaded")
	}
	for _, want := range []string{good.Cert + " with key " + other.Key + ": private key does not match public key", "/nowhere.pem: no such file", junk + ": larger than 1048576 bytes", dir + ": is a directory", "/dev/zero: not a regular file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if _, err := Load(Config{}); err == nil {
		t.Error("loaded without a certificate")
	}
	var said bytes.Buffer
	old := pair(t, ca, dir, "old", certtest.Options{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, "a")
	if _, err := Load(Config{Pairs: []Pair{old}, Log: slog.New(slog.NewTextHandler(&said, nil))}); err != nil || !strings.Contains(said.String(), "has expired") {
		t.Errorf("an expired certificate: %v, %s", err, said.String())
	}
}
