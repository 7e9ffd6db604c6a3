package jwt

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Settings of a Verifier.
type Settings struct {
	Route     string           // name of the route
	Issuer    string           // the claim iss
	Audiences []string         // one of which the claim aud has; empty: any or none
	Header    string           // that has the token, in lower case; empty: none
	Cookie    string           // that has the token; empty: none
	Claims    []string         // whose values Identity.Claims has
	Leeway    time.Duration    // by which the clocks of issuer and node may differ
	Keys      *KeySet          // of the issuer
	Tokens    *Tokens          // memory of all routes
	Refused   *Refusals        // counts the refused tokens
	Wall      func() time.Time // the time of the day
}

// Verifier checks the tokens of one route. It is immutable.
type Verifier struct {
	Settings
	salt [sha256.Size]byte // makes the same token another one on another route
}

// New returns a verifier.
func New(s Settings) *Verifier { return &Verifier{Settings: s, salt: sha256.Sum256([]byte(s.Route))} }

// Identity is what a good token says. It is immutable.
type Identity struct {
	Subject string   // the claim sub; empty: none
	Claims  []string // values of the claims of the settings, "" for those that are missing
}

func (id *Identity) size() int {
	n := len(id.Subject)
	for _, c := range id.Claims {
		n += len(c)
	}
	return n
}

// Reason says why a token was refused.
type Reason uint8

// The reasons.
const (
	Good        Reason = iota
	Missing            // the request has no token
	Malformed          // not a signed token of at most 8 KiB, without the claim exp, or not the only one
	Algorithm          // an algorithm that is not allowed
	NoKeys             // the keys of the issuer were never fetched
	UnknownKey         // no key of the issuer fits
	Signature          // the signature is wrong
	Issuer             // of another issuer
	Audience           // for others
	Expired            // exp is over
	NotYetValid        // nbf is in the future
	NumReasons  = int(iota)
)

var reasonWords = [NumReasons]string{"", "missing", "malformed", "algorithm", "no_keys", "unknown_key", "signature", "issuer", "audience", "expired", "not_yet_valid"}

func (r Reason) String() string { return reasonWords[r] }

// Refusals counts refused tokens by reason. The zero value is ready to use. It is safe for concurrent use.
type Refusals [NumReasons]atomic.Uint64

// maxToken limits a token, in bytes.
const maxToken = 8 << 10

// Head is the part of a request that can have a token.
type Head interface {
	Header(name string) ([]byte, bool)
	Cookie(name string) ([]byte, bool)
}

// Check returns what the token of a request says, and why it is refused. A good token that was seen before costs a hash,
// another one a signature check of some 100 µs. It does not wait for the issuer.
func (v *Verifier) Check(h Head) (*Identity, Reason) {
	id, r := (*Identity)(nil), Malformed
	if !v.repeated(h) {
		id, r = v.check(v.token(h))
	}
	if r != Good {
		v.Refused[r].Add(1)
	}
	return id, r
}

// lines is a Head that can have several fields with one name.
type lines interface {
	Len() int
	Field(i int) (name, value []byte, kind h1.Kind)
}

// repeated reports whether the head has several fields that could have the token. An instance could read another one than the
// one that was verified.
func (v *Verifier) repeated(h Head) bool {
	all, ok := h.(lines)
	if !ok || v.Header == "" {
		return false
	}
	n := 0
	for i := range all.Len() {
		if name, _, _ := all.Field(i); h1.EqualFold(name, v.Header) {
			n++
		}
	}
	return n > 1
}

func (v *Verifier) token(h Head) []byte {
	if v.Cookie != "" {
		token, _ := h.Cookie(v.Cookie)
		return token
	}
	value, _ := h.Header(v.Header)
	scheme, token, has := bytes.Cut(value, []byte(" "))
	if has && h1.EqualFold(scheme, "bearer") {
		return bytes.Trim(token, " ")
	}
	if v.Header == "authorization" { // of another scheme
		return nil
	}
	return value
}

