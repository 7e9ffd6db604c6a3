package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// takeAuthorities puts the authorities of clients to use. Go verifies the certificate of a resumed session against the
// authorities of that moment, so a session does not outlive its authority (tested by
// TestAResumedSessionIsVerifiedAgain).
func (s *Set) takeAuthorities(p *part) error {
	all, err := readAuthorities(s.cfg.ClientCA, time.Now())
	if err != nil {
		return err
	}
	pool, now := x509.NewCertPool(), time.Now()
	p.begins, p.expires = time.Time{}, time.Time{}
	for _, c := range all {
		if now.After(c.NotAfter) {
			s.cfg.Log.Warn("the certificate of an authority of clients has expired; its clients are refused", "file", s.cfg.ClientCA, "subject", Subject(c), "expired", c.NotAfter)
			continue
		}
		pool.AddCert(c)
		p.note(c)
	}
	s.clients.Store(&tls.Config{
		MinVersion: s.cfg.MinVersion, NextProtos: s.cfg.Protocols, GetCertificate: s.choose,
		ClientAuth: s.cfg.ClientAuth, ClientCAs: pool,
	})
	return nil
}

// Roots reads the certificates of authorities in a PEM file of at most 1 MiB. The error names the file.
func Roots(path string) (*x509.CertPool, error) {
	all, err := readAuthorities(path, time.Now())
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, a := range all {
		pool.AddCert(a)
	}
	return pool, nil
}

// readAuthorities reads a file of PEM certificates of authorities, of which at least one is valid at now.
func readAuthorities(path string, now time.Time) ([]*x509.Certificate, error) {
	text, _, err := readFile(path)
	if err != nil {
		return nil, err
	}
	all, err := blocks(path, text)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	var last time.Time
	for i, b := range all {
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: block %d is of the type %q: want certificates of authorities only", path, i+1, b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: block %d: %w", path, i+1, err)
		}
		if c.BasicConstraintsValid && !c.IsCA || c.Version == 3 && !c.BasicConstraintsValid {
			return nil, fmt.Errorf("%s: block %d (%s) is not the certificate of an authority", path, i+1, Subject(c))
		}
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
		out = append(out, c)
	}
	if now.After(last) {
		return nil, fmt.Errorf("%s: the certificates of all authorities have expired, the last on %s", path, last.UTC().Format(time.RFC3339))
	}
	return out, nil
}

// note remembers the time of the certificate that expires first.
func (p *part) note(c *x509.Certificate) {
	if p.expires.IsZero() || c.NotAfter.Before(p.expires) {
		p.begins, p.expires = c.NotBefore, c.NotAfter
	}
}
