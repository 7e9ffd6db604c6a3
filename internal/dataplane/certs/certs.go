// Package certs serves the certificates of a TLS listener from files. It chooses one by the server name that a client
// asks for, verifies the certificates of clients, and takes over changed files while connections are served. Nodes that
// share ticket keys resume each other's sessions. A file of an automatic certificate ([Awaited]) may come later;
// [Challenges] answers the authority that verifies its name.
package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pair names the files of one certificate. Cert is PEM with the chain, the certificate of the server first. Pairs are
// comparable.
type Pair struct{ Cert, Key string }

// Awaited names the file of a certificate that this process obtains: the certificate, its chain and its key. While there
// is no file, clients that ask for the name are refused. Values are comparable.
type Awaited struct {
	Name string // lower case
	File string
}

// Config of a Set.
type Config struct {
	Pairs      []Pair      // the first one serves clients that name no known server
	Awaited    []Awaited   // at least one, unless there are Pairs; a certificate of Pairs with the same name is preferred
	Challenges *Challenges // of the names in Awaited; nil: none
	MinVersion uint16      // tls.VersionTLS12 or tls.VersionTLS13
	Protocols  []string
	ClientAuth tls.ClientAuthType // NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert
	ClientCA   string             // file with the certificates of the authorities of clients, in PEM; unless NoClientCert
	TicketKeys string             // file with the keys of session tickets; empty: keys that only this set knows, and that change daily
	Log        *slog.Logger
}

// Same reports whether two configurations differ in nothing but the log.
func (c Config) Same(o Config) bool {
	return slices.Equal(c.Pairs, o.Pairs) && slices.Equal(c.Awaited, o.Awaited) && c.Challenges == o.Challenges && c.MinVersion == o.MinVersion && slices.Equal(c.Protocols, o.Protocols) &&
		c.ClientAuth == o.ClientAuth && c.ClientCA == o.ClientCA && c.TicketKeys == o.TicketKeys
}

// Set holds the certificates of one listener. Its methods are safe for concurrent use.
type Set struct {
	cfg     Config
	tls     *tls.Config
	index   atomic.Pointer[index]
	clients atomic.Pointer[tls.Config] // with the current authorities; nil: no client certificates

	mu    sync.Mutex
	parts []*part
	certs []*tls.Certificate // of cfg.Pairs, then of cfg.Awaited
}

// Load reads all files. The error names every file that cannot be used, with the reason. An awaited file is no reason:
// Status reports it.
func Load(cfg Config) (*Set, error) {
	if len(cfg.Pairs)+len(cfg.Awaited) == 0 {
		return nil, errors.New("no certificate is named")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{cfg: cfg, certs: make([]*tls.Certificate, len(cfg.Pairs)+len(cfg.Awaited))}
	s.index.Store(indexOf(cfg.Awaited, nil))
	s.tls = &tls.Config{MinVersion: cfg.MinVersion, NextProtos: cfg.Protocols, GetCertificate: s.choose}
	for i, pair := range cfg.Pairs {
		s.parts = append(s.parts, &part{kind: "certificate", files: []string{pair.Cert, pair.Key}, read: func(p *part) error { return s.takePair(p, i) }})
	}
	for i, a := range cfg.Awaited {
		s.parts = append(s.parts, &part{kind: "automatic certificate", files: []string{a.File}, awaited: true, read: func(p *part) error { return s.takeAwaited(p, i) }})
	}
	if cfg.ClientAuth != tls.NoClientCert {
		s.parts = append(s.parts, &part{kind: "client authorities", files: []string{cfg.ClientCA}, read: s.takeAuthorities})
	}
	if cfg.ClientAuth != tls.NoClientCert || cfg.Challenges != nil {
		s.tls.GetConfigForClient = s.configFor
	}
	if cfg.TicketKeys != "" {
		s.parts = append(s.parts, &part{kind: "ticket keys", files: []string{cfg.TicketKeys}, read: s.takeTicketKeys})
	}
	var bad []error
	for _, p := range s.parts {
		p.refresh()
		if !p.awaited {
			bad = append(bad, p.bad)
		}
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	return s, nil
}

// configFor returns the configuration for one client; nil: the configuration of the listener. An authority that verifies
// a name gets its own, without the certificates of clients.
func (s *Set) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if c := s.cfg.Challenges.configFor(hello); c != nil {
		return c, nil
	}
	return s.clients.Load(), nil
}

// TLS returns the configuration of the listener. It stays the same while files change, so sessions can be resumed. It
// must not be changed.
func (s *Set) TLS() *tls.Config { return s.tls }

// Config returns what the set was loaded with.
func (s *Set) Config() Config { return s.cfg }

// Refresh reads files that have changed since they were read last, and uses them from the next handshake on. Files that
// cannot be used are reported once, and what was read before stays in use.
func (s *Set) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if !p.refresh() {
			continue
		}
		log := s.cfg.Log.With("kind", p.kind, "file", p.files[0])
		if !p.expires.IsZero() {
			log = log.With("expires", p.expires)
		}
		if p.bad != nil {
			log.Error("changed TLS files cannot be used; the files before stay in use", "error", p.bad)
			continue
		}
		log.Info("changed TLS files are in use")
	}
}

// Status is the state of the files of a certificate, of the authorities of clients, or of ticket keys.
type Status struct {
	File            string    // of the certificate, of the authorities, or of the keys
	Begins, Expires time.Time // of the certificate in use that expires first; zero: the file holds no certificate
	Bad             error     // why the newest files are not used; nil: they are
}

// Status returns the state of all files, in the order of the configuration.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return statusOf(s.parts)
}

func statusOf(parts []*part) []Status {
	out := make([]Status, len(parts))
	for i, p := range parts {
		out[i] = Status{p.files[0], p.begins, p.expires, p.bad}
	}
	return out
}

// expirySoon is the remaining time from which a certificate expires soon.
const expirySoon = 14 * 24 * time.Hour

// ExpiresSoon reports whether the certificate in use expires within 14 days, or has expired. A certificate that lives
// for less than 42 days expires soon in the last third of its life: programs renew such certificates later.
func (s Status) ExpiresSoon(now time.Time) bool {
	return !s.Expires.IsZero() && s.Expires.Sub(now) <= min(expirySoon, s.Expires.Sub(s.Begins)/3)
}
