package api

import (
	"errors"
	"net/http"
	"slices"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// planRoutes registers the calls about the catalog.
func (s *Server) planRoutes() {
	t, c := s.src.Topics, s.src.TopicChanges
	s.get("/api/v1/catalog", t != nil, func(*http.Request) (any, error) { return nonNil([]topic.Spec(t.Catalog())), nil })
	s.get("/api/v1/catalog/plan", t != nil, func(r *http.Request) (any, error) {
		return asked(t.Plan(r.Context(), r.URL.Query().Get("resetUnmanaged") == "true"))
	})
	s.change("POST", "/api/v1/catalog/apply", c != nil, change{need: access.Admin, action: "apply.catalog", do: s.applyCatalog})
}

func (s *Server) applyCatalog(r *http.Request, a *act) (any, error) {
	var q struct {
		Topics         []string           `json:"topics"` // empty: the whole catalog
		ResetUnmanaged bool               `json:"resetUnmanaged"`
		Allow          []topic.Permission `json:"allow"`
	}
	if err := decodeBody(r, &q); err != nil {
		return nil, err
	}
	a.target = event.Target{Kind: "catalog", ID: "topics.yaml"}
	for _, p := range q.Allow {
		if !slices.Contains([]topic.Permission{topic.Repartition, topic.Loss}, p) {
			return nil, problem.Errorf(problem.Invalid, "allow: unknown permission %q: want %s or %s", p, topic.Repartition, topic.Loss)
		}
	}
	done, err := s.src.TopicChanges.Apply(r.Context(), q.Topics, q.ResetUnmanaged, q.Allow)
	a.after = done
	if err != nil && len(done.Steps) == 0 {
		return nil, ofKafka(err)
	}
	if err != nil { // some steps failed: the result lists them with the reasons
		s.log.Warn("catalog applied partly", "error", err)
		if done.Failed == 0 {
			return nil, ofKafka(errors.Join(errors.New("the changes were applied"), err))
		}
	}
	return done, nil
}
