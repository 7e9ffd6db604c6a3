package certs

import (
	"crypto/tls"
	"errors"
	"io/fs"
)

// takeAwaited puts the certificate of cfg.Awaited[i] to use. No file is no error until there was one.
func (s *Set) takeAwaited(p *part, i int) error {
	at := len(s.cfg.Pairs) + i
	cert, err := s.cfg.Awaited[i].Read()
	if errors.Is(err, fs.ErrNotExist) && s.certs[at] == nil {
		return nil
	}
	if err != nil {
		return err
	}
	s.certs[at] = cert
	s.index.Store(indexOf(s.cfg.Awaited, s.certs))
	p.begins, p.expires = cert.Leaf.NotBefore, cert.Leaf.NotAfter
	return nil
}

// Read reads the file. The error is fs.ErrNotExist if there is none, and it also tells that the certificate does not
// have the name.
func (a Awaited) Read() (*tls.Certificate, error) {
	cert, err := readPair(Pair{Cert: a.File, Key: a.File})
	if err != nil {
		return nil, err
	}
	if err := cert.Leaf.VerifyHostname(a.Name); err != nil {
		return nil, err
	}
	return cert, nil
}
