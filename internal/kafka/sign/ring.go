package sign

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/event"
)

// Header is the record header that holds a signature: version, key id,
// milliseconds since 1970 and the HMAC in hex, separated by blanks.
const Header = "smartlb-signature"

const (
	version   = "v1"
	minSecret = 32  // characters; the command signing-key makes 44
	maxHeader = 256 // bytes
	maxKeys   = 2

	maxReporters = 256
	maxServices  = 1000 // of one reporter
)

// Topics returns the topics whose records are signed: the reserved topics, which control smartlb or hold its records,
// and health-status.
func Topics() []string {
	return []string{event.TopicConfigUpdates, event.TopicNodeStatus, event.TopicRateLimits, event.TopicAlerts, event.TopicAuditLogs, event.TopicHealthStatus}
}

// Config names the keys of a node or a command. Secrets are references.
type Config struct {
	Keys      []Key      `yaml:"keys" json:"keys,omitempty"`           // at most 2 keys, the same on all nodes. The first key signs, both verify. The variable has the form `ID=REFERENCE,ID=REFERENCE`; default none
	Reporters []Reporter `yaml:"reporters" json:"reporters,omitempty"` // keys of at most 256 other writers of health-status and of the reports of instances on service-metrics. Nodes verify with them and do not sign. They need `keys`; default none
}

// Reporter is the key of another writer, such as a deployment tool or the instances of a service, and the services for which its
// signature is valid.
type Reporter struct {
	Key      `yaml:",inline"`
	Services []string `yaml:"services" json:"services"` // ids of 1 to 1000 services for which the key is valid; required
}

// Key is a secret and its name in signatures.
type Key struct {
	ID     string     `yaml:"id" json:"id"`         // name of the key in signatures: 1 to 64 letters, digits, dots, dashes and underscores; required
	Secret secret.Ref `yaml:"secret" json:"secret"` // secret of at least 32 characters. `smartlb config signing-key` makes it; required
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Check reports every mistake that can be found without the secrets.
func (c Config) Check() error {
	var errs []error
	if len(c.Keys) > maxKeys {
		errs = append(errs, fmt.Errorf("%d keys, at most %d are used: the first signs, both verify", len(c.Keys), maxKeys))
	}
	seen := map[string]bool{}
	check := func(at string, k Key) {
		switch {
		case !keyID.MatchString(k.ID):
			errs = append(errs, fmt.Errorf("%s.id: want 1 to 64 letters, digits, dots, dashes and underscores", at))
		case seen[k.ID]:
			errs = append(errs, fmt.Errorf("%s.id: %s is there twice", at, k.ID))
		}
		seen[k.ID] = true
		if k.Secret == "" {
			errs = append(errs, fmt.Errorf("%s.secret: missing", at))
		} else if err := k.Secret.Check(); err != nil {
			errs = append(errs, fmt.Errorf("%s.secret: %w", at, err))
		}
	}
	for i, k := range c.Keys {
		check(fmt.Sprintf("keys[%d]", i), k)
	}
	switch n := len(c.Reporters); {
	case n > maxReporters:
		errs = append(errs, fmt.Errorf("%d reporters, at most %d are allowed", n, maxReporters))
	case n > 0 && len(c.Keys) == 0:
		errs = append(errs, errors.New("reporters: no keys are configured, so signatures are not verified; configure keys"))
	}
	for i, r := range c.Reporters {
		at := fmt.Sprintf("reporters[%d]", i)
		check(at, r.Key)
		if n := len(r.Services); n == 0 || n > maxServices {
			errs = append(errs, fmt.Errorf("%s.services: want the ids of 1 to %d services, got %d", at, maxServices, n))
		}
	}
	return errors.Join(errs...)
}

// Ring reads the secrets. It returns nil if there are no keys.
func (c Config) Ring(getenv func(string) string, read func(string) ([]byte, error)) (*Ring, error) {
	if len(c.Keys) == 0 {
		return nil, nil
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	resolve := func(k Key) (ringKey, error) {
		text, err := k.Secret.Resolve(getenv, read)
		if err == nil && len(text) < minSecret {
			err = fmt.Errorf("%d characters, want at least %d; smartlb config signing-key makes one", len(text), minSecret)
		}
		return ringKey{id: k.ID, secret: []byte(text)}, err
	}
	r := &Ring{}
	for i, k := range c.Keys {
		key, err := resolve(k)
		if err != nil {
			return nil, fmt.Errorf("keys[%d].secret: %w", i, err)
		}
		r.keys = append(r.keys, key)
	}
	for i, k := range c.Reporters {
		key, err := resolve(k.Key)
		if err != nil {
			return nil, fmt.Errorf("reporters[%d].secret: %w", i, err)
		}
		key.services = slices.Clone(k.Services)
		r.reporters = append(r.reporters, key)
	}
	return r, nil
}

// ParseKeys parses ID=REFERENCE,..., the format of the variable SMARTLB_SIGNING_KEYS.
func ParseKeys(text string) (Config, error) {
	var c Config
	for part := range strings.SplitSeq(text, ",") {
		id, ref, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return Config{}, errors.New("want ID=${file:/path} or ID=${env:NAME}, separated by commas")
		}
		c.Keys = append(c.Keys, Key{id, secret.Ref(ref)})
	}
	return c, c.Check()
}

// NewSecret makes a secret of 256 random bits.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.StdEncoding.EncodeToString(b)
}

