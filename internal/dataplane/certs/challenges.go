package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Types of a challenge.
const (
	HTTP01    = "http-01"     // RFC 8555 §8.3
	TLSALPN01 = "tls-alpn-01" // RFC 8737
)

// ChallengeProtocol is the ALPN protocol by which an authority verifies a name (RFC 8737 §6.2). No request follows.
const ChallengeProtocol = "acme-tls/1"

// challengePath is followed by the token (RFC 8555 §8.3).
const challengePath = "/.well-known/acme-challenge/"

// Challenge is what an authority expects from a server with the name.
type Challenge struct {
	Name             string // lower case
	Type             string // HTTP01 or TLSALPN01
	Token            string
	KeyAuthorization string
}

// Challenges answers authorities that verify names. The zero value answers none. Its methods are safe for concurrent
// use; Answer and handshakes take no lock.
type Challenges struct {
	table atomic.Pointer[challengeTable]
}

// challengeTable is immutable.
type challengeTable struct {
	answers map[string]string      // NAME/TOKEN to key authorization
	configs map[string]*tls.Config // by name
}

// Set replaces the challenges. A handshake names no token, so the first challenge of a name is the one that handshakes
// answer.
func (c *Challenges) Set(all []Challenge) {
	t := &challengeTable{answers: map[string]string{}, configs: map[string]*tls.Config{}}
	for _, one := range all {
		switch {
		case one.Type == HTTP01:
			t.answers[one.Name+"/"+one.Token] = one.KeyAuthorization
		case t.configs[one.Name] == nil:
			t.configs[one.Name] = one.config()
		}
	}
	c.table.Store(t)
}

// Answer returns the body for a request of an authority, empty if the request is none. It allocates only for the path of
// a challenge, while there are challenges.
func (c *Challenges) Answer(host, path []byte) string {
	t := c.table.Load()
	if t == nil || len(t.answers) == 0 {
		return ""
	}
	token, ok := bytes.CutPrefix(path, []byte(challengePath))
	if !ok {
		return ""
	}
	host, _, _ = bytes.Cut(host, []byte(":")) // names have no colon
	return t.answers[strings.ToLower(string(host))+"/"+string(token)]
}

// configFor returns the configuration for a handshake of an authority; nil: the handshake is none.
func (c *Challenges) configFor(hello *tls.ClientHelloInfo) *tls.Config {
	if c == nil || !slices.Equal(hello.SupportedProtos, []string{ChallengeProtocol}) {
		return nil
	}
	t := c.table.Load()
	if t == nil {
		return nil
	}
	return t.configs[strings.ToLower(hello.ServerName)]
}

func (c Challenge) config() *tls.Config {
	cert := sync.OnceValues(c.certificate)
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{ChallengeProtocol}, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert() },
	}
}

// acmeIdentifier is the extension with the digest of the key authorization (RFC 8737 §3).
var acmeIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// certificate makes the self-signed certificate of RFC 8737 §3. Its key is new: it proves nothing but the digest.
func (c Challenge) certificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(c.KeyAuthorization))
	digest, err := asn1.Marshal(sum[:])
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ACME challenge"}, DNSNames: []string{c.Name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: acmeIdentifier, Critical: true, Value: digest}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
