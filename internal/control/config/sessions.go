package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/secret"
	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
)

// SessionPersistence binds each client to one instance of a service with a cookie. The name is that of the Kubernetes
// Gateway API.
type SessionPersistence struct {
	SessionName string        `yaml:"sessionName"` // name of the cookie, with regard to case. Services of one host need different names; required
	MaxAge      time.Duration `yaml:"maxAge"`      // how long browsers keep the cookie, in whole seconds, at most 9600h. 0s: until the browser ends; default 0s
	Path        string        `yaml:"path"`        // path of the cookie, below which browsers send it; default /
	SameSite    string        `yaml:"sameSite"`    // one of `lax`, `strict`, `none`: when browsers send the cookie with requests from other sites; default lax
	DrainGrace  time.Duration `yaml:"drainGrace"`  // how long the clients of a draining instance stay with it, 0s to 720h. Then they move to others; default 0s
	EjectGrace  time.Duration `yaml:"ejectGrace"`  // how long the clients of an unhealthy or ejected instance stay with it, 0s to 720h; default 0s
}

const (
	minSessionKey = 32               // characters
	maxCookieAge  = 9600 * time.Hour // browsers keep no cookie for longer than 400 days (RFC 6265bis §5.5)
	maxCookieName = 128
	maxCookiePath = 1024
)

var sameSites = map[string]string{"": "Lax", "lax": "Lax", "strict": "Strict", "none": "None"}

func (c *checker) sessions(path string, s *SessionPersistence) {
	if s == nil {
		return
	}
	switch at := path + ".sessionName"; {
	case s.SessionName == "":
		c.fail(at, "missing: want the name of the cookie")
	case len(s.SessionName) > maxCookieName || !tokenPattern.MatchString(s.SessionName):
		c.fail(at, "%.200q: want at most %d letters, digits, dashes and underscores", s.SessionName, maxCookieName)
	case strings.HasPrefix(s.SessionName, "__Host-") && s.Path != "" && s.Path != "/":
		c.fail(path+".path", "browsers refuse a cookie __Host-... with another path than /")
	}
	if p := s.Path; p != "" && (p[0] != '/' || len(p) > maxCookiePath || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' })) {
		c.fail(path+".path", "%.200q: want a path that starts with /, of at most %d ASCII characters without blanks and ;", p, maxCookiePath)
	}
	if s.MaxAge < 0 || s.MaxAge > maxCookieAge || s.MaxAge%time.Second != 0 {
		c.fail(path+".maxAge", "want 0s to %s in whole seconds, got %s", maxCookieAge, s.MaxAge)
	}
	c.oneOf(path+".sameSite", s.SameSite, "lax", "strict", "none")
	for key, t := range map[string]time.Duration{"drainGrace": s.DrainGrace, "ejectGrace": s.EjectGrace} {
		if t < 0 || t > maxTimeout {
			c.fail(path+"."+key, "want 0s to %s, got %s", maxTimeout, t)
		}
	}
}

// hashBalance checks the bound of the load with hashes.
func (c *checker) hashBalance(path string, s Service) {
	at := path + ".hashBalanceFactor"
	switch f := s.HashBalanceFactor; {
	case c.at[at] > 0 && !hashes(s.Policy):
		c.useless(at, "has no effect: only the policies ring_hash and maglev have hashBalanceFactor, this service has %s", s.Policy)
	case f != 0 && (f < picker.MinBalanceFactor || f > picker.MaxBalanceFactor):
		c.fail(at, "want 0, or %d to %d percent, got %d", picker.MinBalanceFactor, picker.MaxBalanceFactor, f)
	}
}

func (c *checker) sessionKeys(path string, keys []secret.Ref) {
	for i, k := range bounded(c, path, "keys", keys, affinity.MaxKeys) {
		at := fmt.Sprintf("%s[%d]", path, i)
		if k == "" {
			c.fail(at, "missing")
		} else if err := k.Check(); err != nil {
			c.fail(at, "%v", err)
		}
	}
}

// SessionKeys reads the keys of session cookies. Without proxy.sessionKeys, it makes a key that only this process knows.
func (p Proxy) SessionKeys() (affinity.Keys, error) { return p.sessionKeys(os.Getenv, os.ReadFile) }

func (p Proxy) sessionKeys(getenv func(string) string, read func(string) ([]byte, error)) (affinity.Keys, error) {
	secrets := make([]string, len(p.SessionKeyRefs))
	for i, ref := range p.SessionKeyRefs {
		text, err := ref.Resolve(getenv, read)
		if err == nil && len(text) < minSessionKey {
			err = errors.New("the key is shorter than 32 characters: openssl rand -hex 32 makes one")
		}
		if err != nil {
			return affinity.Keys{}, fmt.Errorf("proxy.sessionKeys[%d]: %w", i, err)
		}
		secrets[i] = text
	}
	return affinity.NewKeys(secrets...), nil
}

// compileSessions returns the sessions of a checked service, nil if it has none.
func compileSessions(s Service, keys affinity.Keys) *affinity.Sessions {
	p := s.SessionPersistence
	if p == nil {
		return nil
	}
	return keys.For(s.ID, affinity.Settings{
		Cookie: p.SessionName, Path: p.Path, MaxAge: p.MaxAge, SameSite: sameSites[p.SameSite], DrainGrace: p.DrainGrace, EjectGrace: p.EjectGrace,
	}, IDs(s.Instances))
}
