package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Bounds are those of an answer.
type Bounds struct {
	Most  int                       // instances
	Allow []netip.Prefix            // nil: all but special addresses
	Own   func(address string) bool // reports whether an address is a listener of this node; nil: none is
}

// Check returns an error that names the first instance which must not be used. The whole answer is refused then.
func Check(found []config.Instance, b Bounds) error {
	if len(found) > b.Most {
		return fmt.Errorf("%d targets are more than maxInstances, which is %d", len(found), b.Most)
	}
	ids, addresses := make(map[string]string, len(found)), make(map[string]bool, len(found))
	for _, in := range found {
		if err := in.Check(); err != nil {
			return fmt.Errorf("target %.80q: %w", in.Address, err)
		}
		if err := b.address(in.Address); err != nil {
			return fmt.Errorf("target %.80q: %w", in.Address, err)
		}
		same := config.SameAddress(in.Address)
		if addresses[same] {
			return fmt.Errorf("target %.80q: is in the list twice", in.Address)
		}
		if other, twice := ids[in.ID]; twice {
			return fmt.Errorf("target %.80q: the id %q is that of the target %.80q already", in.Address, in.ID, other)
		}
		ids[in.ID], addresses[same] = in.Address, true
	}
	return nil
}

func (b Bounds) address(address string) error {
	if upstream.IsUnix(address) {
		return fmt.Errorf("want host:port; only instances of the document may have Unix sockets")
	}
	if b.Own != nil && b.Own(address) {
		return fmt.Errorf("is a listener of this node")
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err // not after Instance.Check
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil && b.Allow != nil:
		return fmt.Errorf("is a host name, and allow wants addresses")
	case err != nil:
		if name := strings.TrimSuffix(strings.ToLower(host), "."); name == "localhost" || strings.HasSuffix(name, ".localhost") {
			return special("a name of this machine")
		} else if last := name[strings.LastIndexByte(name, '.')+1:]; last != "" && last[0] >= '0' && last[0] <= '9' {
			return fmt.Errorf("is neither an address nor a host name") // some resolvers read 127.1 and 2130706433 as addresses
		}
		return nil
	}
	ip = ip.Unmap().WithZone("")
	if b.Allow != nil {
		if !slices.ContainsFunc(b.Allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return fmt.Errorf("is in no network of allow")
		}
		return nil
	}
	switch {
	case ip.IsLoopback():
		return special("an address of this machine")
	case ip.IsLinkLocalUnicast():
		return special("a link-local address")
	case ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return special("an address of many machines")
	case ip.IsUnspecified():
		return special("no address of a machine")
	}
	return nil
}

func special(what string) error {
	return fmt.Errorf("is %s; name its network in services[].discovery.allow to use it", what)
}
