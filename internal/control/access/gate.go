package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Config says which callers may log in. Its zero value accepts every caller as Local.
type Config struct {
	Users  []User
	Issuer *Issuer // nil: none
	Token  string  // bearer token of nodes and programs (RFC 6750); empty: none
	Secure bool    // the listener uses TLS: cookies are sent over TLS only

	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For names the client
}

// Gate identifies callers. It is safe for concurrent use. Calls to the issuer block, limited by their context.
// Comparisons of passwords wait for a turn.
type Gate struct {
	passwords *passwords // nil: no users
	oidc      *oidcLogin // nil: no issuer
	sessions  *sessions
	tries     *tries
	devices   devices
	trusted   []netip.Prefix
	token     [32]byte // digest of the token
	tokens    bool     // a token is configured
	secure    bool
	now       func() time.Time
}

// New returns a gate.
func New(cfg Config) (*Gate, error) {
	g := &Gate{sessions: newSessions(), tries: newTries(), devices: newDevices(), trusted: cfg.TrustedProxies, secure: cfg.Secure, now: time.Now}
	if len(cfg.Users) > 0 {
		p, err := newPasswords(cfg.Users)
		if err != nil {
			return nil, fmt.Errorf("users: %w", err)
		}
		g.passwords = p
	}
	if cfg.Issuer != nil {
		g.oidc = newOIDC(*cfg.Issuer)
	}
	if cfg.Token != "" {
		g.token, g.tokens = sha256.Sum256([]byte(cfg.Token)), true
	}
	return g, nil
}

// Open reports whether no login is required.
func (g *Gate) Open() bool { return g == nil || g.passwords == nil && g.oidc == nil && !g.tokens }

// Address returns the address of the client that sent a request, as limits count it.
func (g *Gate) Address(r *http.Request) string {
	var trusted []netip.Prefix
	if g != nil {
		trusted = g.trusted
	}
	return Neighbourhood(ClientOf(r, trusted))
}

// Methods returns the available ways to log in.
func (g *Gate) Methods() (password bool, issuer string) {
	if g == nil {
		return false, ""
	}
	if g.oidc != nil {
		issuer = g.oidc.cfg.URL
	}
	return g.passwords != nil, issuer
}

// Errors of logins.
var (
	ErrCredentials = errors.New("name or password is wrong")
	ErrNoPasswords = errors.New("this listener has no users with passwords")
	ErrNoIssuer    = errors.New("this listener has no issuer")
)

// TooMany is the error of a login after too many failed logins. If Busy is set, too many logins run at the same time.
type TooMany struct {
	Wait time.Duration
	Busy bool
}

func (e TooMany) Error() string {
	if e.Busy {
		return fmt.Sprintf("too many logins at once: retry in %d s", int(e.Wait.Seconds()))
	}
	return fmt.Sprintf("too many failed logins: retry in %d s", int(e.Wait.Seconds())+1)
}

// cookie is the name of the session cookie.
const cookie = "smartlb-session"

