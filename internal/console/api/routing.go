package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

func (s *Server) routingRoutes() {
	s.get("/api/v1/node", s.src.Node != nil, func(*http.Request) (any, error) { return s.src.Node(), nil })
	s.get("/api/v1/overview", s.src.Overview != nil, func(r *http.Request) (any, error) { return s.src.Overview(r.Context()) })
	s.get("/api/v1/services", s.src.Overview != nil, func(r *http.Request) (any, error) {
		o, err := s.src.Overview(r.Context())
		return nonNil(o.Services), err
	})
	s.get("/api/v1/capacity", s.src.Capacity != nil, s.capacities)
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
		For    string  `json:"for"`    // duration, for example 30m; empty: until an operator removes the override
		Reason string  `json:"reason"` // text for people
		Author string  `json:"author"` // the person, if the client needs no login
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	a.target = event.Target{Kind: "instance", ID: r.PathValue("service") + "/" + r.PathValue("instance")}
	o := event.Override{ServiceID: r.PathValue("service"), InstanceID: r.PathValue("instance"), Action: body.Action}
	if body.Action == event.ActionWeight {
		o.Weight = event.Some(body.Weight)
	}
	err := configlog.CheckOverride(o)
	if err == nil && body.For != "" {
		o, err = endAfter(o, body.For, time.Now())
	}
	switch {
	case err != nil:
		return nil, problem.New(problem.Invalid, err, "")
	case configlog.CheckComment(body.Reason) != nil || len(body.Author) > maxAuthor:
		return nil, problem.Errorf(problem.Invalid, "reason or author: longer than %d and %d bytes", configlog.MaxComment, maxAuthor)
	}
	a.action, a.after = body.Action+".instance", o
	a.reason, a.author = body.Reason, author(access.From(r.Context()), body.Author)
	applied, err := s.src.Override(r.Context(), o, a.author, body.Reason)
	if err != nil && !errors.Is(err, configlog.ErrNotKept) {
		return nil, err
	}
	return Overridden{Result: configlog.Describe(o), Published: applied.Published, Note: overrideNote(applied, err)}, nil
}

// Overridden is the result of an override.
type Overridden struct {
	Result    string `json:"result"`
	Published bool   `json:"published"`      // published on config-updates: every node applies it
	Note      string `json:"note,omitempty"` // if not published: what applies instead
}

func overrideNote(a configlog.Applied, err error) string {
	var notes []string
	switch {
	case a.Alone:
		notes = append(notes, "in effect on this node, which runs without Kafka: other nodes do not follow")
	case !a.Published:
		notes = append(notes, "in effect on this node; Kafka does not answer, so other nodes follow when it is published later")
	}
	if err != nil {
		notes = append(notes, err.Error())
	}
	return strings.Join(notes, "; ")
}

// maxAuthor is the longest name of an author that a client may give, in bytes.
const maxAuthor = 128

// endAfter sets the end of an override by the text of a duration.
func endAfter(o event.Override, text string, now time.Time) (event.Override, error) {
	d, _ := time.ParseDuration(text) // 0 on an error, which is too short
	o, err := configlog.EndAfter(o, d, now)
	if err != nil {
		err = fmt.Errorf("for %q: %w", text, err)
	}
	return o, err
}

// author returns the author of a change: the user who logged in. A client without login, or with the token of the
// nodes, may name the person at the terminal.
func author(who access.Identity, claimed string) string {
	if claimed == "" || who.User != access.Local().User && who.User != access.Token().User {
		return who.User
	}
	return claimed + " (" + who.User + ")"
}

// overviewEvents sends the overview, then each second the changes.
func (s *Server) overviewEvents(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.src.OverviewEvents != nil:
		s.relay(r.Context(), newPipe(w, r), s.src.OverviewEvents)
	case s.src.Overview != nil:
		s.follow(r.Context(), newPipe(w, r))
	default:
		fail(w, problem.Problem{Code: problem.NotServed, Error: "this node has no overview", Hint: "use a node with the role proxy or console"})
	}
}

func (s *Server) follow(ctx context.Context, p *pipe) {
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
			err = p.tell("problem", problemOf(err))
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

// relayPause is the time between two attempts to follow another node.
const relayPause = 2 * time.Second

// relay passes on the events of another node. While no node responds, it tells the client so.
func (s *Server) relay(ctx context.Context, p *pipe, events func(context.Context, func([]byte) error) error) {
	for {
		err := events(ctx, func(event []byte) error { return p.put(payload{event: event}) })
		if ctx.Err() != nil || gone(err) {
			return
		}
		if err == nil {
			err = problem.Errorf(problem.Unavailable, "the node that was followed ended")
		}
		if p.tell("problem", problemOf(err)) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(relayPause):
		}
	}
}
