package access

import (
	"crypto/rand"
	"sync"
	"time"
)

// Limits of sessions. Sessions are in memory: a restart logs out all users.
const (
	sessionLife  = 12 * time.Hour
	sessionIdle  = 2 * time.Hour
	sessionSlots = 10_000
)

type session struct {
	id        Identity
	ends, hot time.Time // end of the session; last use
}

// sessions is the table of logged-in users. It is safe for concurrent use.
type sessions struct {
	mu    sync.Mutex
	table map[string]session
}

func newSessions() *sessions { return &sessions{table: map[string]session{}} }

// begin starts a session and returns its key.
func (s *sessions) begin(id Identity, now time.Time) string {
	key := rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.table) >= sessionSlots {
		s.sweep(now)
	}
	if len(s.table) >= sessionSlots { // all are valid: remove the least recently used session
		oldest, at := "", now
		for k, v := range s.table {
			if !v.hot.After(at) {
				oldest, at = k, v.hot
			}
		}
		delete(s.table, oldest)
	}
	s.table[key] = session{id, now.Add(sessionLife), now}
	return key
}

func (s *sessions) sweep(now time.Time) {
	for k, v := range s.table {
		if v.over(now) {
			delete(s.table, k)
		}
	}
}

func (v session) over(now time.Time) bool { return !now.Before(v.ends) || now.Sub(v.hot) > sessionIdle }

// of returns the identity of a valid session and records its use.
func (s *sessions) of(key string, now time.Time) (Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.table[key]
	if !ok || v.over(now) {
		delete(s.table, key)
		return Identity{}, false
	}
	v.hot = now
	s.table[key] = v
	return v.id, true
}

func (s *sessions) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.table, key)
}
