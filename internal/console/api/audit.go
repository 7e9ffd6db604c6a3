package api

import (
	"net/http"
	"net/url"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/telemetry/journal"
)

// Record is one audit record.
type Record = journal.Record

func (s *Server) auditRoutes() {
	s.get("/api/v1/audit", s.src.Records != nil, func(r *http.Request) (any, error) {
		q := r.URL.Query()
		n, err := count(q, "last", 200, 5000)
		if err != nil {
			return nil, err
		}
		f := journal.RecordFilter{Actor: q.Get("actor"), Action: q.Get("action"), Target: q.Get("target"), Result: q.Get("result"), Node: q.Get("node")}
		if f.Since, err = moment(q, "since"); err != nil {
			return nil, err
		}
		if f.Until, err = moment(q, "until"); err != nil {
			return nil, err
		}
		records, err := s.src.Records(r.Context(), n, f)
		return nonNil(records), err
	})
	s.read("/api/v1/audit/verify", s.src.VerifyAudit != nil, func(r *http.Request) (any, error) { return s.src.VerifyAudit(r.Context()) })
}

// moment reads the time in the query parameter name. It returns the zero time if the parameter is not set.
func moment(q url.Values, name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, problem.Errorf(problem.Invalid, "%s %q: want a time such as 2026-03-01T12:00:00Z", name, text)
	}
	return t, nil
}
