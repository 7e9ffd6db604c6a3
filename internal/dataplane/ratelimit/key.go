package ratelimit

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/router"
)

// Request is the part of a request that chooses a bucket.
type Request struct {
	Head   router.Head
	Client netip.Addr // unmapped
}

// Kind is the source of a key.
type Kind uint8

// The kinds.
const (
	Whole  Kind = iota // one bucket for all requests
	Client             // address of the client, an IPv6 address by its /64 network
	Header
	Cookie
)

// By says which requests share a bucket. A request without the header or cookie, or with an empty one, shares the bucket of
// its client's address.
type By struct {
	Kind Kind
	Name string // of the header or cookie
}

// ParseBy reads client, header:NAME or cookie:NAME; an empty text is Whole. It does not check the characters of a name.
func ParseBy(text string) (By, error) {
	kind, name, named := strings.Cut(text, ":")
	switch {
	case text == "":
		return By{}, nil
	case text == "client":
		return By{Kind: Client}, nil
	case kind == "header" && named && name != "":
		return By{Kind: Header, Name: name}, nil
	case kind == "cookie" && named && name != "":
		return By{Kind: Cookie, Name: name}, nil
	}
	return By{}, fmt.Errorf("%q: %w", text, errBy)
}

var errBy = errors.New("want client, header:NAME or cookie:NAME")

// hasher makes keys. The seeds are secret, so no client can choose values with the same key, nor a value with the key of an
// address.
type hasher struct{ values, clients maphash.Seed }

func newHasher() hasher { return hasher{maphash.MakeSeed(), maphash.MakeSeed()} }

// key returns the key of a request, never 0.
func (h *hasher) key(by By, r Request) uint64 {
	var value []byte
	switch by.Kind {
	case Header:
		value, _ = r.Head.Header(by.Name)
	case Cookie:
		value, _ = r.Head.Cookie(by.Name)
	}
	sum := uint64(0)
	if len(value) > 0 {
		sum = maphash.Bytes(h.values, value)
	} else {
		sum = h.client(r.Client)
	}
	return max(sum, 1)
}

// client returns the key of an address. A host of IPv6 can use every address of its /64 network.
func (h *hasher) client(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return maphash.Bytes(h.clients, b[:])
	}
	b := a.As16()
	return maphash.Bytes(h.clients, b[:8])
}
