package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// takePair puts the certificate of pair i to use.
func (s *Set) takePair(p *part, i int) error {
	cert, err := readPair(s.cfg.Pairs[i])
	if err != nil {
		return err
	}
	s.certs[i] = cert
	s.index.Store(indexOf(s.cfg.Awaited, s.certs))
	p.begins, p.expires = cert.Leaf.NotBefore, cert.Leaf.NotAfter
	s.warnPair(s.cfg.Pairs[i], cert.Leaf)
	return nil
}

func readPair(p Pair) (*tls.Certificate, error) {
	var text [2][]byte
	for i, path := range []string{p.Cert, p.Key} {
		var err error
		if text[i], _, err = readFile(path); err != nil {
			return nil, err
		}
		if _, err := blocks(path, text[i]); err != nil {
			return nil, err
		}
	}
	cert, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return nil, fmt.Errorf("%s with key %s: %s", p.Cert, p.Key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &cert, nil
}

func (s *Set) warnPair(p Pair, leaf *x509.Certificate) {
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		s.cfg.Log.Warn("a certificate has expired; clients refuse it", "cert", p.Cert, "expired", leaf.NotAfter)
	case now.Before(leaf.NotBefore):
		s.cfg.Log.Warn("a certificate is not valid yet; clients refuse it", "cert", p.Cert, "from", leaf.NotBefore)
	}
	if len(names(leaf)) == 0 {
		s.cfg.Log.Warn("a certificate has no names; clients refuse it", "cert", p.Cert)
	}
}

// names returns the names for which a certificate is valid. The common name is not one: no client accepts it.
func names(c *x509.Certificate) []string {
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}
