package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// deviceCookie marks a browser that once logged in as a user. Its failed logins are counted separately ("device
// cookies", OWASP). An attacker who guesses a password therefore cannot lock out the user, not even from the same
// address: behind a proxy that is not trusted, all clients have one address.
const (
	deviceCookie = "smartlb-device"
	deviceLife   = 365 * 24 * 3600 // seconds; the key ends with the process
)

// devices signs and verifies device cookies.
type devices struct{ key []byte }

func newDevices() devices {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, since Go 1.24
	return devices{key}
}

// mark returns the value of the cookie for a user.
func (d devices) mark(name string) string {
	id := rand.Text()
	return id + "." + d.sum(id, name)
}

func (d devices) sum(id, name string) string {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(id + "\x00" + name))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// of returns the id of the device that sent r. ok is false unless the device once logged in as name.
func (d devices) of(r *http.Request, name string) (id string, ok bool) {
	c, err := r.Cookie(deviceCookie)
	if err != nil {
		return "", false
	}
	id, sum, _ := strings.Cut(c.Value, ".")
	return id, hmac.Equal([]byte(sum), []byte(d.sum(id, name)))
}
