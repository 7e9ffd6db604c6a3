package certs

import (
	"crypto/tls"
	"strings"
)

// index finds certificates by name. It is immutable.
type index struct {
	exact   map[string][]*tls.Certificate
	wild    map[string][]*tls.Certificate // by what follows the "*."
	all     []*tls.Certificate
	awaited map[string]bool // names whose certificate this process obtains
}

func indexOf(awaited []Awaited, certs []*tls.Certificate) *index {
	x := &index{exact: map[string][]*tls.Certificate{}, wild: map[string][]*tls.Certificate{}, awaited: map[string]bool{}}
	for _, a := range awaited {
		x.awaited[a.Name] = true
	}
	for _, c := range certs {
		if c == nil {
			continue // not read yet
		}
		x.all = append(x.all, c)
		for _, name := range c.Leaf.DNSNames {
			name = strings.ToLower(name)
			if rest, wild := strings.CutPrefix(name, "*."); wild {
				x.wild[rest] = append(x.wild[rest], c)
			} else {
				x.exact[name] = append(x.exact[name], c)
			}
		}
	}
	return x
}

// choose returns the certificate for a client: one for the name that it asks for, exactly or by a wildcard; among
// several, such as one of RSA and one of P-256, the first one that it can use. A client that asks for no known name gets
// the first certificate that it can use. A client that asks for a name whose certificate is still awaited gets none:
// crypto/tls then refuses it with the alert unrecognized_name, which is clearer than a certificate of another name.
func (s *Set) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	x := s.index.Load()
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, rest, _ := strings.Cut(name, ".")
	for _, among := range [][]*tls.Certificate{x.exact[name], x.wild[rest]} {
		if c := usable(hello, among); c != nil {
			return c, nil
		}
	}
	if len(x.all) == 0 || x.awaited[name] && len(x.exact[name]) == 0 {
		return nil, nil
	}
	if c := usable(hello, x.all); c != nil {
		return c, nil
	}
	return x.all[0], nil
}

// usable returns the first certificate whose key and signature the client supports.
func usable(hello *tls.ClientHelloInfo, among []*tls.Certificate) *tls.Certificate {
	anyName := *hello
	anyName.ServerName = "" // the name was compared before
	for _, c := range among {
		if anyName.SupportsCertificate(c) == nil {
			return c
		}
	}
	return nil
}
