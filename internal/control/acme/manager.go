package acme

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/event"
)

// Types of the key of a certificate.
const (
	P256    = "p256"
	RSA2048 = "rsa2048"
)

// Want is a certificate for one name. Values are comparable.
type Want struct {
	Authority Authority
	Name      string // lower case
	KeyType   string // P256 or RSA2048
	Challenge string // certs.HTTP01 or certs.TLSALPN01; empty: both in turn
}

// Config of a Manager.
type Config struct {
	Dir        string            // folder of account keys and certificates
	Node       string            // id of this node
	Challenges *certs.Challenges // gets the answers for listeners
	Log        *slog.Logger

	// Publish makes other nodes answer a challenge of this node. nil: only this node answers.
	Publish func(context.Context, event.Challenge) error
}

// Manager obtains and renews certificates. Its methods are safe for concurrent use.
type Manager struct {
	cfg   Config
	store store
	now   func() time.Time
	unit  func() float64 // random, in [0, 1)
	order func(context.Context, Want, string, presenter) (issued, error)

	mu     sync.Mutex
	wants  map[Want]standing
	own    []certs.Challenge     // of the running order
	shared []configlog.Challenge // of the log
}

// New returns a manager that wants nothing. It reads no file and starts no goroutine.
func New(cfg Config) *Manager {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{cfg: cfg, store: store{cfg.Dir}, now: time.Now, unit: rand.Float64, wants: map[Want]standing{}}
	m.order = m.store.order
	return m
}

// File returns the name of a certificate and the file that it has, now or later.
func (m *Manager) File(w Want) certs.Awaited { return m.store.file(w) }

// firstOrder spreads the first orders of a fleet that gets a new configuration, so that nodes see each other's
// challenges.
const firstOrder = 10 * time.Second

// Set replaces the certificates to obtain. Certificates that are stored are not ordered until their renewal. What the
// manager knows about certificates that are still wanted, such as the time of the next retry, stays.
func (m *Manager) Set(wants []Want) {
	next := map[Want]standing{}
	for _, w := range wants {
		next[w] = m.fromDisk(w)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range next {
		if known, ok := m.wants[w]; ok {
			next[w] = known
		}
	}
	m.wants = next
	m.answer()
}

// fromDisk returns the standing of a certificate after a start.
func (m *Manager) fromDisk(w Want) standing {
	cert, err := m.File(w).Read()
	if err == nil {
		return standing{}.stored(cert.Leaf.NotBefore, cert.Leaf.NotAfter, m.unit())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		m.cfg.Log.Error("a stored certificate cannot be used; another is ordered", "name", w.Name, "error", err)
	}
	s := standing{}
	if m.cfg.Publish != nil {
		s.earliest = m.now().Add(time.Duration(m.unit() * float64(firstOrder)))
	}
	return s
}

// pace is the time between two looks for a certificate that is due.
const pace = time.Second

// Run obtains certificates that are due, one after another, until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		m.mu.Lock()
		m.answer() // challenges end
		m.mu.Unlock()
		if w, ok := m.next(); ok {
			m.obtain(ctx, w)
		}
	}
}

// next returns the most urgent certificate that is due.
func (m *Manager) next() (w Want, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for candidate, s := range m.wants {
		if !s.due().After(now) && (!ok || urgent(s, m.wants[w]) < 0) {
			w, ok = candidate, true
		}
	}
	return w, ok
}

// orderTimeout bounds an order as a whole.
const orderTimeout = 5 * time.Minute

// obtain orders a certificate, unless another node has stored one in the same folder or is ordering one.
func (m *Manager) obtain(ctx context.Context, w Want) {
	if cert, err := m.File(w).Read(); err == nil && m.isNews(w, cert.Leaf.NotAfter) {
		m.update(w, func(s standing) standing { return s.stored(cert.Leaf.NotBefore, cert.Leaf.NotAfter, m.unit()) })
		return
	}
	got, err := m.request(ctx, w)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errOtherNode):
		m.update(w, func(s standing) standing { return s.postponed(m.now(), m.unit()) })
	case err != nil:
		m.fail(w, err)
	default:
		m.cfg.Log.Info("a certificate was obtained", "name", w.Name, "directory", w.Authority.Directory, "expires", got.leaf.NotAfter)
		m.update(w, func(s standing) standing {
			s.earliest = m.now().Add(minPace)
			return s.stored(got.leaf.NotBefore, got.leaf.NotAfter, m.unit())
		})
	}
}

// request orders a certificate and saves it.
func (m *Manager) request(ctx context.Context, w Want) (got issued, err error) {
	if m.isBusy(w.Name) {
		return issued{}, errOtherNode
	}
	if err := m.store.check(w); err != nil {
		return issued{}, err
	}
	m.mu.Lock()
	challenge := challengeOf(w.Challenge, m.wants[w].failures)
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	if got, err = m.order(ctx, w, challenge, m); err != nil {
		return issued{}, err
	}
	return got, m.store.save(w, got.chain, got.key)
}

// isNews reports whether the stored certificate is another than the manager knows.
func (m *Manager) isNews(w Want, expires time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.wants[w].expires.Equal(expires)
}

func (m *Manager) fail(w Want, err error) {
	after := retryAfter(err)
	err = reason(err)
	s := m.update(w, func(s standing) standing { return s.failed(err, m.now(), after, m.unit()) })
	m.cfg.Log.Error("a certificate was not obtained", "name", w.Name, "directory", w.Authority.Directory, "failures", s.failures, "next_order", s.earliest, "error", err)
}

// update changes the standing of a certificate that is still wanted, and returns it.
func (m *Manager) update(w Want, change func(standing) standing) standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.wants[w]
	if ok {
		s = change(s)
		m.wants[w] = s
	}
	return s
}

// Problem is a certificate whose latest order failed.
type Problem struct {
	File  string // of the certificate
	Err   error  // in the words of the authority, if it answered
	Retry time.Time
}

// Problems returns the certificates whose latest order failed, by file.
func (m *Manager) Problems() map[string]Problem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]Problem{}
	for w, s := range m.wants {
		if s.err != nil {
			file := m.File(w).File
			out[file] = Problem{File: file, Err: s.err, Retry: s.earliest}
		}
	}
	return out
}
