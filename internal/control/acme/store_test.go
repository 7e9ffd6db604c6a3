package acme

import (
	"crypto"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/test/certtest"
)

func TestStoredFilesAreForTheirOwnerOnlyAndServed(t *testing.T) {
	s := store{filepath.Join(t.TempDir(), "acme")}
	w := Want{Authority: Authority{Directory: LetsEncrypt}, Name: "shop.example", KeyType: P256}
	account, err := s.accountKey(w.Authority)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.accountKey(w.Authority)
	if err != nil || !account.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(again.Public()) {
		t.Errorf("the account has another key after a restart: %v", err)
	}
	cert := certtest.New(t, "ca").Issue(certtest.Options{}, w.Name)
	if err := s.save(w, cert.Certificate, cert.PrivateKey.(crypto.Signer)); err != nil {
		t.Fatal(err)
	}
	read, err := s.file(w).Read()
	if err != nil || string(read.Certificate[0]) != string(cert.Certificate[0]) {
		t.Errorf("the stored certificate: %v", err)
	}
	n := 0
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, want %v", path, info.Mode().Perm(), want)
		}
		n++
		return err
	})
	if err != nil || n != 4 { // two folders, two files: none is left behind
		t.Errorf("%d files and folders, %v", n, err)
	}
	for _, other := range []Want{
		{Authority: Authority{Directory: LetsEncrypt + "2"}, Name: w.Name, KeyType: P256},
		{Authority: w.Authority, Name: w.Name, KeyType: RSA2048},
		{Authority: w.Authority, Name: "shop2.example", KeyType: P256},
	} {
		if s.file(other).File == s.file(w).File {
			t.Errorf("%+v has the same file", other)
		}
	}
}

func TestADamagedKeyOfTheAccountIsNamed(t *testing.T) {
	s := store{t.TempDir()}
	a := Authority{Directory: "https://[::1]:14000/dir"}
	path := filepath.Join(s.folder(a), "account.key")
	if strings.ContainsAny(filepath.Base(filepath.Dir(path)), ":[]") {
		t.Errorf("the folder of an address: %s", path)
	}
	if _, err := s.accountKey(a); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"empty": "", "no key": "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.accountKey(a); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove it to create another account") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
