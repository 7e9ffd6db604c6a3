package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Peer is an entry of admin.peers: it says which addresses receive the node's admin token. A host is compared as text.
// A network matches addresses only, because DNS decides which host a name stands for.
type Peer struct {
	host string // lower case; empty for a network
	port string // empty: any
	net  netip.Prefix
	text string
}

// UnmarshalText reads HOST, HOST:PORT or a network such as 10.0.0.0/8.
func (p *Peer) UnmarshalText(text []byte) error {
	s := string(text)
	*p = Peer{text: s}
	if strings.Contains(s, "/") {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			return errors.New("want HOST, HOST:PORT or a network such as 10.0.0.0/8")
		}
		p.net = prefix.Masked()
		return nil
	}
	host, port := s, ""
	if h, n, err := net.SplitHostPort(s); err == nil {
		host, port = h, n
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "" || strings.ContainsAny(host, " *@\t\r\n?#") || (strings.Contains(host, ":") && net.ParseIP(host) == nil) {
		return errors.New("want HOST, HOST:PORT or a network such as 10.0.0.0/8")
	}
	p.host, p.port = host, port
	return nil
}

// MarshalText returns the entry as it was written.
func (p Peer) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// Covers reports whether the entry includes the address of a URL.
func (p Peer) Covers(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if p.net.IsValid() {
		ip, err := netip.ParseAddr(host)
		return err == nil && p.net.Contains(ip.Unmap())
	}
	return p.host != "" && p.host == host && (p.port == "" || p.port == u.Port())
}

func (p Peer) String() string { return fmt.Sprint(p.text) }