func (v *Verifier) check(token []byte) (*Identity, Reason) {
	switch {
	case len(token) == 0:
		return nil, Missing
	case len(token) > maxToken:
		return nil, Malformed
	}
	keys, now := v.Keys.keys.Load(), v.Wall().Unix()
	if keys == nil {
		return nil, NoKeys
	}
	hash := sha256.Sum256(token)
	subtle.XORBytes(hash[:], hash[:], v.salt[:])
	if id := v.Tokens.find(&hash, v, keys, now); id != nil {
		return id, Good
	}
	payload, r := v.verify(string(token), keys)
	if r != Good {
		return nil, r
	}
	id, until, r := v.read(payload, now)
	if r == Good {
		v.Tokens.remember(&hash, known{by: v, keys: keys, until: until, id: id})
	}
	return id, r
}

// verify checks the signature and returns what it signs.
func (v *Verifier) verify(token string, keys *Keys) ([]byte, Reason) {
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		if unexpected := (*jose.ErrUnexpectedSignatureAlgorithm)(nil); errors.As(err, &unexpected) {
			return nil, Algorithm
		}
		return nil, Malformed
	}
	found := keys.find(signed.Signatures[0].Protected)
	if len(found) == 0 {
		v.Keys.wanted.Store(true)
		return nil, UnknownKey
	}
	for _, key := range found {
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, Good
		}
	}
	return nil, Signature
}

// read reads the claims of a token whose signature is right. It returns the time from which the token is no longer good,
// in Unix seconds.
func (v *Verifier) read(payload []byte, now int64) (_ *Identity, until int64, _ Reason) {
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return nil, 0, Malformed
	}
	expires, ok := seconds(claims["exp"])
	if !ok {
		return nil, 0, Malformed
	}
	begins, leeway := int64(0), int64(v.Leeway/time.Second)
	if raw, has := claims["nbf"]; has {
		if begins, ok = seconds(raw); !ok {
			return nil, 0, Malformed
		}
	}
	switch {
	case text(claims["iss"]) != v.Issuer:
		return nil, 0, Issuer
	case !v.hasAudience(claims["aud"]):
		return nil, 0, Audience
	case now >= expires+leeway:
		return nil, 0, Expired
	case now < begins-leeway:
		return nil, 0, NotYetValid
	}
	id := &Identity{Subject: text(claims["sub"]), Claims: make([]string, len(v.Claims))}
	for i, name := range v.Claims {
		id.Claims[i] = headerValue(claims[name])
	}
	return id, expires + leeway, Good
}

func (v *Verifier) hasAudience(raw json.RawMessage) bool {
	if len(v.Audiences) == 0 {
		return true
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		list = []string{text(raw)}
	}
	return slices.ContainsFunc(list, func(a string) bool { return slices.Contains(v.Audiences, a) })
}

// seconds reads a NumericDate (RFC 7519 §2), rounded down.
func seconds(raw json.RawMessage) (int64, bool) {
	var n float64
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &n) != nil || math.Abs(n) > 1<<40 {
		return 0, false
	}
	return int64(math.Floor(n)), true
}

// text returns a JSON string, "" for any other value.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// headerValue returns a claim as the value of a header: texts, numbers, booleans, and lists of them with commas between.
// It is empty for other claims. A comma in a text of a list makes it empty too, because the text would count as two.
func headerValue(raw json.RawMessage) string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return strings.TrimSpace(scalar(raw))
	}
	parts := make([]string, len(list))
	for i, one := range list {
		parts[i] = strings.TrimSpace(scalar(one))
		if parts[i] == "" || strings.Contains(parts[i], ",") {
			return ""
		}
	}
	return strings.Join(parts, ",")
}

func scalar(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '{', '[', 'n':
		return ""
	case '"':
		return text(raw)
	}
	return string(raw)
}
