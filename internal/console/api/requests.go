package api

import (
	"net/http"
	"net/url"

	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// LoggedRequest is one request of the access log.
type LoggedRequest = journal.Request

// LoggedRequests is the list of requests since the previous event.
type LoggedRequests struct {
	Requests  []LoggedRequest `json:"requests"`  // oldest first
	Skipped   int             `json:"skipped"`   // requests that matched but arrived faster than the stream sends them
	Connected bool            `json:"connected"` // Kafka responds
}

func (s *Server) requestRoutes() {
	s.get("/api/v1/requests", s.src.Requests != nil, func(r *http.Request) (any, error) {
		q := r.URL.Query()
		n, err := count(q, "last", 100, 1000)
		if err != nil {
			return nil, err
		}
		all, err := s.src.Requests(r.Context(), n, requestFilter(q))
		return nonNil(all), err
	})
	s.handle("GET", "/api/v1/requests/events", s.within(s.limits.streams, func(w http.ResponseWriter, r *http.Request) {
		if s.src.FollowRequests == nil {
			fail(w, withoutKafka("access log to show"))
			return
		}
		follow(w, r, s.src.FollowRequests(entryLimit, requestFilter(r.URL.Query())), func(p *pipe, all []LoggedRequest, skipped int, connected bool) error {
			return p.tell("requests", LoggedRequests{nonNil(all), skipped, connected})
		})
	}))
}

func requestFilter(q url.Values) journal.RequestFilter {
	return journal.RequestFilter{
		Service: q.Get("service"), Instance: q.Get("instance"), Route: q.Get("route"), Method: q.Get("method"), Node: q.Get("node"),
		Outcome: q.Get("outcome"), Text: q.Get("text"),
	}
}
