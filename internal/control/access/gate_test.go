package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// hashOf makes a hash that is cheaper than CheckHash takes: these tests compare thousands.
func hashOf(t testing.TB, password string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// clock is a gate's time, moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newGate(t testing.TB, cfg Config) (*Gate, *clock) {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	g.now = c.now
	return g, c
}

func users(t testing.TB) Config {
	return Config{Users: []User{{"ann", hashOf(t, "correct horse"), Admin}, {"bob", hashOf(t, "battery staple"), Viewer}}}
}

// login gives the cookies of a login.
func login(g *Gate, name, password string) ([]*http.Cookie, error) {
	w := httptest.NewRecorder()
	_, err := g.Login(w, request(), name, password)
	return w.Result().Cookies(), err
}

func request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "/api/v1/node", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func TestWithoutUsersEverybodyIsLocal(t *testing.T) {
	for _, g := range []*Gate{nil, {}} {
		if id, ok, err := g.Identify(request()); !ok || err != nil || id != Local() {
			t.Errorf("%v %v %v", id, ok, err)
		}
	}
}

func TestASessionIsWhoLoggedIn(t *testing.T) {
	g, c := newGate(t, users(t))
	if _, ok, err := g.Identify(request()); ok || err != nil {
		t.Fatalf("a stranger: %v %v", ok, err)
	}
	cookies, err := login(g, "ann", "correct horse")
	if err != nil || len(cookies) != 2 {
		t.Fatal(cookies, err)
	}
	k := cookies[0] // beside the mark of the device
	if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Secure || len(k.Value) < 40 {
		t.Errorf("cookie %v", k)
	}
	want := Identity{"ann", Admin}
	if id, ok, _ := g.Identify(request(k)); !ok || id != want {
		t.Errorf("%v %v", id, ok)
	}
	// It lasts while it is used, and 12 hours at most.
	for range 6 {
		c.add(119 * time.Minute)
		if _, ok, _ := g.Identify(request(k)); !ok {
			t.Fatal("a session in use ended")
		}
	}
	c.add(7 * time.Minute)
	if _, ok, _ := g.Identify(request(k)); ok {
		t.Error("a session of 12 hours goes on")
	}
	cookies, _ = login(g, "bob", "battery staple")
	c.add(sessionIdle + time.Second)
	if _, ok, _ := g.Identify(request(cookies...)); ok {
		t.Error("an idle session goes on")
	}
	cookies, _ = login(g, "bob", "battery staple")
	g.Logout(httptest.NewRecorder(), request(cookies...))
	if _, ok, _ := g.Identify(request(cookies...)); ok {
		t.Error("a session outlives its logout")
	}
}

