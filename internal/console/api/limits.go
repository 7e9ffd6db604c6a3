package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/control/access"
)

// Limits bound what callers of the API use at one moment, in all and each. A
// process has one for all its listeners. A party is a user, or where nobody
// logs in an address.
type Limits struct {
	searches  *quota.Quota // searches, exports, redrives, and other reading of whole topics
	live      *quota.Quota // live streams of messages, each of which reads a topic
	streams   *quota.Quota // other streams of events, which are made once for all
	downloads *quota.Quota // whole values of messages, and bodies that hold one
	checks    *quota.Quota // of expressions and documents
	calls     *quota.Quota // all others, while they are answered
}

// Bounds of each kind, in all and for one party.
const (
	mostSearches, eachSearches   = 8, 4 // a search may take a hundred megabytes for a moment
	mostLive, eachLive           = 16, 8
	mostStreams, eachStreams     = 256, 64
	mostDownloads, eachDownloads = 8, 4 // of 24 MiB
	mostChecks, eachChecks       = 8, 4 // a core each
	mostCalls, eachCalls         = 128, 64
)

// NewLimits returns the limits of a process.
func NewLimits() *Limits {
	return &Limits{
		searches: quota.New(mostSearches, eachSearches), live: quota.New(mostLive, eachLive), streams: quota.New(mostStreams, eachStreams),
		downloads: quota.New(mostDownloads, eachDownloads), checks: quota.New(mostChecks, eachChecks), calls: quota.New(mostCalls, eachCalls),
	}
}

// Quotas gives each limit by name, for metrics.
func (l *Limits) Quotas() map[string]*quota.Quota {
	return map[string]*quota.Quota{"searches": l.searches, "live streams": l.live, "streams": l.streams, "downloads": l.downloads, "checks": l.checks, "calls": l.calls}
}

// name is what a refusal calls the things that a limit counts.
func (l *Limits) name(q *quota.Quota) string {
	for name, other := range l.Quotas() {
		if q == other {
			return name
		}
	}
	return "calls"
}

// busyWait is when a refused caller may come again; a search takes longer.
const (
	busyWait       = time.Second
	busySearchWait = 5 * time.Second
)

// within serves a call inside a limit. It answers 429 where the caller has its
// share, and 503 where all are in use by others.
func (s *Server) within(q *quota.Quota, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		party, shared := s.party(r)
		release, err := q.Take(party, shared)
		if err != nil {
			s.busy(w, q, err)
			return
		}
		defer release()
		h(w, r)
	}
}

// party is who is counted. Nodes all bring the same token.
func (s *Server) party(r *http.Request) (name string, shared bool) {
	id := access.From(r.Context())
	if s.src.Gate.Open() {
		return "address " + s.src.Gate.Address(r), false
	}
	return "user " + id.User, id == access.Token()
}

func (s *Server) busy(w http.ResponseWriter, q *quota.Quota, err error) {
	wait := busyWait
	if q == s.limits.searches || q == s.limits.live {
		wait = busySearchWait
	}
	name, status := s.limits.name(q), http.StatusServiceUnavailable
	p := Problem{Error: fmt.Sprintf("too many %s are in progress", name), Hint: "wait a moment"}
	if errors.Is(err, quota.ErrShare) {
		status = http.StatusTooManyRequests
		p = Problem{Error: fmt.Sprintf("you have reached the limit of %s in progress for one user", name), Hint: "end some of them, or wait until they end"}
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	s.fail(w, status, p)
}