// Identify returns the identity of the sender of a request: by session cookie, by bearer token, by HTTP Basic, or Local
// if no login is required. ok is false for an unknown sender.
func (g *Gate) Identify(r *http.Request) (id Identity, ok bool, err error) {
	if g.Open() {
		return Local(), true, nil
	}
	now := g.now()
	if c, err := r.Cookie(cookie); err == nil {
		if id, ok := g.sessions.of(c.Value, now); ok {
			return id, true, nil
		}
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && g.tokens {
		return g.byToken(bearer, r, now)
	}
	name, password, sent := r.BasicAuth()
	if !sent || g.passwords == nil {
		return Identity{}, false, nil
	}
	if id, err = g.guess(r, name, password, true); err != nil {
		return Identity{}, false, err
	}
	return id, true, nil
}

// guess compares a password. It refuses if there were too many wrong passwords for this name from this address, or from
// this device. Logins with other names or from other addresses are not affected; turns limits the total work of all
// guesses.
//
// The limit is checked again when the turn comes: many concurrent guesses may have arrived before the first was found
// to be wrong. With again, a recently accepted password is not compared.
func (g *Gate) guess(r *http.Request, name, password string, again bool) (Identity, error) {
	if len(name) > nameAndPassword || len(password) > nameAndPassword {
		return Identity{}, ErrCredentials
	}
	address := g.Address(r)
	key := "name " + name + "\x00" + address
	device, marked := g.devices.of(r, name)
	if marked {
		key = "device " + device + "\x00" + name
	}
	known := func() (Identity, error) {
		now := g.now()
		if wait := g.tries.wait(now, key); wait > 0 {
			return Identity{}, TooMany{Wait: wait}
		}
		if !again {
			return Identity{}, nil
		}
		id, _ := g.passwords.recall(name, password, now)
		return id, nil
	}
	if id, err := known(); err != nil || id != (Identity{}) {
		return id, err
	}
	done, err := g.passwords.turns.take(r.Context(), address, marked)
	if err != nil {
		return Identity{}, err
	}
	defer done()
	if id, err := known(); err != nil || id != (Identity{}) {
		return id, err
	}
	id, ok := g.passwords.check(name, password)
	if !ok {
		g.tries.fail(g.now(), key)
		return Identity{}, ErrCredentials
	}
	if again {
		g.passwords.remember(id, password, g.now())
	}
	return id, nil
}

// byToken compares digests: the duration of the comparison reveals nothing about the token.
func (g *Gate) byToken(bearer string, r *http.Request, now time.Time) (Identity, bool, error) {
	key := "token " + g.Address(r)
	if wait := g.tries.wait(now, key); wait > 0 {
		return Identity{}, false, TooMany{Wait: wait}
	}
	sum := sha256.Sum256([]byte(bearer))
	if subtle.ConstantTimeCompare(sum[:], g.token[:]) != 1 {
		g.tries.fail(now, key)
		return Identity{}, false, ErrCredentials
	}
	return Token(), true, nil
}

// Login starts a session with a password.
func (g *Gate) Login(w http.ResponseWriter, r *http.Request, name, password string) (Identity, error) {
	if g.Open() || g.passwords == nil {
		return Identity{}, ErrNoPasswords
	}
	id, err := g.guess(r, name, password, false)
	if err != nil {
		return Identity{User: name}, err
	}
	g.begin(w, id, g.now())
	g.setCookie(w, deviceCookie, g.devices.mark(id.User), deviceLife)
	return id, nil
}

// Logout ends the session of a request, if it has one.
func (g *Gate) Logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil && g != nil {
		g.sessions.end(c.Value)
	}
	g.setCookie(w, cookie, "", -1)
}

// flowCookie binds a login at the issuer to the browser that began it.
const flowCookie = "smartlb-login"

// Redirect sends the browser to the issuer. back is the path in the console to which the browser returns.
func (g *Gate) Redirect(w http.ResponseWriter, r *http.Request, back string) error {
	if g == nil || g.oidc == nil {
		return ErrNoIssuer
	}
	address, sealed, err := g.oidc.begin(r.Context(), localPath(back), g.now())
	if err != nil {
		return err
	}
	g.setCookie(w, flowCookie, sealed, int(flowLife.Seconds()))
	http.Redirect(w, r, address, http.StatusFound)
	return nil
}

// localPath returns back if a browser treats it as a path of this host, otherwise /. Browsers ignore tabs and line ends
// and treat \ as /, so "/\t/host" and "/\host" are the address of another host (WHATWG URL §4.4).
func localPath(back string) string {
	u, err := url.Parse(back)
	plain := strings.IndexFunc(back, func(r rune) bool {
		return r <= ' ' || r == '\\' || unicode.IsControl(r) || r == unicode.ReplacementChar
	}) < 0
	if err != nil || !plain || len(back) > maxBack || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") {
		return "/"
	}
	return back
}

// maxBack limits the length of a console path that is kept in a cookie during a login.
const maxBack = 2 << 10

// Callback handles the parameters with which the issuer sent the browser back. It starts the session and returns the
// path in the console where the browser was.
func (g *Gate) Callback(w http.ResponseWriter, r *http.Request) (id Identity, back string, err error) {
	if g == nil || g.oidc == nil {
		return id, "", ErrNoIssuer
	}
	q := r.URL.Query()
	if reason := q.Get("error"); reason != "" {
		return id, "", fmt.Errorf("the issuer refused: %.200s %.500s", reason, q.Get("error_description"))
	}
	c, err := r.Cookie(flowCookie)
	if err != nil {
		return id, "", errFlow
	}
	f, ok := g.oidc.flows.open(c.Value, q.Get("state"), g.now())
	if !ok {
		return id, "", errFlow
	}
	g.setCookie(w, flowCookie, "", -1)
	ctx, cancel := context.WithTimeout(r.Context(), issuerTimeout)
	defer cancel()
	id, back, err = g.oidc.finish(ctx, f, q.Get("code"))
	if err == nil {
		g.begin(w, id, g.now())
	}
	return id, back, err
}

func (g *Gate) begin(w http.ResponseWriter, id Identity, now time.Time) {
	g.setCookie(w, cookie, g.sessions.begin(id, now), 0)
}

func (g *Gate) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: g != nil && g.secure,
		SameSite: http.SameSiteLaxMode, // the issuer's redirect is a navigation from another site
	})
}
