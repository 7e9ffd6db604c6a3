package dispatch

import (
	"github.com/smartlb/smartlb/internal/dataplane/affinity"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// seat returns the instance that the client's cookie names; false: none of the share's service.
func (s *Share) seat(h Head) (affinity.Seat, bool) {
	if s.Session == nil {
		return affinity.Seat{}, false
	}
	v, ok := h.Cookie(s.Session.Cookie)
	if !ok {
		return affinity.Seat{}, false
	}
	return s.Session.Find(v)
}

// bound returns the share with the client's session, nil if there is none: a client with a session stays with its service.
func (r *Route) bound(h Head) *Share {
	for i := range r.Split {
		if _, ok := r.Split[i].seat(h); ok {
			return &r.Split[i]
		}
	}
	return nil
}

// findSession reads the session of the client from its cookie.
func (x *Exchange) findSession(s *Share, h Head) {
	if s.Session == nil {
		return
	}
	x.session, x.sat = s.Session, upstream.SessionNew
	var ok bool
	if x.seat, ok = s.seat(h); ok {
		x.sat = upstream.SessionMoved
	}
}

// pickSession picks the instance of the client's session. It applies to the first try only: a retry goes to another
// instance.
func (x *Exchange) pickSession() (*upstream.Pool, bool) {
	if x.session == nil || x.n > 0 || x.seat.Instance == "" {
		return nil, false
	}
	pool, ok := x.service.PickSession(x.seat.Instance, x.seat.At, x.session.DrainGrace, x.session.EjectGrace, &x.ask, &x.ticket)
	if ok {
		x.sat = upstream.SessionKept
	}
	return pool, ok
}

// WantsSessionCookie reports whether the response binds the client to the instance that answered: the service has sessions,
// the client has no cookie of that instance, and the answer is no error of the server. It is valid after the verdict Relay.
func (x *Exchange) WantsSessionCookie() bool {
	return x.session != nil && x.status < 500 && x.seat.Instance != x.Instance()
}

// AppendSessionCookie appends the value of the Set-Cookie field that binds the client to the instance that answered. secure
// is true if the client uses https.
func (x *Exchange) AppendSessionCookie(dst []byte, secure bool) []byte {
	return x.session.AppendCookie(dst, x.Instance(), secure)
}
