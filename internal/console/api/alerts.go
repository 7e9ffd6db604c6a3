package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

// Silence names the alerts that need no call to an operator, until when and why.
type Silence = configlog.Silence

// longestSilence limits the time of a silence, so that operators do not forget it.
const longestSilence = 30 * 24 * time.Hour

func (s *Server) alertRoutes() {
	s.get("/api/v1/alerts", s.src.Alerts != nil, func(r *http.Request) (any, error) {
		a, err := s.src.Alerts(r.Context(), r.URL.Query().Get("past") == "true")
		return nonNil(a), err
	})
	s.get("/api/v1/silences", s.src.Configuration != nil, func(r *http.Request) (any, error) {
		st, err := s.src.Configuration(r.Context())
		return latestEndFirst(st.Silences), err
	})
	s.change("POST", "/api/v1/silences", s.src.Silence != nil, change{need: access.Operator, action: "silence.alerts", do: s.silence})
	s.change("DELETE", "/api/v1/silences/{silence}", s.src.Silence != nil && s.src.Configuration != nil,
		change{need: access.Operator, action: "unsilence.alerts", do: s.unsilence})
	s.get("/api/v1/alerts/receivers", s.src.Receivers != nil, func(r *http.Request) (any, error) { return s.src.Receivers(r.Context()) })
	s.change("POST", "/api/v1/alerts/receivers/{receiver}/test", s.src.TestReceiver != nil, change{need: access.Operator, action: "test.receiver", do: s.testReceiver})
}

func (s *Server) testReceiver(r *http.Request, a *act) (any, error) {
	name := r.PathValue("receiver")
	a.target = event.Target{Kind: "receiver", ID: name}
	if err := s.src.TestReceiver(r.Context(), name); err != nil {
		return nil, err
	}
	return map[string]string{"result": "receiver " + name + " took the test message"}, nil
}

// WithSilences adds the silence in effect to each alert that is not resolved.
func WithSilences(alerts []event.Alert, silences []Silence) []Alert {
	now := time.Now()
	out := make([]Alert, 0, len(alerts))
	for _, a := range alerts {
		v := Alert{Alert: a}
		if s, ok := configlog.Silenced(silences, a, now); ok && a.Status != event.AlertResolved {
			v.Silence = &s
		}
		out = append(out, v)
	}
	return out
}

// latestEndFirst returns all silences, of which configlog keeps 1,000. The list starts with the silence that ends last.
func latestEndFirst(all []Silence) []Silence {
	out := append([]Silence{}, all...)
	slices.SortStableFunc(out, func(a, b Silence) int { return b.EndsAt.Compare(a.EndsAt) })
	return out
}

func (s *Server) silence(r *http.Request, a *act) (any, error) {
	var body struct {
		RuleID     string            `json:"ruleId"`
		Labels     map[string]string `json:"labels"`
		DurationMs float64           `json:"durationMs"`
		Reason     string            `json:"reason"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	d := time.Duration(body.DurationMs) * time.Millisecond
	switch {
	case body.RuleID == "" && len(body.Labels) == 0:
		return nil, problem.Errorf(problem.Invalid, "ruleId or labels is missing: name the alerts to silence; a silence for all alerts is not possible")
	case !(body.DurationMs >= 1000) || d > longestSilence:
		return nil, problem.Errorf(problem.Invalid, "durationMs %v: want 1000 (a second) to %d (30 days)", body.DurationMs, longestSilence.Milliseconds())
	}
	if err := configlog.CheckComment(body.Reason); err != nil {
		return nil, problem.New(problem.Invalid, fmt.Errorf("reason: %w", err), "")
	}
	n := event.Silence{RuleID: body.RuleID, Labels: body.Labels, EndsAt: readable.Moment(time.Now().Add(d))}
	if err := configlog.CheckSilence(n); err != nil {
		return nil, problem.New(problem.Invalid, err, "")
	}
	who := access.From(r.Context()).User
	a.target, a.reason = event.Target{Kind: "silence"}, body.Reason
	id, err := s.src.Silence(r.Context(), n, who, body.Reason)
	a.target = event.Target{Kind: "silence", ID: id}
	n.ID = id
	a.after = Silence{Silence: n, Author: who, Reason: body.Reason, Since: readable.Moment(time.Now())}
	return a.after, err
}

func (s *Server) unsilence(r *http.Request, a *act) (any, error) {
	st, err := s.src.Configuration(r.Context())
	if err != nil {
		return nil, err
	}
	id := r.PathValue("silence")
	i := slices.IndexFunc(st.Silences, func(n Silence) bool { return n.ID == id })
	if i < 0 {
		return nil, problem.Errorf(problem.NotFound, "there is no silence %q", id)
	}
	was := st.Silences[i]
	a.target, a.before = event.Target{Kind: "silence", ID: id}, was
	now := readable.Moment(time.Now())
	if !was.EndsAt.After(now) {
		return nil, problem.Errorf(problem.Conflict, "silence %s ended at %s", id, readable.Time(was.EndsAt))
	}
	was.EndsAt = now
	if _, err := s.src.Silence(r.Context(), was.Silence, access.From(r.Context()).User, was.Reason); err != nil {
		return nil, err
	}
	return map[string]string{"result": "silence " + id + " is ended"}, nil
}
