package action

import "net/netip"

// Networks says which clients may use a route. A nil *Networks admits all.
type Networks struct {
	Deny  []netip.Prefix // these may not
	Allow []netip.Prefix // of the others, only these may; empty: all
}

// Admits reports whether a client, whose address is unmapped, may use the route.
func (n *Networks) Admits(client netip.Addr) bool {
	if n == nil {
		return true
	}
	return !contains(n.Deny, client) && (len(n.Allow) == 0 || contains(n.Allow, client))
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
