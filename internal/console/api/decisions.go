package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// Decision is one recorded decision or change of standing.
type Decision = journal.Decision

// Follower delivers entries to a page that follows them; see [journal.Subscription].
type Follower[T any] interface {
	Take() (entries []T, skipped int)
	Connected() bool
	Close()
}

// Decisions is the list of decisions since the previous event.
type Decisions struct {
	Decisions []Decision `json:"decisions"` // oldest first
	Skipped   int        `json:"skipped"`   // decisions that matched but arrived faster than the stream sends them
	Connected bool       `json:"connected"` // Kafka responds
}

func (s *Server) decisionRoutes() {
	s.get("/api/v1/decisions", s.src.Decisions != nil, func(r *http.Request) (any, error) {
		q := r.URL.Query()
		n, err := count(q, "last", 100, 1000)
		if err != nil {
			return nil, err
		}
		d, err := s.src.Decisions(r.Context(), n, decisionFilter(q))
		return nonNil(d), err
	})
	s.read("/api/v1/decisions/{request}", s.src.FindRequest != nil, func(r *http.Request) (any, error) {
		span, err := searchSpan(r.URL.Query())
		if err != nil {
			return nil, err
		}
		found, err := s.src.FindRequest(r.Context(), r.PathValue("request"), span, func(journal.Search) {})
		if err == nil && len(found.Decisions) == 0 {
			err = problem.Errorf(problem.NotFound, "request %s is not among the %d recorded decisions since %s; smartlb records a sample of all requests, and each request that failed or was retried", r.PathValue("request"), found.Scanned, readable.Time(found.From))
		}
		return found.Decisions, err
	})
	s.handle("GET", "/api/v1/decisions/events", s.within(s.limits.streams, s.decisionEvents))
	s.handle("GET", "/api/v1/decisions/{request}/events", s.within(s.limits.searches, s.searchEvents))
}

func decisionFilter(q url.Values) journal.Filter {
	return journal.Filter{
		Service: q.Get("service"), Instance: q.Get("instance"), Route: q.Get("route"), Reason: q.Get("reason"), Why: q.Get("why"), Kind: q.Get("kind"),
		Outcome: q.Get("outcome"), RequestID: q.Get("request"),
	}
}

// count reads a number from the query parameter name. It returns otherwise if the parameter is not set; most is the
// highest permitted value.
func count(q url.Values, name string, otherwise, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, problem.Errorf(problem.Invalid, "%s %q: want 1 to %d", name, text, most)
	}
	return n, nil
}

const (
	defaultSpan = time.Hour
	longestSpan = 7 * 24 * time.Hour
)

func searchSpan(q url.Values) (time.Duration, error) {
	text := q.Get("span")
	if text == "" {
		return defaultSpan, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > longestSpan {
		return 0, problem.Errorf(problem.Invalid, "span %q: want a duration such as 90m, at most %s", text, longestSpan)
	}
	return d, nil
}

const (
	entryStep  = time.Second / 4
	entryLimit = 50 // entries in one event: 200 per second are more than a person can read
)

// decisionEvents streams the decisions that match, as they arrive.
func (s *Server) decisionEvents(w http.ResponseWriter, r *http.Request) {
	if s.src.FollowDecisions == nil {
		fail(w, withoutKafka("recorded decisions"))
		return
	}
	follow(w, r, s.src.FollowDecisions(entryLimit, decisionFilter(r.URL.Query())), func(p *pipe, all []Decision, skipped int, connected bool) error {
		return p.tell("decisions", Decisions{nonNil(all), skipped, connected})
	})
}

// withoutKafka is the problem of a node that has no data of a kind because it runs without Kafka.
func withoutKafka(what string) problem.Problem {
	return problem.Problem{Code: problem.NotServed, Error: "this node runs without Kafka, so it has no " + what, Hint: "start it with --kafka host:port, or with smartlb up"}
}

// follow streams the entries of f as they arrive, in events that tell sends. It returns when the page is gone, and
// closes f.
func follow[T any](w http.ResponseWriter, r *http.Request, f Follower[T], tell func(p *pipe, entries []T, skipped int, connected bool) error) {
	defer f.Close()
	p := newPipe(w, r)
	ticker := time.NewTicker(entryStep)
	defer ticker.Stop()
	was := false
	for ticks := 0; ; ticks++ {
		entries, skipped := f.Take()
		connected := f.Connected()
		if len(entries) > 0 || skipped > 0 || connected != was || ticks%20 == 0 { // at least one event every 5 s, so that a dead peer is detected
			if tell(p, entries, skipped, connected) != nil {
				return
			}
			was = connected
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// searchTime limits a search that streams its progress to a page.
const searchTime = 2 * time.Minute

// searchEvents searches for one request and streams its progress.
func (s *Server) searchEvents(w http.ResponseWriter, r *http.Request) {
	span, err := searchSpan(r.URL.Query())
	if err != nil {
		s.problem(w, err)
		return
	}
	if s.src.FindRequest == nil {
		fail(w, withoutKafka("recorded decisions"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchTime)
	defer cancel()
	p := newPipe(w, r)
	var reportedAt time.Time
	found, err := s.src.FindRequest(ctx, r.PathValue("request"), span, func(so journal.Search) {
		if time.Since(reportedAt) < entryStep {
			return
		}
		reportedAt = time.Now()
		if p.tell("search", so) != nil {
			cancel()
		}
	})
	switch {
	case r.Context().Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		_ = p.tell("problem", problem.Problem{Code: problem.Timeout, Error: fmt.Sprintf("the search ended after %s; it read %d of %d messages", searchTime, found.Scanned, found.Total), Hint: "use a shorter span"})
	case err != nil:
		_ = p.tell("problem", problemOf(err))
	default:
		_ = p.tell("search", found)
	}
}
