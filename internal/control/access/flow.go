package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// flow is a login at the issuer that a browser began. The browser keeps it in a signed cookie. Logins begun by unknown
// clients therefore use no memory here and cannot end the login of another client.
type flow struct {
	State string    `json:"s"` // the state that the issuer returns
	Nonce string    `json:"n"`
	PKCE  string    `json:"p"`
	Back  string    `json:"b"`
	Began time.Time `json:"t"`
}

// flowLife is the time limit of a login at the issuer.
const flowLife = 10 * time.Minute

// usedSlots limits the number of used flows in memory. Above the limit only the issuer refuses a second use: each of
// its codes is valid once.
const usedSlots = 10_000

// flows signs and verifies flows. It is safe for concurrent use.
type flows struct {
	key []byte

	mu   sync.Mutex
	used map[string]time.Time // by state
}

func newFlows() *flows {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, since Go 1.24
	return &flows{key: key, used: map[string]time.Time{}}
}

func (f *flows) seal(x flow) (string, error) {
	b, err := json.Marshal(x)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + f.sum(text), nil
}

func (f *flows) sum(text string) string {
	mac := hmac.New(sha256.New, f.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open verifies a sealed flow for the returned state. It accepts each flow once.
func (f *flows) open(sealed, state string, now time.Time) (x flow, ok bool) {
	text, sum, _ := strings.Cut(sealed, ".")
	if !hmac.Equal([]byte(sum), []byte(f.sum(text))) {
		return x, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(b, &x) != nil || x.State == "" || x.State != state || now.Sub(x.Began) > flowLife {
		return x, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, again := f.used[x.State]; again {
		return x, false
	}
	if len(f.used) >= usedSlots {
		for k, at := range f.used {
			if now.Sub(at) > flowLife || len(f.used) >= usedSlots {
				delete(f.used, k)
			}
		}
	}
	f.used[x.State] = now
	return x, true
}
