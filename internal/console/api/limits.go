package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/base/quota"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
)

// Limits bound the concurrent work of the API's clients, in total and for each party. A process has one Limits for all
// its listeners. A party is a user; without login, a party is an address.
type Limits struct {
	searches  *quota.Quota // searches, exports, redrives and other reads of whole topics
	live      *quota.Quota // live streams of messages; each reads a topic
	streams   *quota.Quota // other event streams; their events are made once for all clients
	downloads *quota.Quota // whole values of messages, and request bodies that hold a value
	checks    *quota.Quota // checks of expressions and documents
	calls     *quota.Quota // all other calls, while they run
}

// Limits of each kind, in total and for one party.
const (
	mostSearches, eachSearches   = 8, 4 // a search may use 100 MB for a short time
	mostLive, eachLive           = 16, 8
	mostStreams, eachStreams     = 256, 64
	mostDownloads, eachDownloads = 8, 4 // of 24 MiB each
	mostChecks, eachChecks       = 8, 4 // each uses one core
	mostCalls, eachCalls         = 128, 64
)

// NewLimits returns the limits of a process.
func NewLimits() *Limits {
	return &Limits{
		searches: quota.New(mostSearches, eachSearches), live: quota.New(mostLive, eachLive), streams: quota.New(mostStreams, eachStreams),
		downloads: quota.New(mostDownloads, eachDownloads), checks: quota.New(mostChecks, eachChecks), calls: quota.New(mostCalls, eachCalls),
	}
}

// Quotas returns each limit by name, for metrics.
func (l *Limits) Quotas() map[string]*quota.Quota {
	return map[string]*quota.Quota{"searches": l.searches, "live streams": l.live, "streams": l.streams, "downloads": l.downloads, "checks": l.checks, "calls": l.calls}
}

// name returns the word for q in an error message.
func (l *Limits) name(q *quota.Quota) string {
	for name, other := range l.Quotas() {
		if q == other {
			return name
		}
	}
	return "calls"
}

// Times after which a refused client may retry; a search takes longer.
const (
	busyWait       = time.Second
	busySearchWait = 5 * time.Second
)

// within serves a call within the limit q. It responds with 429 if the client has used its share, and with 503 if other
// clients use the whole limit.
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

// party returns the name under which a request is counted. All nodes send the same token.
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
	name := s.limits.name(q)
	p := problem.Problem{Code: problem.Busy, Error: fmt.Sprintf("too many %s are in progress", name), Hint: "wait a moment"}
	if errors.Is(err, quota.ErrShare) {
		p = problem.Problem{Code: problem.Limited, Error: fmt.Sprintf("you have reached the limit of %s in progress for one user", name), Hint: "end some of them, or wait until they end"}
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
	fail(w, p)
}
