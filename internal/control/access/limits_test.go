package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

// from sends a login from an address, with what a proxy and a browser add.
func from(g *Gate, address, forwarded, name, password string, cookies ...*http.Cookie) ([]*http.Cookie, error) {
	r := request(cookies...)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 1234).String()
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	w := httptest.NewRecorder()
	_, err := g.Login(w, r, name, password)
	return w.Result().Cookies(), err
}

// Ten wrong passwords for a name kept its owner out for a minute, from wherever
// they came; behind a proxy with TLS ten wrong ones kept everybody out.
func TestNobodyLocksTheOwnerOut(t *testing.T) {
	const evil, owner, tlsProxy = "203.0.113.9", "198.51.100.7", "10.0.0.1"
	cfg := users(t)
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	locked := func(err error) bool { return errors.As(err, new(TooMany)) }

	t.Run("from another address", func(t *testing.T) {
		g, _ := newGate(t, cfg)
		for range 2 * triesAllowed {
			_, _ = from(g, evil, "", "ann", "wrong")
		}
		if _, err := from(g, evil, "", "ann", "correct horse"); !locked(err) {
			t.Errorf("who guessed: %v", err)
		}
		if _, err := from(g, owner, "", "ann", "correct horse"); err != nil {
			t.Errorf("the owner: %v", err)
		}
	})
	t.Run("through the same trusted proxy", func(t *testing.T) {
		g, _ := newGate(t, cfg)
		for range 2 * triesAllowed {
			_, _ = from(g, tlsProxy, evil, "ann", "wrong")
		}
		if _, err := from(g, tlsProxy, "192.0.2.77, "+evil, "ann", "correct horse"); !locked(err) {
			t.Errorf("who guessed, with an invented address before its own: %v", err)
		}
		if _, err := from(g, tlsProxy, owner, "ann", "correct horse"); err != nil {
			t.Errorf("the owner: %v", err)
		}
	})
	t.Run("from a peer that is not trusted the header says nothing", func(t *testing.T) {
		g, _ := newGate(t, cfg)
		for i := range 2 * triesAllowed {
			_, _ = from(g, evil, fmt.Sprintf("192.0.2.%d", i), "ann", "wrong")
		}
		if _, err := from(g, evil, "192.0.2.200", "ann", "correct horse"); !locked(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("from the same address, in a browser that logged in before", func(t *testing.T) {
		g, _ := newGate(t, cfg)
		cookies, err := from(g, owner, "", "ann", "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * triesAllowed {
			_, _ = from(g, owner, "", "ann", "wrong")
		}
		if _, err := from(g, owner, "", "ann", "correct horse"); !locked(err) {
			t.Errorf("another browser: %v", err)
		}
		if _, err := from(g, owner, "", "ann", "correct horse", cookies[1]); err != nil {
			t.Errorf("the owner's browser: %v", err)
		}
		for range triesAllowed {
			_, _ = from(g, owner, "", "bob", "wrong", cookies[1])
		}
		if _, err := from(g, owner, "", "bob", "battery staple", cookies[1]); !locked(err) {
			t.Errorf("the mark of one user counts for another: %v", err)
		}
		for range triesAllowed {
			_, _ = from(g, owner, "", "ann", "wrong", cookies[1])
		}
		if _, err := from(g, evil, "", "ann", "correct horse", cookies[1]); !locked(err) {
			t.Errorf("a stolen mark guesses without an end: %v", err)
		}
	})
	t.Run("one customer's IPv6 addresses are one", func(t *testing.T) {
		g, _ := newGate(t, cfg)
		for i := range 2 * triesAllowed {
			_, _ = from(g, fmt.Sprintf("2001:db8:1:2::%x", i+1), "", "ann", "wrong")
		}
		if _, err := from(g, "2001:db8:1:2:ffff::1", "", "ann", "correct horse"); !locked(err) {
			t.Errorf("%v", err)
		}
		if _, err := from(g, "2001:db8:1:3::1", "", "ann", "correct horse"); err != nil {
			t.Errorf("the neighbour: %v", err)
		}
	})
	t.Run("names that are too long cost nothing", func(t *testing.T) {
		g, _ := newGate(t, cfg)
		for i := range 50 {
			if _, err := from(g, evil, "", strings.Repeat("x", 1000+i), "wrong"); !errors.Is(err, ErrCredentials) {
				t.Errorf("%v", err)
			}
		}
		if len(g.tries.table) != 0 {
			t.Errorf("%d are kept", len(g.tries.table))
		}
	})
}

// A flood of guesses waits for its turn beside others, not before them.
func TestAFloodFromOneAddressLeavesTurnsToOthers(t *testing.T) {
	cfg := users(t)
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGate(t, cfg)
		cookies, err := from(g, "198.51.100.7", "", "ann", "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		for range turnsOpen { // as if they were being compared
			g.passwords.turns.open <- struct{}{}
		}
		answers := make(chan error, 3000)
		for i := range 1000 {
			go func() { _, err := from(g, "203.0.113.9", "", fmt.Sprint("name", i), "wrong"); answers <- err }()
		}
		synctest.Wait()
		for range 1000 - waitingAddress {
			var many TooMany
			if err := <-answers; !errors.As(err, &many) || !many.Busy || many.Wait <= 0 {
				t.Fatalf("%v", err)
			}
		}
		other := make(chan error, 1)
		go func() { _, err := from(g, "192.0.2.1", "", "bob", "battery staple"); other <- err }()
		synctest.Wait()
		if len(other) != 0 {
			t.Errorf("another address is turned away: %v", <-other)
		}
		// From everywhere: they fill the queue, and known browsers have a turn of their own.
		for i := range 1000 {
			go func() {
				_, err := from(g, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "", "eve", "wrong")
				answers <- err
			}()
		}
		synctest.Wait()
		if g.passwords.turns.total > waitingTotal {
			t.Errorf("%d wait", g.passwords.turns.total)
		}
		if _, err := from(g, "198.51.100.7", "", "ann", "correct horse", cookies[1]); err != nil {
			t.Errorf("the owner's browser: %v", err)
		}
		for range turnsOpen {
			<-g.passwords.turns.open
		}
		if err := <-other; err != nil {
			t.Errorf("the other: %v", err)
		}
		synctest.Wait()
		if t := g.passwords.turns; t.total != 0 || len(t.waiting) != 0 {
			panic(fmt.Sprint("turns are lost: ", t.total, t.waiting))
		}
	})
}

// A thousand logins that strangers begin at the issuer ended all others.
func TestLoginsThatStrangersBeginEndNobodyElses(t *testing.T) {
	i := newIssuer(t)
	i.claims = map[string]any{"email": "ann", "groups": "dev"}
	g := oidcGate(t, i, nil)
	r, err := i.login(g, "/")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * usedSlots / 10 {
		if err := g.Redirect(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), "/"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := g.Callback(httptest.NewRecorder(), r); err != nil {
		t.Errorf("the login that was begun first: %v", err)
	}
}

func TestSealedFlowsAreTakenOnceAndAsTheyWere(t *testing.T) {
	_, c := newGate(t, Config{})
	f := newFlows()
	sealed, err := f.seal(flow{State: "s", Back: "/", Began: c.now()})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newFlows().seal(flow{State: "s", Back: "//evil.example", Began: c.now()})
	for why, bad := range map[string]string{"none": "", "another key": other, "changed": "x" + sealed, "cut": sealed[:len(sealed)-1], "no sum": strings.Split(sealed, ".")[0]} {
		if _, ok := f.open(bad, "s", c.now()); ok {
			t.Errorf("%s: taken", why)
		}
	}
	if _, ok := f.open(sealed, "t", c.now()); ok {
		t.Error("for another state")
	}
	if _, ok := f.open(sealed, "s", c.now().Add(flowLife+1)); ok {
		t.Error("too late")
	}
	if x, ok := f.open(sealed, "s", c.now()); !ok || x.Back != "/" {
		t.Error("not taken")
	}
	if _, ok := f.open(sealed, "s", c.now()); ok {
		t.Error("taken twice")
	}
	for i := range usedSlots {
		f.used[fmt.Sprint("earlier ", i)] = c.now()
	}
	for i := range 20 {
		sealed, _ := f.seal(flow{State: fmt.Sprint(i), Began: c.now()})
		if _, ok := f.open(sealed, fmt.Sprint(i), c.now()); !ok {
			t.Errorf("flow %d is not taken when the memory of used ones is full", i)
		}
	}
	if len(f.used) > usedSlots {
		t.Errorf("%d are kept", len(f.used))
	}
}

func FuzzClientOf(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.9, 10.0.0.2")
	f.Add("[::1]:1", ",,,")
	f.Add("x", "")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := request()
		r.RemoteAddr = peer
		r.Header["X-Forwarded-For"] = []string{forwarded}
		got := ClientOf(r, trusted)
		direct := ClientOf(&http.Request{RemoteAddr: peer}, nil)
		if got != direct && !Within(trusted, direct) {
			t.Errorf("%q from %q is %v", forwarded, peer, got)
		}
		_ = Neighbourhood(got)
	})
}
