// Package certs serves the certificates of a TLS listener from files. It chooses one by the server name that a client
// asks for, and takes over changed files while connections are served.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Pair names the files of one certificate. Cert is PEM with the chain, the certificate of the server first. Pairs are
// comparable.
type Pair struct{ Cert, Key string }

// Config of a Set.
type Config struct {
	Pairs      []Pair // at least one; the first one serves clients that name no known server
	MinVersion uint16 // tls.VersionTLS12 or tls.VersionTLS13
	Protocols  []string
	Log        *slog.Logger
}

// Same reports whether two configurations differ in nothing but the log.
func (c Config) Same(o Config) bool {
	return slices.Equal(c.Pairs, o.Pairs) && c.MinVersion == o.MinVersion && slices.Equal(c.Protocols, o.Protocols)
}

// Set holds the certificates of one listener. Its methods are safe for concurrent use.
type Set struct {
	cfg   Config
	tls   *tls.Config
	index atomic.Pointer[index]

	mu    sync.Mutex
	files []file // in the order of cfg.Pairs
}

// file is one pair as it was read last.
type file struct {
	cert  *tls.Certificate
	state [2]stamp // of Cert and Key
	bad   error    // why the newest files are not served; nil: they are
}

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	at   time.Time
	mode os.FileMode
}

// index finds certificates by name. It is immutable.
type index struct {
	exact map[string][]*tls.Certificate
	wild  map[string][]*tls.Certificate // by what follows the "*."
	all   []*tls.Certificate
}

// Load reads all files. The error names every file that cannot be served, with the reason.
func Load(cfg Config) (*Set, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{cfg: cfg, files: make([]file, len(cfg.Pairs))}
	var bad []error
	for i, p := range cfg.Pairs {
		s.files[i].state = stamps(p)
		cert, err := read(p)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		s.files[i].cert = cert
		s.warn(p, cert)
	}
	if len(cfg.Pairs) == 0 {
		bad = append(bad, errors.New("no certificate is named"))
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	s.index.Store(indexOf(s.files))
	s.tls = &tls.Config{MinVersion: cfg.MinVersion, NextProtos: cfg.Protocols, GetCertificate: s.choose}
	return s, nil
}

// TLS returns the configuration of the listener. It stays the same while certificates change, so sessions can be
// resumed. It must not be changed.
func (s *Set) TLS() *tls.Config { return s.tls }

// Config returns what the set was loaded with.
func (s *Set) Config() Config { return s.cfg }

// Refresh reads files that have changed since they were read last, and serves them from the next handshake on. A pair
// that cannot be served is reported once, and the one before continues to serve. It reads at most the files of the
// configuration, and is for one goroutine at a time.
func (s *Set) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for i, p := range s.cfg.Pairs {
		now := stamps(p)
		if now == s.files[i].state {
			continue
		}
		s.files[i].state = now
		cert, err := read(p)
		if err != nil {
			s.files[i].bad = err
			s.cfg.Log.Error("a changed certificate cannot be served; the one before it continues to serve", "error", err, "expires", s.files[i].cert.Leaf.NotAfter)
			continue
		}
		s.files[i].cert, s.files[i].bad, changed = cert, nil, true
		s.warn(p, cert)
		s.cfg.Log.Info("a changed certificate is served", "cert", p.Cert, "names", names(cert.Leaf), "expires", cert.Leaf.NotAfter)
	}
	if changed {
		s.index.Store(indexOf(s.files))
	}
}

// Status is the state of one certificate.
type Status struct {
	Pair
	Names   []string
	Begins  time.Time
	Expires time.Time
	Bad     error // why the newest files are not served; nil: they are
}

// expirySoon is the remaining time from which a certificate expires soon.
const expirySoon = 14 * 24 * time.Hour

// ExpiresSoon reports whether the served certificate expires within 14 days, or has expired. A certificate that lives
// for less than 42 days expires soon in the last third of its life: programs renew such certificates later.
func (s Status) ExpiresSoon(now time.Time) bool {
	return s.Expires.Sub(now) <= min(expirySoon, s.Expires.Sub(s.Begins)/3)
}

// Status returns the state of each certificate, in the order of the configuration.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Status, len(s.files))
	for i, f := range s.files {
		out[i] = Status{s.cfg.Pairs[i], names(f.cert.Leaf), f.cert.Leaf.NotBefore, f.cert.Leaf.NotAfter, f.bad}
	}
	return out
}

func (s *Set) warn(p Pair, cert *tls.Certificate) {
	now := time.Now()
	switch {
	case now.After(cert.Leaf.NotAfter):
		s.cfg.Log.Warn("a certificate has expired; clients refuse it", "cert", p.Cert, "expired", cert.Leaf.NotAfter)
	case now.Before(cert.Leaf.NotBefore):
		s.cfg.Log.Warn("a certificate is not valid yet; clients refuse it", "cert", p.Cert, "from", cert.Leaf.NotBefore)
	}
	if len(names(cert.Leaf)) == 0 {
		s.cfg.Log.Warn("a certificate has no names; clients refuse it", "cert", p.Cert)
	}
}

func stamps(p Pair) (out [2]stamp) {
	for i, path := range []string{p.Cert, p.Key} {
		if st, err := os.Stat(path); err == nil {
			out[i] = stamp{st.Size(), st.ModTime(), st.Mode()}
		}
	}
	return out
}

// maxFile limits a file of a pair, in bytes.
const maxFile = 1 << 20

func read(p Pair) (*tls.Certificate, error) {
	var text [2][]byte
	for i, path := range []string{p.Cert, p.Key} {
		st, err := os.Stat(path)
		if err == nil && st.Size() > maxFile {
			err = fmt.Errorf("%s: %d bytes are more than %d", path, st.Size(), maxFile)
		}
		if err == nil {
			text[i], err = os.ReadFile(path)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(strings.TrimSpace(string(text[0]))) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", p.Cert)
	}
	cert, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return nil, fmt.Errorf("%s with key %s: %s", p.Cert, p.Key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &cert, nil
}

// names returns the names for which a certificate is valid. The common name is not one: no client accepts it.
func names(c *x509.Certificate) []string {
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

func indexOf(files []file) *index {
	x := &index{exact: map[string][]*tls.Certificate{}, wild: map[string][]*tls.Certificate{}}
	for _, f := range files {
		x.all = append(x.all, f.cert)
		for _, name := range f.cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			if rest, wild := strings.CutPrefix(name, "*."); wild {
				x.wild[rest] = append(x.wild[rest], f.cert)
			} else {
				x.exact[name] = append(x.exact[name], f.cert)
			}
		}
	}
	return x
}

// choose returns the certificate for a client: one for the name that it asks for, exactly or by a wildcard; among
// several, such as one of RSA and one of P-256, the first one that it can use. A client that asks for no known name gets
// the first certificate that it can use.
func (s *Set) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	x := s.index.Load()
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, rest, _ := strings.Cut(name, ".")
	for _, among := range [][]*tls.Certificate{x.exact[name], x.wild[rest], x.all} {
		if c := usable(hello, among); c != nil {
			return c, nil
		}
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
