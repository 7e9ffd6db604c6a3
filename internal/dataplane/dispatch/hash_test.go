package dispatch

import (
	"net/netip"
	"testing"
)

// keyed is a request with one value for each kind of key.
type keyed struct {
	head
	header, cookie, query string
	present               bool
}

func (k keyed) Query() []byte { return []byte(k.query) }
func (k keyed) Header(n string) ([]byte, bool) {
	return []byte(k.header), k.present && n == "X-User"
}
func (k keyed) Cookie(n string) ([]byte, bool) { return []byte(k.cookie), k.present && n == "user" }

func TestTheHashKeyIsThatOfTheRoute(t *testing.T) {
	one := keyed{head{"GET", "/a"}, "ann", "ann", "x=1&q=ann", true}
	two := keyed{head{"GET", "/b"}, "bob", "bob", "q=bob", true}
	client, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, on := range []HashOn{{HashPath, ""}, {HashHeader, "X-User"}, {HashCookie, "user"}, {HashQuery, "q"}} {
		if hashKey(on, client, one) != hashKey(on, other, one) {
			t.Errorf("%v: the client's address changes the key", on)
		}
		if hashKey(on, client, one) == hashKey(on, client, two) {
			t.Errorf("%v: two values have the same key", on)
		}
	}
	bare := keyed{head: head{"GET", "/a"}}
	for _, on := range []HashOn{{HashClient, ""}, {HashHeader, "X-User"}, {HashCookie, "user"}, {HashQuery, "q"}} {
		if a, b := hashKey(on, client, bare), hashKey(on, other, bare); a == b || a != hashKey(HashOn{}, client, bare) {
			t.Errorf("%v without its value: the client's address is not the key", on)
		}
	}
}
