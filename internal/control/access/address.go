package access

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientOf returns the address of the client that sent r. This is the peer, or, if the peer is in trusted, the last
// address in X-Forwarded-For that is not in trusted. The client could have written the addresses to the left of it. The
// result is the zero address if the peer has no address.
func ClientOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plain(peer.Addr())
	if !Within(trusted, client) {
		return client
	}
	chain := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for chain != "" {
		item := chain
		if comma := strings.LastIndexByte(chain, ','); comma >= 0 {
			item, chain = chain[comma+1:], chain[:comma]
		} else {
			chain = ""
		}
		a, err := netip.ParseAddr(strings.TrimSpace(item))
		if err != nil {
			return client
		}
		if client = plain(a); !Within(trusted, client) {
			return client
		}
	}
	return client
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Within reports whether one of the prefixes contains an address.
func Within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Neighbourhood returns the key under which an address is counted. For IPv6 this is the first 64 bits, which is the
// network of one customer.
func Neighbourhood(a netip.Addr) string {
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits fit an IPv6 address
		return p.Masked().String()
	}
	return a.String()
}
