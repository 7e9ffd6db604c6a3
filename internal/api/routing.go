package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/access"
	"github.com/smartlb/smartlb/internal/control"
	"github.com/smartlb/smartlb/internal/event"
)

func (s *Server) routingRoutes() {
	s.get("/api/v1/node", s.src.Node != nil, func(*http.Request) (any, error) { return s.src.Node(), nil })
	s.get("/api/v1/overview", s.src.Overview != nil, func(r *http.Request) (any, error) { return s.src.Overview(r.Context()) })
	s.get("/api/v1/services", s.src.Overview != nil, func(r *http.Request) (any, error) {
		o, err := s.src.Overview(r.Context())
		return nonNil(o.Services), err
	})
	s.get("/api/v1/alerts", s.src.Overview != nil, func(r *http.Request) (any, error) {
		o, err := s.src.Overview(r.Context())
		return nonNil(o.Alerts), err
	})
	s.get("/api/v1/instances/{instance}/explain", s.src.Explain != nil, func(r *http.Request) (any, error) {
		return s.src.Explain(r.Context(), r.URL.Query().Get("service"), r.PathValue("instance"))
	})
	s.get("/api/v1/config/history", s.src.History != nil, func(r *http.Request) (any, error) {
		h, err := s.src.History(r.Context())
		return nonNil(h), err
	})
	s.handle("GET", "/api/v1/overview/events", s.overviewEvents)
	s.change("POST", "/api/v1/services/{service}/instances/{instance}/override", s.src.Override != nil,
		change{need: access.Operator, action: "override.instance", do: s.override})
}

func (s *Server) override(r *http.Request, a *act) (any, error) {
	var body struct {
		Action string  `json:"action"`
		Weight float64 `json:"weight"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	a.target = event.Target{Kind: "instance", ID: r.PathValue("service") + "/" + r.PathValue("instance")}
	o := event.Override{ServiceID: r.PathValue("service"), InstanceID: r.PathValue("instance"), Action: body.Action}
	switch body.Action {
	case event.ActionDrain, event.ActionUndrain:
	case event.ActionWeight:
		if body.Weight < 0 || body.Weight > 1000 {
			return nil, badRequest{fmt.Errorf("weight %v: want 0 (as configured) to 1000", body.Weight)}
		}
		o.Weight = event.Some(body.Weight)
	default:
		return nil, badRequest{fmt.Errorf("action %q: want drain, undrain or weight", body.Action)}
	}
	a.action, a.after = body.Action+".instance", o
	if err := s.src.Override(r.Context(), o, access.From(r.Context()).User); err != nil {
		return nil, err
	}
	return map[string]string{"result": control.Describe(o)}, nil
}

// overviewEvents sends the overview each second as server-sent events.
func (s *Server) overviewEvents(w http.ResponseWriter, r *http.Request) {
	if s.src.Overview == nil {
		s.fail(w, http.StatusNotFound, Problem{Error: "this node has no overview", Hint: "ask a node with the role proxy or console"})
		return
	}
	stream := newStream(w)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
		o, err := s.src.Overview(ctx)
		cancel()
		if err != nil {
			err = stream.send("problem", Problem{Error: err.Error()})
		} else {
			err = stream.send("overview", o)
		}
		if err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}
