package acme

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/dataplane/certs"
	"github.com/smartlb/smartlb/internal/event"
)

// Shared replaces the challenges of the log, oldest first.
func (m *Manager) Shared(all []configlog.Challenge) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shared = all
	m.answer()
}

// answer puts challenges into effect: those of the log, in its order, for names that a listener of this node wants; then
// that of the running order, which the log may not have yet. Challenges for other names are not answered, whoever signed
// them. The caller holds the lock.
func (m *Manager) answer() {
	var all []certs.Challenge
	names := map[string]bool{}
	for w := range m.wants {
		names[w.Name] = true
	}
	now := m.now()
	for _, c := range m.shared {
		one := certs.Challenge{Name: c.Name, Type: c.Type, Token: c.Token, KeyAuthorization: c.KeyAuthorization}
		stale := c.Node == m.cfg.Node && !slices.Contains(m.own, one) // of an earlier process
		if names[c.Name] && c.EndsAt.After(now) && !stale {
			all = append(all, one)
		}
	}
	m.cfg.Challenges.Set(append(all, m.own...))
}

// errOtherNode ends an order before the authority asks, because another node was first.
var errOtherNode = errors.New("another node orders a certificate with this name")

// isBusy reports whether another node has a challenge for the name. Two at a time would disturb each other: a handshake
// of an authority does not say which of them it wants.
func (m *Manager) isBusy(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.first(name)
	return first != "" && first != m.cfg.Node
}

// first returns the node with the first challenge for a name in the log, empty if there is none. The caller holds the
// lock.
func (m *Manager) first(name string) string {
	now := m.now()
	for _, c := range m.shared {
		if c.Name == name && c.EndsAt.After(now) {
			return c.Node
		}
	}
	return ""
}

// Times of a challenge in a fleet.
const (
	challengeTime = 2 * orderTimeout // until it ends if the node that orders cannot end it
	publishWait   = 10 * time.Second // for the broker
	returnWait    = 30 * time.Second // until the challenge comes back over the log
	settle        = 3 * time.Second  // more, for the other nodes to read it
)

var _ presenter = (*Manager)(nil)

// present makes this node answer, publishes the challenge, and waits until the other nodes should have read it. Without
// the log, or if the record does not come back, this node alone answers. The error is errOtherNode if the log holds an
// earlier challenge for the name.
func (m *Manager) present(ctx context.Context, c certs.Challenge) error {
	m.mu.Lock()
	m.own = []certs.Challenge{c}
	m.answer()
	m.mu.Unlock()
	if m.cfg.Publish == nil {
		return nil
	}
	if err := m.publish(ctx, c, challengeTime); err != nil {
		m.cfg.Log.Warn("a challenge was not published: only this node answers it", "name", c.Name, "error", err)
		return ctx.Err()
	}
	for end := m.now().Add(returnWait); ctx.Err() == nil && m.now().Before(end); {
		m.mu.Lock()
		first := m.first(c.Name)
		m.mu.Unlock()
		switch first {
		case m.cfg.Node:
			backoff.Sleep(ctx, settle)
			return ctx.Err()
		case "":
			backoff.Sleep(ctx, settle/10)
		default:
			return errOtherNode
		}
	}
	return ctx.Err()
}

// withdraw ends the challenge on every node. If ctx has ended or Kafka is down, other nodes answer it until its end.
func (m *Manager) withdraw(ctx context.Context, c certs.Challenge) {
	m.mu.Lock()
	m.own = nil
	m.answer()
	m.mu.Unlock()
	if m.cfg.Publish == nil || ctx.Err() != nil {
		return
	}
	if err := m.publish(ctx, c, 0); err != nil {
		m.cfg.Log.Warn("the end of a challenge was not published", "name", c.Name, "error", err)
	}
}

func (m *Manager) publish(ctx context.Context, c certs.Challenge, lasts time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	return m.cfg.Publish(ctx, event.Challenge{
		Name: c.Name, Type: c.Type, Token: c.Token, KeyAuthorization: c.KeyAuthorization, EndsAt: m.now().UTC().Add(lasts).Truncate(time.Millisecond),
	})
}
