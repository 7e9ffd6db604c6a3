package action

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func TestNetworksAdmitClients(t *testing.T) {
	p := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for _, row := range []struct {
		n      *Networks
		client string
		want   bool
	}{
		{nil, "192.0.2.1", true},
		{&Networks{Allow: p("192.0.2.0/24", "2001:db8::/32")}, "192.0.2.1", true},
		{&Networks{Allow: p("192.0.2.0/24", "2001:db8::/32")}, "2001:db8::1", true},
		{&Networks{Allow: p("192.0.2.0/24")}, "198.51.100.1", false},
		{&Networks{Deny: p("192.0.2.0/24")}, "192.0.2.1", false},
		{&Networks{Deny: p("192.0.2.0/24")}, "198.51.100.1", true},
		{&Networks{Allow: p("192.0.2.0/24"), Deny: p("192.0.2.7/32")}, "192.0.2.7", false},
		{&Networks{Allow: p("192.0.2.0/24"), Deny: p("192.0.2.7/32")}, "192.0.2.8", true},
	} {
		if got := row.n.Admits(netip.MustParseAddr(row.client)); got != row.want {
			t.Errorf("%+v admits %s: %v", row.n, row.client, got)
		}
	}
	if (&Networks{Allow: p("0.0.0.0/0")}).Admits(netip.Addr{}) { // of a Unix socket
		t.Error("a client without an address is admitted")
	}
}

func hashed(t *testing.T, password string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func basic(name, password string) []byte {
	return []byte("Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

func TestPasswordsAreCompared(t *testing.T) {
	b, err := NewBasic("a realm", map[string]string{"ann": hashed(t, "correct:horse"), "bob": hashed(t, strings.Repeat("x", 72))}, NewPasswords())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // also those that are remembered
		for _, row := range []struct {
			why, value string
			user       string
		}{
			{"right", string(basic("ann", "correct:horse")), "ann"},
			{"another case of the scheme", "bAsIc  " + string(basic("ann", "correct:horse"))[6:], "ann"},
			{"long", string(basic("bob", strings.Repeat("x", 72))), "bob"},
			{"too long, of which bcrypt would use 72 bytes", string(basic("bob", strings.Repeat("x", 73))), ""},
			{"wrong", string(basic("ann", "wrong")), ""},
			{"empty", string(basic("ann", "")), ""},
			{"of another user", string(basic("bob", "correct:horse")), ""},
			{"of nobody, that is right for the name with the dearest hash", string(basic("eve", "correct:horse")), ""},
			{"of nobody", string(basic("", "")), ""},
			{"nothing", "", ""},
			{"no blank", "Basic", ""},
			{"another scheme", "Bearer " + string(basic("ann", "correct:horse"))[6:], ""},
			{"no base64", "Basic ann:correct:horse", ""},
			{"no colon", "Basic " + base64.StdEncoding.EncodeToString([]byte("ann")), ""},
			{"huge", "Basic " + strings.Repeat("QUFB", 10_000), ""},
		} {
			user, r := b.Check([]byte(row.value), 1)
			if user != row.user || (r == LoginGood) != (row.user != "") || r == LoginBusy {
				t.Errorf("%s: %q, %v", row.why, user, r)
			}
		}
	}
	if _, lower := b.Challenge.Name(0); lower != "www-authenticate" {
		t.Error(lower)
	}
	if got := string(b.Challenge.AppendLine(0, nil, &Values{})); got != "WWW-Authenticate: Basic realm=\"a realm\", charset=\"UTF-8\"\r\n" {
		t.Error(got)
	}
}

// A right password is remembered for a while, by its hash: a changed hash ends that at once.
func TestRightPasswordsAreRemembered(t *testing.T) {
	p := NewPasswords()
	b, err := NewBasic("r", map[string]string{"ann": hashed(t, "one")}, p)
	if err != nil {
		t.Fatal(err)
	}
	value := basic("ann", "one")
	if _, r := b.Check(value, 1); r != LoginGood {
		t.Fatal(r)
	}
	for range cap(p.slots) { // nothing can be compared
		p.slots <- struct{}{}
	}
	if n := testing.AllocsPerRun(10, func() {
		if _, r := b.Check(value, int64(knownFor)); r != LoginGood {
			t.Fatal(r)
		}
	}); n > 2 { // the hash and the name
		t.Errorf("%v allocations", n)
	}
	if _, r := b.Check(value, 1+int64(knownFor)); r != LoginBusy {
		t.Errorf("after the time: %v", r)
	}
	if _, r := b.Check(basic("ann", "two"), 1); r != LoginBusy {
		t.Errorf("a wrong password: %v", r)
	}
	changed, _ := NewBasic("r", map[string]string{"ann": hashed(t, "two")}, p)
	if _, r := changed.Check(value, 1); r != LoginBusy {
		t.Errorf("after the change of the password: %v", r)
	}
	for i := range knownSlots + 10 {
		p.remember([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, 1)
	}
	if len(p.known) > knownSlots {
		t.Errorf("%d passwords are remembered", len(p.known))
	}
}

// At most as many passwords as there are slots are compared at the same time, and all that wait for less than the limit get
// their turn.
func TestManyPasswordsAtOnce(t *testing.T) {
	b, err := NewBasic("r", map[string]string{"ann": hashed(t, "one")}, NewPasswords())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if i%2 == 0 {
				if user, r := b.Check(basic("ann", "one"), 1); user != "ann" && r != LoginBusy {
					t.Errorf("%q %v", user, r)
				}
			} else if user, r := b.Check(basic("ann", "wrong"), 1); user != "" || r == LoginGood {
				t.Errorf("%q %v", user, r)
			}
		})
	}
	wg.Wait()
}

