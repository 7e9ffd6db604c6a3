package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/dataplane/certs"
)

// store keeps the files of all authorities below one folder, each authority in a folder of its own. Files are written
// in one step and readable for their owner only.
type store struct{ dir string }

// file returns the path of a certificate. It holds the certificate, its chain and its key, so that they change together.
func (s store) file(w Want) certs.Awaited {
	return certs.Awaited{Name: w.Name, File: filepath.Join(s.folder(w.Authority), w.Name+"-"+w.KeyType+".pem")}
}

// folder returns the folder of an authority: the host for people, a part of the digest because one host may have many
// directories.
func (s store) folder(a Authority) string {
	host := "authority"
	if u, err := url.Parse(a.Directory); err == nil && u.Hostname() != "" {
		host = strings.ReplaceAll(u.Hostname(), ":", "-")
	}
	sum := sha256.Sum256([]byte(a.Directory))
	return filepath.Join(s.dir, host+"-"+hex.EncodeToString(sum[:4]))
}

// save writes a certificate with its chain and its key.
func (s store) save(w Want, chain [][]byte, key crypto.Signer) error {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	secret, err := keyPEM(key)
	if err != nil {
		return err
	}
	return s.write(s.file(w).File, append(text, secret...))
}

// check returns an error if the certificate could not be saved. A certificate that is lost after its order counts
// against the limits of the authority all the same.
func (s store) check(w Want) error {
	path := s.file(w).File + ".check"
	if err := s.write(path, make([]byte, 64<<10)); err != nil { // more than a certificate with its chain and key
		return err
	}
	return os.Remove(path)
}

// accountKey returns the key of the account at an authority. It makes one if there is none.
func (s store) accountKey(a Authority) (crypto.Signer, error) {
	path := filepath.Join(s.folder(a), "account.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := newKey(P256)
		if err != nil {
			return nil, err
		}
		secret, err := keyPEM(key)
		if err != nil {
			return nil, err
		}
		return key, s.write(path, secret)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM data; restore the file, or remove it to create another account", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; restore the file, or remove it to create another account", path, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: not a key that signs", path)
	}
	return key, nil
}

func (s store) write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, text, 0o600)
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// newKey makes a key of a type of Want.
func newKey(kind string) (crypto.Signer, error) {
	if kind == RSA2048 {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}
