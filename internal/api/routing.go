package api

import (
	"context"
	"errors"
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
	s.get("/api/v1/instances/{instance}/explain", s.src.Explain != nil, func(r *http.Request) (any, error) {
		return s.src.Explain(r.Context(), r.URL.Query().Get("service"), r.PathValue("instance"))
	})
	s.get("/api/v1/instances/{instance}/past", s.src.Past != nil, func(r *http.Request) (any, error) {
		return s.src.Past(r.Context(), r.URL.Query().Get("service"), r.PathValue("instance"))
	})
	s.handle("GET", "/api/v1/overview/events", s.within(s.limits.streams, s.overviewEvents))
	s.change("POST", "/api/v1/services/{service}/instances/{instance}/override", s.src.Override != nil,
		change{need: access.Operator, action: "override.instance", do: s.override})
}

func (s *Server) override(r *http.Request, a *act) (any, error) {
	var body struct {
		Action string  `json:"action"`
		Weight float64 `json:"weight"`
		Reason string  `json:"reason"`
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
	if len(body.Reason) > maxComment {
		return nil, badRequest{fmt.Errorf("reason: longer than %d bytes", maxComment)}
	}
	a.action, a.after, a.reason = body.Action+".instance", o, body.Reason
	if err := s.src.Override(r.Context(), o, access.From(r.Context()).User, body.Reason); err != nil {
		return nil, err
	}
	return map[string]string{"result": control.Describe(o)}, nil
}

// overviewEvents sends the overview, and each second what changed.
func (s *Server) overviewEvents(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.src.OverviewEvents != nil:
		s.relay(newPipe(w, r), r.Context(), s.src.OverviewEvents)
	case s.src.Overview != nil:
		s.follow(newPipe(w, r), r.Context())
	default:
		s.fail(w, http.StatusNotFound, Problem{Error: "this node has no overview", Hint: "ask a node with the role proxy or console"})
	}
}

func (s *Server) follow(p *pipe, ctx context.Context) {
	ticker := time.NewTicker(feedStep)
	defer ticker.Stop()
	number, joined := uint64(0), false
	for {
		ask, cancel := context.WithTimeout(ctx, callTimeout)
		var events []payload
		var err error
		if joined {
			events, err = s.feed.next(ask, number, p.zip)
		} else {
			var first payload
			first, err = s.feed.join(ask)
			events = []payload{first}
		}
		cancel()
		if err != nil {
			joined = false
			err = p.tell("problem", Problem{Error: err.Error()})
			events = nil
		}
		for _, e := range events {
			if err = p.put(e); err != nil {
				break
			}
			number, joined = e.number, true
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// relayPause is between two attempts to follow another node.
const relayPause = 2 * time.Second

// relay passes on the events of another node, and says so while there is none.
func (s *Server) relay(p *pipe, ctx context.Context, events func(context.Context, func([]byte) error) error) {
	for {
		err := events(ctx, func(event []byte) error { return p.put(payload{event: event}) })
		if ctx.Err() != nil || gone(err) {
			return
		}
		if err == nil {
			err = errors.New("the node that was followed ended")
		}
		if p.tell("problem", Problem{Error: err.Error()}) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(relayPause):
		}
	}
}
