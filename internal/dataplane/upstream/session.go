package upstream

import (
	"sync/atomic"
	"time"
)

// SessionResult says what became of the session of a request.
type SessionResult uint8

// The results.
const (
	SessionKept  SessionResult = iota // the instance of the session got the request
	SessionNew                        // the request named no instance
	SessionMoved                      // the instance of the session got no request, because it is out of rotation or gone
	SessionResults
)

// String returns the word of the result in metrics.
func (r SessionResult) String() string { return [SessionResults]string{"kept", "new", "moved"}[r] }

// Sessions counts requests to services with sessions, by result.
type Sessions [SessionResults]atomic.Uint64

// PickSession picks the instance of a session and fills t. at is the place where the instance probably is in the pool.
//
// An instance in rotation is picked. One that is out of rotation is picked for a grace after it left: drain if it drains,
// eject otherwise. An instance on trial gets one request at a time, as from all policies, except during the grace. It
// returns false if the instance is not picked. Results and accounting are those of Pick.
func (s *Service) PickSession(instance string, at int, drain, eject time.Duration, a *Ask, t *Ticket) (*Pool, bool) {
	p := s.pool.Load()
	i := p.member(instance, at)
	if i < 0 {
		return p, false
	}
	m := &p.Members[i]
	trial := false
	switch {
	case m.Out == In && p.onTrial(i):
		if trial = m.beginTrial(a.Now); !trial && a.Now-m.Since >= int64(eject) {
			return p, false
		}
	case m.Out == In:
	case m.Out == Draining:
		if a.Now-m.Since >= int64(drain) {
			return p, false
		}
	case !p.Panic && a.Now-m.Since >= int64(eject):
		return p, false
	}
	a.Trace.N, a.Trace.Reason = 0, "session"
	if !take(p, i, a, t) {
		if trial {
			m.endTrial()
		}
		return p, false
	}
	t.trial = trial
	return p, true
}

// member returns the index of the member with an id, -1 if there is none. It checks index at first.
func (p *Pool) member(instance string, at int) int {
	if at < len(p.Members) && p.Members[at].Instance == instance {
		return at
	}
	for i := range p.Members {
		if p.Members[i].Instance == instance {
			return i
		}
	}
	return -1
}
