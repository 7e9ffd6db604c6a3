package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

func newKey(t *testing.T) []byte {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key
}

func inHex(keys ...[]byte) []byte {
	var out []byte
	for _, k := range keys {
		out = append(hex.AppendEncode(out, k), '\n')
	}
	return out
}

func TestASessionOfOneNodeIsResumedOnAnother(t *testing.T) {
	one, two, dir := newKey(t), newKey(t), t.TempDir()
	in64 := []byte("\n" + base64.StdEncoding.EncodeToString(one) + "\r\n\n")
	for name, tc := range map[string]struct {
		first, second []byte // files of the two nodes; nil: none
		want          bool
	}{
		"the same key":                    {inHex(one), inHex(one), true},
		"the same key in base64":          {inHex(one), in64, true},
		"the key as the second one":       {inHex(one), inHex(two, one), true},
		"a key that only the first knows": {inHex(two, one), inHex(one), false},
		"another key":                     {inHex(one), inHex(two), false},
		"no keys":                         {nil, nil, false},
	} {
		for v, version := range versions {
			node := func(n string, keys []byte) *Set {
				cfg := Config{Pairs: []Pair{pair(t, certtest.New(t, n), t.TempDir(), n, certtest.Options{}, "a")}, MinVersion: tls.VersionTLS12}
				if keys != nil {
					cfg.TicketKeys = write(t, filepath.Join(dir, n), keys)
				}
				s, err := Load(cfg)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			client := &tls.Config{InsecureSkipVerify: true, ServerName: "a", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			if _, err := shake(t, node("first", tc.first), client); err != nil {
				t.Fatal(err)
			}
			if st, err := shake(t, node("second", tc.second), client); err != nil || st.DidResume != tc.want {
				t.Errorf("%s, %s: resumed %v, %v", name, v, st.DidResume, err)
			}
		}
	}
}

// Listeners may share ticket keys and verify clients differently: a session must not carry a client from one to another
// (CVE-2025-23419 of nginx).
func TestASessionDoesNotCarryAClientToAnotherListener(t *testing.T) {
	ca, other, dir := certtest.New(t, "ca"), certtest.New(t, "other"), t.TempDir()
	keys := write(t, filepath.Join(dir, "keys"), inHex(newKey(t)))
	caFile, otherFile := write(t, filepath.Join(dir, "ca.pem"), ca.PEM()), write(t, filepath.Join(dir, "other.pem"), other.PEM())
	listener := func(file string, auth tls.ClientAuthType) *Set {
		return withClients(t, t.TempDir(), file, auth, func(c *Config) { c.TicketKeys = keys })
	}
	me := ca.Issue(certtest.Options{Client: true}, "me")
	for v, version := range versions {
		for name, tc := range map[string]struct {
			from, to *Set
			resumed  bool
			accepted bool
		}{
			"from open to verified":             {listener("", tls.NoClientCert), listener(otherFile, tls.RequireAndVerifyClientCert), false, false},
			"from one authority to another":     {listener(caFile, tls.RequireAndVerifyClientCert), listener(otherFile, tls.RequireAndVerifyClientCert), false, false},
			"to another that only requests":     {listener(caFile, tls.RequireAndVerifyClientCert), listener(otherFile, tls.VerifyClientCertIfGiven), false, false},
			"from verified to open":             {listener(caFile, tls.RequireAndVerifyClientCert), listener("", tls.NoClientCert), false, true},
			"between two of the same authority": {listener(caFile, tls.RequireAndVerifyClientCert), listener(caFile, tls.VerifyClientCertIfGiven), true, true},
		} {
			client := &tls.Config{
				InsecureSkipVerify: true, ServerName: "a", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1),
				GetClientCertificate: always(me),
			}
			if _, err := shake(t, tc.from, client); err != nil {
				t.Fatalf("%s, %s: %v", name, v, err)
			}
			if st, err := shake(t, tc.to, client); (err == nil) != tc.accepted || st.DidResume != tc.resumed {
				t.Errorf("%s, %s: resumed %v, %v", name, v, st.DidResume, err)
			}
		}
	}
}

func TestChangedTicketKeysAreUsedAndBadOnesAreNot(t *testing.T) {
	one, two, dir := newKey(t), newKey(t), t.TempDir()
	file := write(t, filepath.Join(dir, "keys"), inHex(one))
	var said bytes.Buffer
	s := withClients(t, dir, "", tls.NoClientCert, func(c *Config) { c.TicketKeys, c.Log = file, slog.New(slog.NewTextHandler(&said, nil)) })
	client := &tls.Config{InsecureSkipVerify: true, ServerName: "a", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	resumes := func(why string, want bool) {
		t.Helper()
		if st, err := shake(t, s, client); err != nil || st.DidResume != want {
			t.Errorf("%s: resumed %v, %v", why, st.DidResume, err)
		}
	}
	resumes("the first connection", false)
	write(t, file, inHex(two, one))
	s.Refresh()
	resumes("with the key before as the second one", true)
	write(t, file, inHex(two))
	s.Refresh()
	resumes("with a ticket of the new key", true)
	if said.Len() == 0 || strings.Contains(said.String(), "too wide") {
		t.Errorf("log: %s", said.String())
	}
	secret := hex.EncodeToString(one)
	for name, content := range map[string]string{
		"an empty file": "", "only blank lines": "\n\n", "a key that is cut": secret[:60], "a second key that is cut": secret + "\n" + secret[:10],
		"a key that is too long": secret + "ab", "no key": "-----BEGIN PRIVATE KEY-----", "zeros": strings.Repeat("0", 64),
		"base64 of 31 bytes": base64.StdEncoding.EncodeToString(one[:31]), "too many keys": strings.Repeat(secret+"\n", maxTicketKeys+1),
	} {
		write(t, file, []byte(content))
		_, err := Load(s.Config())
		if err == nil || !strings.HasPrefix(err.Error(), file+": ") || strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%s: %v", name, err)
		}
		said.Reset()
		s.Refresh()
		s.Refresh()
		resumes(name, true)
		if st := s.Status()[1]; st.File != file || st.Bad == nil || !st.Expires.IsZero() || strings.Count(said.String(), "level=ERROR") != 1 || strings.Contains(said.String(), secret[:10]) {
			t.Errorf("%s: status %+v, log %s", name, st, said.String())
		}
	}
	for mode, wide := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: false, 0o644: true, 0o660: true, 0o604: true} {
		write(t, file, inHex(two))
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		said.Reset()
		s.Refresh()
		if got := strings.Contains(said.String(), "too wide"); got != wide || !strings.Contains(said.String(), "are in use") {
			t.Errorf("mode %v: %s", mode, said.String())
		}
	}
	resumes("after the correction", true)
}