// Ring holds the keys of a process. A nil Ring has none. It is safe for concurrent use. Its secrets are never printed.
type Ring struct{ keys, reporters []ringKey }

type ringKey struct {
	id       string
	secret   []byte
	services []string // nil: all services
}

// String returns the names of the keys.
func (r *Ring) String() string {
	if r == nil {
		return "no signing keys"
	}
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return "signing keys " + strings.Join(ids, ", ")
}

// GoString keeps secrets out of %#v.
func (r *Ring) GoString() string { return r.String() }

// LogValue keeps secrets out of logs.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// On reports whether there are keys.
func (r *Ring) On() bool { return r != nil && len(r.keys) > 0 }

// Sign returns the header of a record; nil without keys.
func (r *Ring) Sign(topic string, key, value []byte, at time.Time) []byte {
	if !r.On() {
		return nil
	}
	k, ms := r.keys[0], at.UnixMilli()
	return fmt.Appendf(nil, "%s %s %d %s", version, k.id, ms, hex.EncodeToString(k.mac(topic, key, value, ms)))
}

// mac writes each part after its length, so that two different records never give the same input.
func (k ringKey) mac(topic string, key, value []byte, ms int64) []byte {
	h := hmac.New(sha256.New, k.secret)
	var n [8]byte
	for _, part := range [][]byte{[]byte(Header), []byte(version), []byte(k.id), []byte(topic), key, value} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	binary.BigEndian.PutUint64(n[:], uint64(ms))
	h.Write(n[:])
	return h.Sum(nil)
}

// State is the result of checking a signature.
type State int

// The states. Only Signed proves the writer of a record.
const (
	Unchecked State = iota // there are no keys
	Unsigned               // there are keys, and the record has no signature
	Bad                    // the signature was not made with a known key over this record
	Signed
)

// String returns the word that history and metrics use.
func (s State) String() string {
	return [...]string{"unchecked", "unauthenticated", "bad signature", "signed"}[s]
}

// Verdict is the result of verifying a record.
type Verdict struct {
	State State
	Key   string    // id of the key of a Signed record
	At    time.Time // when it was signed

	services []string // services for which the key is valid; nil: all services
}

// SpeaksFor reports whether the record is signed with a key that is valid for a service.
func (v Verdict) SpeaksFor(service string) bool {
	return v.State == Signed && (v.services == nil || slices.Contains(v.services, service))
}

// Refused reports whether a reader of a reserved topic must ignore the record: there are keys, and the record has no
// valid signature.
func (v Verdict) Refused() bool { return v.State == Unsigned || v.State == Bad }

// Verify checks a record's signature header; header is nil if the record has none.
func (r *Ring) Verify(topic string, key, value, header []byte) Verdict {
	switch {
	case !r.On():
		return Verdict{}
	case len(header) == 0:
		return Verdict{State: Unsigned}
	case len(header) > maxHeader:
		return Verdict{State: Bad}
	}
	parts := strings.Split(string(header), " ")
	if len(parts) != 4 || parts[0] != version {
		return Verdict{State: Bad}
	}
	ms, err := strconv.ParseInt(parts[2], 10, 64)
	mac, err2 := hex.DecodeString(parts[3])
	k, known := r.verifier(topic, parts[1])
	if err != nil || err2 != nil || !known || !hmac.Equal(mac, k.mac(topic, key, value, ms)) {
		return Verdict{State: Bad}
	}
	return Verdict{State: Signed, Key: k.id, At: time.UnixMilli(ms).UTC(), services: k.services}
}

// verifier returns the key with an id. Keys of reporters are valid only for health-status and service-metrics.
func (r *Ring) verifier(topic, id string) (ringKey, bool) {
	for _, k := range r.keys {
		if k.id == id {
			return k, true
		}
	}
	if topic == event.TopicHealthStatus || topic == event.TopicServiceMetrics {
		for _, k := range r.reporters {
			if k.id == id {
				return k, true
			}
		}
	}
	return ringKey{}, false
}
