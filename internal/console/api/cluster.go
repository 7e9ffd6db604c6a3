package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// Cluster reads the state of the brokers and of the services around them. *browse.Browser implements it.
type Cluster interface {
	Cluster(ctx context.Context) (browse.Cluster, error)
	BrokerHistory(ctx context.Context, broker int32) (browse.BrokerHistory, error)
	BrokerSettings(ctx context.Context, broker int32) ([]admin.Setting, error)
	Health(ctx context.Context, fresh bool) (browse.Health, error)
}

func (s *Server) clusterRoutes() {
	c := s.src.Cluster
	s.get("/api/v1/cluster", c != nil, func(r *http.Request) (any, error) { return asked(c.Cluster(r.Context())) })
	s.get("/api/v1/brokers/{broker}/history", c != nil, ofBroker(func(r *http.Request, id int32) (any, error) {
		return asked(c.BrokerHistory(r.Context(), id))
	}))
	s.get("/api/v1/brokers/{broker}/settings", c != nil, ofBroker(func(r *http.Request, id int32) (any, error) {
		all, err := c.BrokerSettings(r.Context(), id)
		return asked(nonNil(all), err)
	}))
	s.get("/api/v1/health", c != nil, func(r *http.Request) (any, error) {
		return asked(c.Health(r.Context(), r.URL.Query().Get("fresh") == "true"))
	})
}

// ofBroker passes the broker id in the path to f.
func ofBroker(f func(*http.Request, int32) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := strconv.ParseInt(r.PathValue("broker"), 10, 32)
		if err != nil || id < 0 {
			return nil, problem.New(problem.NotFound, fmt.Errorf("there is no broker %q: brokers have numbers", r.PathValue("broker")), "the cluster page lists the brokers")
		}
		return f(r, int32(id))
	}
}
