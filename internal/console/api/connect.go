package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"syscall"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// Connect reads the state of Kafka Connect and changes its connectors. *browse.Browser implements it.
type Connect interface {
	Connect(ctx context.Context) (browse.Connectors, error)
	Connector(ctx context.Context, name string) (connect.Connector, error)
	ConnectorOffsets(ctx context.Context, name string) ([]connect.Offset, error)
	ConnectPlugins(ctx context.Context) ([]connect.Plugin, error)
	CheckConnector(ctx context.Context, name string, config map[string]string) ([]connect.Setting, error)
	ApplyConnector(ctx context.Context, name string, config map[string]string, create, dry bool) (browse.AppliedConnector, error)
	DoConnector(ctx context.Context, name string, what connect.Action) error
}

func (s *Server) connectRoutes() {
	c := s.src.Connect
	have := c != nil
	const one = "/api/v1/connect/connectors/{connector}"
	s.get("/api/v1/connect", have, func(r *http.Request) (any, error) { return ofConnect(c.Connect(r.Context())) })
	s.get("/api/v1/connect/plugins", have, func(r *http.Request) (any, error) {
		all, err := c.ConnectPlugins(r.Context())
		return ofConnect(nonNil(all), err)
	})
	s.get(one, have, func(r *http.Request) (any, error) {
		return ofConnect(c.Connector(r.Context(), r.PathValue("connector")))
	})
	s.get(one+"/offsets", have, func(r *http.Request) (any, error) {
		all, err := c.ConnectorOffsets(r.Context(), r.PathValue("connector"))
		return ofConnect(nonNil(all), err)
	})
	s.ask(one+"/check", have, s.checkConnector)
	s.change("PUT", one, have, change{need: access.Admin, action: "apply.connector", preview: true, do: s.applyConnector})
	s.change("DELETE", one, have, change{need: access.Admin, action: "delete.connector", do: s.deleteConnector})
	s.change("POST", one+"/actions", have, change{need: access.Operator, action: "act.connector", do: s.actConnector})
}

// ofConnect returns v, or err with a code and a hint about Connect.
func ofConnect[T any](v T, err error) (any, error) {
	var said *connect.Error
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, connect.ErrNotFound):
		return nil, problem.New(problem.NotFound, err, "")
	case errors.Is(err, browse.ErrNoConnect):
		code := problem.Unavailable
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, browse.ErrNoWorker) {
			code = problem.Conflict // Connect is optional and does not run
		}
		return nil, problem.New(code, err, "with Java 17, smartlb kafka start also starts a worker; to use another worker, set SMARTLB_CONNECT")
	case errors.Is(err, connect.ErrInvalid), errors.Is(err, browse.ErrConnector):
		return nil, problem.New(problem.Invalid, err, "")
	case errors.As(err, &said) && said.Status == http.StatusConflict:
		return nil, problem.New(problem.Conflict, err, "the workers rebalance their tasks, which takes some seconds; retry then")
	case errors.As(err, &said) && said.Status < http.StatusInternalServerError:
		return nil, problem.New(problem.Invalid, err, "")
	}
	return nil, problem.New(problem.Unavailable, err, "for details, see the worker's log: smartlb kafka logs connect")
}

func connectorTarget(r *http.Request) event.Target {
	return event.Target{Kind: "connector", ID: r.PathValue("connector")}
}

type connectorSettings struct {
	Config map[string]string `json:"config"`
	Create bool              `json:"create"`
}

func (s *Server) checkConnector(r *http.Request) (any, error) {
	var q connectorSettings
	if err := decodeBody(r, &q); err != nil {
		return nil, err
	}
	all, err := s.src.Connect.CheckConnector(r.Context(), r.PathValue("connector"), q.Config)
	return ofConnect(nonNil(all), err)
}

func (s *Server) applyConnector(r *http.Request, a *act) (any, error) {
	var q connectorSettings
	if err := decodeBody(r, &q); err != nil {
		return nil, err
	}
	a.target = connectorTarget(r)
	done, err := s.src.Connect.ApplyConnector(r.Context(), r.PathValue("connector"), q.Config, q.Create, a.dry)
	a.before, a.after = nilIfEmpty(done.Before), nilIfEmpty(done.After) // Before and After hold masked secrets
	return ofConnect(done, err)
}

func nilIfEmpty(m map[string]string) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (s *Server) deleteConnector(r *http.Request, a *act) (any, error) {
	a.target = connectorTarget(r)
	name := r.PathValue("connector")
	was, err := s.src.Connect.Connector(r.Context(), name)
	if err == nil {
		a.before = nilIfEmpty(was.Config)
		err = s.src.Connect.DoConnector(r.Context(), name, connect.Delete)
	}
	return ofConnect(map[string]string{"result": name + " deleted; its topics are kept"}, err)
}

func (s *Server) actConnector(r *http.Request, a *act) (any, error) {
	var q struct {
		Action connect.Action `json:"action"`
	}
	if err := decodeBody(r, &q); err != nil {
		return nil, err
	}
	a.target = connectorTarget(r)
	known := []connect.Action{connect.Pause, connect.Resume, connect.Stop, connect.Restart, connect.RestartFailed}
	if !slices.Contains(known, q.Action) {
		return nil, problem.Errorf(problem.Invalid, "action %q: want one of %v", q.Action, known)
	}
	a.action = string(q.Action) + ".connector"
	err := s.src.Connect.DoConnector(r.Context(), r.PathValue("connector"), q.Action)
	return ofConnect(map[string]string{"result": "accepted"}, err)
}
