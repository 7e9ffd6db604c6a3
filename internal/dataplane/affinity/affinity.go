package affinity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// MaxKeys is the maximum number of keys.
const MaxKeys = 4

// Keys are the secrets of codes. The first key makes codes; codes of all keys are accepted.
type Keys struct {
	secrets   [][]byte
	generated bool
}

// NewKeys returns keys with these secrets, at most [MaxKeys]. Without a secret, it returns one random key, whose codes no
// other process accepts.
func NewKeys(secrets ...string) Keys {
	if len(secrets) == 0 {
		return Keys{secrets: [][]byte{[]byte(rand.Text())}, generated: true}
	}
	k := Keys{}
	for _, s := range secrets[:min(len(secrets), MaxKeys)] {
		k.secrets = append(k.secrets, []byte(s))
	}
	return k
}

// Generated reports whether the key is random.
func (k Keys) Generated() bool { return k.generated }

// codeBytes is the length of a code. 16 bytes of HMAC-SHA256 cannot be guessed (RFC 2104 §5).
const codeBytes = 16

// code returns the code of an instance, 22 characters of base64url.
func code(secret []byte, service, instance string) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("smartlb session\x00" + service + "\x00" + instance)) // ids have no NUL
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:codeBytes])
}

// Settings of the cookie of a service.
type Settings struct {
	Cookie     string        // its name
	Path       string        // empty: /
	MaxAge     time.Duration // whole seconds; 0: until the browser ends
	SameSite   string        // Lax, Strict or None; empty: Lax. None needs Secure
	DrainGrace time.Duration // how long sessions stay with a draining instance
	EjectGrace time.Duration // how long sessions stay with an unhealthy or ejected instance
}

// Sessions are the codes of the instances of one service. Its methods are safe for concurrent use.
type Sessions struct {
	Settings

	keys    Keys
	service string
	secure  bool // whatever the client uses
	codes   atomic.Pointer[codes]
}

// codes are those of the instances that the service has now. They are immutable.
type codes struct {
	seats   map[string]Seat
	cookies map[string]string // by instance: value of Set-Cookie, without Secure
}

// Seat is the instance that a code names.
type Seat struct {
	Instance string // its id
	At       int    // its place in the service
}

// For computes the codes of the instances of a service. instances are their ids, in the order of the service.
func (k Keys) For(service string, s Settings, instances []string) *Sessions {
	out := &Sessions{Settings: s, keys: k, service: service}
	// Browsers drop SameSite=None, and cookies with these prefixes, without Secure (RFC 6265bis §5.6, §4.1.3).
	out.secure = s.SameSite == "None" || strings.HasPrefix(s.Cookie, "__Host-") || strings.HasPrefix(s.Cookie, "__Secure-")
	out.SetInstances(instances)
	return out
}

// SetInstances replaces the instances of the service. It computes only the codes of instances that are new. Calls must
// not overlap.
func (s *Sessions) SetInstances(ids []string) {
	old, secrets := s.codes.Load(), s.keys.secrets
	next := &codes{seats: make(map[string]Seat, len(ids)*len(secrets)), cookies: make(map[string]string, len(ids))}
	known := map[string][]string{} // codes that the old instances have
	if old != nil {
		for c, seat := range old.seats {
			known[seat.Instance] = append(known[seat.Instance], c)
		}
	}
	tail := s.attributes()
	for at, id := range ids {
		if have := known[id]; have != nil {
			for _, c := range have {
				next.seats[c] = Seat{Instance: id, At: at}
			}
			next.cookies[id] = old.cookies[id]
			continue
		}
		for i, secret := range secrets {
			c := code(secret, s.service, id)
			next.seats[c] = Seat{Instance: id, At: at}
			if i == 0 {
				next.cookies[id] = s.Cookie + "=" + c + tail
			}
		}
	}
	s.codes.Store(next)
}

func (s *Sessions) attributes() string {
	path, sameSite := s.Path, s.SameSite
	if path == "" {
		path = "/"
	}
	if sameSite == "" {
		sameSite = "Lax"
	}
	out := "; Path=" + path
	if seconds := int64(s.MaxAge / time.Second); seconds > 0 {
		out += "; Max-Age=" + strconv.FormatInt(seconds, 10)
	}
	return out + "; HttpOnly; SameSite=" + sameSite
}

// Find returns the instance that the value of a cookie names. It returns false for every value that no key has made for
// this service. It allocates nothing.
func (s *Sessions) Find(value []byte) (Seat, bool) {
	seat, ok := s.codes.Load().seats[string(value)]
	return seat, ok
}

// AppendCookie appends the value of the Set-Cookie field that binds a client to an instance. It appends nothing for an
// instance that the service does not have. secure is true if the client uses https.
func (s *Sessions) AppendCookie(dst []byte, instance string, secure bool) []byte {
	c := s.codes.Load().cookies[instance]
	if c == "" {
		return dst
	}
	dst = append(dst, c...)
	if secure || s.secure {
		dst = append(dst, "; Secure"...)
	}
	return dst
}