func TestWrongPasswordsAreRefusedAndSlowedDown(t *testing.T) {
	g, c := newGate(t, users(t))
	for _, p := range [][2]string{{"ann", "wrong"}, {"ann", ""}, {"ann", "battery staple"}, {"eve", "correct horse"}, {"", ""}} {
		if _, err := login(g, p[0], p[1]); !errors.Is(err, ErrCredentials) {
			t.Errorf("%v: %v", p, err)
		}
	}
	for range triesAllowed {
		_, _ = login(g, "ann", "wrong")
	}
	var many TooMany
	if _, err := login(g, "ann", "correct horse"); !errors.As(err, &many) || many.Wait <= 0 || many.Wait > triesWindow {
		t.Fatalf("the right password after many wrong ones: %v", err)
	}
	if _, err := login(g, "bob", "battery staple"); err != nil {
		t.Errorf("another user from that address: %v", err)
	}
	r := request()
	r.RemoteAddr = "198.51.100.7:1"
	if _, err := g.Login(httptest.NewRecorder(), r, "ann", "correct horse"); err != nil {
		t.Errorf("the owner from elsewhere: %v", err)
	}
	c.add(triesWindow + time.Second)
	if _, err := login(g, "ann", "correct horse"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestBasicIsForScripts(t *testing.T) {
	g, c := newGate(t, users(t))
	ask := func(name, password string) (Identity, bool, error) {
		r := request()
		r.SetBasicAuth(name, password)
		return g.Identify(r)
	}
	for range 3 {
		if id, ok, err := ask("bob", "battery staple"); !ok || id.User != "bob" || err != nil {
			t.Fatalf("%v %v %v", id, ok, err)
		}
	}
	if len(g.passwords.known) != 1 {
		t.Errorf("%d logins are remembered", len(g.passwords.known))
	}
	if _, ok, err := ask("bob", "correct horse"); ok || !errors.Is(err, ErrCredentials) {
		t.Errorf("a wrong one: %v %v", ok, err)
	}
	c.add(knownFor + time.Second)
	if _, ok, _ := ask("bob", "battery staple"); !ok {
		t.Error("it is compared again")
	}
}

func TestTablesAreBounded(t *testing.T) {
	s, now := newSessions(), time.Unix(1_800_000_000, 0)
	first := s.begin(Identity{User: "first"}, now)
	for i := range sessionSlots + 10 {
		s.begin(Identity{User: fmt.Sprint(i)}, now.Add(time.Duration(i+1)*time.Millisecond))
	}
	if len(s.table) > sessionSlots {
		t.Errorf("%d sessions", len(s.table))
	}
	if _, ok := s.of(first, now.Add(time.Minute)); ok {
		t.Error("the one that was used longest ago stayed")
	}
	tr := newTries()
	for i := range 2 * triesSlots {
		tr.fail(now, fmt.Sprint(i))
	}
	if len(tr.table) > triesSlots {
		t.Errorf("%d tries", len(tr.table))
	}
}

func TestHashes(t *testing.T) {
	h, err := Hash("long enough")
	if err != nil || CheckHash(h) != nil {
		t.Error(err, CheckHash(h))
	}
	if _, err := Hash("short"); err == nil {
		t.Error("a short password is taken")
	}
	if _, err := Hash(strings.Repeat("x", 73)); err == nil {
		t.Error("a password that bcrypt would cut is taken")
	}
	weak, _ := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	for _, bad := range []string{"", "secret", "$2y$", string(weak)} {
		if CheckHash(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestATokenIsForNodes(t *testing.T) {
	g, _ := newGate(t, Config{Token: "a long secret"})
	if g.Open() {
		t.Error("a gate with a token is open")
	}
	ask := func(header string) (Identity, bool, error) {
		r := request()
		r.Header.Set("Authorization", header)
		return g.Identify(r)
	}
	if id, ok, err := ask("Bearer a long secret"); !ok || err != nil || id.Role != Admin {
		t.Errorf("%v %v %v", id, ok, err)
	}
	for _, wrong := range []string{"", "Bearer ", "Bearer a long secre", "Bearer a long secret ", "Basic a long secret", "a long secret"} {
		if _, ok, _ := ask(wrong); ok {
			t.Errorf("%q is taken", wrong)
		}
	}
	for range triesAllowed {
		_, _, _ = ask("Bearer guess")
	}
	if _, ok, err := ask("Bearer a long secret"); ok || !errors.As(err, new(TooMany)) {
		t.Errorf("after many guesses: %v %v", ok, err)
	}
	without, _ := newGate(t, users(t))
	r := request()
	r.Header.Set("Authorization", "Bearer ")
	if _, ok, _ := without.Identify(r); ok {
		t.Error("no token is an empty token")
	}
}

// Guesses that are sent at once have all come before the first of them is found
// to be wrong; a turn is not taken for those who have left.
func TestManyGuessesAtOnceAreStillTooMany(t *testing.T) {
	cfg := users(t)
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate(t, cfg)
		for range turnsOpen {
			g.passwords.turns.open <- struct{}{}
		}
		const guesses = 3 * triesAllowed
		errs := make(chan error, guesses+1)
		for range guesses {
			go func() { _, err := login(g, "ann", "wrong"); errs <- err }()
		}
		left := make(chan error)
		gone, leave := context.WithCancel(t.Context())
		go func() {
			r := request().WithContext(gone)
			r.RemoteAddr = "198.51.100.7:1"
			_, err := g.Login(httptest.NewRecorder(), r, "bob", "battery staple")
			left <- err
		}()
		synctest.Wait() // some of them wait for their turn, the others were turned away
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who has left: %v", err)
		}
		for range turnsOpen {
			<-g.passwords.turns.open
		}
		compared := 0
		for range guesses {
			var many TooMany
			switch err := <-errs; {
			case errors.Is(err, ErrCredentials):
				compared++
			case !errors.As(err, &many):
				t.Error(err)
			}
		}
		if most := triesAllowed + turnsOpen - 1; compared > most {
			t.Errorf("%d passwords were compared, %d are allowed", compared, most)
		}
	})
}
