package access

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientOf is the address of the client that sent r: the peer, or where the
// peer is one of trusted, the last address in X-Forwarded-For that is none of
// them. What is left of that could have been written by the client. The zero
// address stands for a peer without one.
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

// Within reports whether one of the prefixes holds an address.
func Within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Neighbourhood is what an address is counted by: of IPv6 the first 64 bits,
// which is what one customer gets.
func Neighbourhood(a netip.Addr) string {
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits fit an IPv6 address
		return p.Masked().String()
	}
	return a.String()
}