func TestCORSAllowsOrigins(t *testing.T) {
	for _, row := range []struct {
		allowed, origin string
		want            bool
	}{
		{"*", "https://evil.example", true},
		{"*", "", false},
		{"https://app.example.com", "https://app.example.com", true},
		{"https://App.example.com", "HTTPS://app.EXAMPLE.com", true},
		{"https://app.example.com", "http://app.example.com", false},
		{"https://app.example.com", "https://app.example.com:8443", false},
		{"https://app.example.com", "https://app.example.com.evil.example", false},
		{"https://app.example.com", "null", false},
		{"https://*.example.com", "https://a.example.com", true},
		{"https://*.example.com", "https://a.b.example.com", true},
		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://.example.com", false},
		{"https://*.example.com", "https://evilexample.com", false},
		{"https://*.example.com", "http://a.example.com", false},
		{"https://*.example.com", "https://evil.example/.example.com", false},
		{"https://*.example.com", "https://evil.example#.example.com", false},
		{"https://*.example.com", "https://u@x.example.com", false},
		{"https://*.example.com:8443", "https://a.example.com:8443", true},
		{"https://*.example.com:8443", "https://a.example.com", false},
	} {
		c, _, _, err := NewCORS(CORSSettings{Origins: []string{"https://other.example", row.allowed}})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Allows([]byte(row.origin)); got != row.want {
			t.Errorf("%s allows %s: %v", row.allowed, row.origin, got)
		}
	}
	var none *CORS
	if none.Allows([]byte("https://a.example")) || none.IsPreflight([]byte("OPTIONS"), func(string) ([]byte, bool) { return nil, true }) {
		t.Error("a route without CORS")
	}
}

func TestCORSWritesItsFields(t *testing.T) {
	lines := func(h *Headers, origin string) string {
		var b []byte
		for i := range h.Len() {
			b = h.AppendLine(i, b, &Values{Origin: []byte(origin)})
		}
		return strings.ReplaceAll(string(b), "\r\n", "|")
	}
	s := CORSSettings{Origins: []string{"https://a.example"}, Methods: []string{"GET", "PUT"}, Headers: []string{"X-A", "X-B"}, Expose: []string{"X-C"}, Credentials: true, MaxAge: time.Minute}
	c, all, remove, err := NewCORS(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(c.Preflight, ""); got != "Access-Control-Allow-Methods: GET, PUT|Access-Control-Max-Age: 60|Access-Control-Allow-Headers: X-A, X-B|" {
		t.Error(got)
	}
	h, err := NewHeaders(all, remove)
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(h, "https://a.example"); got != "Access-Control-Allow-Origin: https://a.example|Vary: Origin|Access-Control-Allow-Credentials: true|Access-Control-Expose-Headers: X-C|" {
		t.Error(got)
	}
	if got := lines(h, ""); strings.Contains(got, "Allow-Origin") || !strings.Contains(got, "Vary: Origin") {
		t.Errorf("for another origin: %s", got)
	}
	for _, name := range corsFields {
		if !h.Drops(strings.ToLower(name)) {
			t.Errorf("an instance can write %s", name)
		}
	}
	_, all, _, _ = NewCORS(CORSSettings{Origins: []string{"*"}, Methods: []string{"GET"}})
	h, _ = NewHeaders(all, nil)
	if got := lines(h, "https://a.example"); got != "Access-Control-Allow-Origin: *|" {
		t.Error(got)
	}
	get := http.Header{"Origin": {"x"}, "Access-Control-Request-Method": {"PUT"}}
	for method, want := range map[string]bool{"OPTIONS": true, "GET": false, "options": false} {
		if got := c.IsPreflight([]byte(method), func(n string) ([]byte, bool) { return nil, get.Get(n) != "" }); got != want {
			t.Errorf("%s: %v", method, got)
		}
	}
	get.Del("Origin")
	if c.IsPreflight([]byte("OPTIONS"), func(n string) ([]byte, bool) { return nil, get.Get(n) != "" }) {
		t.Error("a preflight without an origin")
	}
}

// What a document must not name.
func TestTheOriginIsNoVariable(t *testing.T) {
	for _, s := range []string{"${allowedOrigin}", "${origin}"} {
		if _, err := ParseTemplate(s); err == nil {
			t.Errorf("%s is a variable", s)
		}
	}
}
