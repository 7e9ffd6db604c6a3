package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a set of keys.
const (
	maxSet     = 256 << 10 // bytes of its JSON
	maxKeys    = 100
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // larger keys make each check slow
)

// algorithms are all that a token may be signed with. A symmetric one is not among them: a public key would be its secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Keys are public keys of an issuer. They are immutable.
type Keys struct{ list []jose.JSONWebKey }

// ParseKeys parses a JSON Web Key Set. It skips keys that cannot verify a token: private and symmetric ones, those for
// encryption, and those of unknown types (RFC 7517 §5). It returns an error if no key is left.
func ParseKeys(text []byte) (*Keys, error) {
	if len(text) > maxSet {
		return nil, fmt.Errorf("larger than %d KiB", maxSet>>10)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys are more than %d", len(set.Keys), maxKeys)
	}
	k := &Keys{}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.Valid() && (key.Use == "" || key.Use == "sig") && len(algorithmsOf(key.Key)) > 0 && whole(key.Key, raw) {
			k.list = append(k.list, key)
		}
	}
	if len(k.list) == 0 {
		return nil, errors.New("has no public key for signatures (RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519)")
	}
	return k, nil
}

// whole reports whether a key of Ed25519 has all its bytes. The library fills a shorter one with zeros, and everybody can sign
// for some such keys.
func whole(key any, raw []byte) bool {
	if _, ok := key.(ed25519.PublicKey); !ok {
		return true
	}
	var of struct{ X string }
	return json.Unmarshal(raw, &of) == nil && base64.RawURLEncoding.DecodedLen(len(of.X)) == ed25519.PublicKeySize
}

// algorithmsOf returns the algorithms that a public key verifies, none for other keys.
func algorithmsOf(key any) []jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= minRSABits && n <= maxRSABits {
			return algorithms[:6]
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return algorithms[6:7]
		case 384:
			return algorithms[7:8]
		case 521:
			return algorithms[8:9]
		}
	case ed25519.PublicKey:
		return algorithms[9:]
	}
	return nil
}

// maxTried limits how many keys a token without a key id, or with one that several keys have, is compared with.
const maxTried = 4

// find returns the keys that may have signed a token with this header.
func (k *Keys) find(h jose.Header) (found []jose.JSONWebKey) {
	for _, key := range k.list {
		if h.KeyID != "" && h.KeyID != key.KeyID || key.Algorithm != "" && key.Algorithm != h.Algorithm {
			continue
		}
		for _, a := range algorithmsOf(key.Key) {
			if string(a) == h.Algorithm && len(found) < maxTried {
				found = append(found, key)
			}
		}
	}
	return found
}
