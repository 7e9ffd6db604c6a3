package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Groups reads and changes consumer groups. *browse.Browser implements it. If dry is true, it changes nothing and
// returns the expected result.
type Groups interface {
	Groups(ctx context.Context) ([]browse.Group, error)
	Group(ctx context.Context, name string) (browse.GroupDetail, error)
	ResetGroup(ctx context.Context, spec admin.ResetSpec) (admin.Reset, error)
	DeleteGroup(ctx context.Context, name string, dry bool) (admin.DeletedGroup, error)
	DeleteOffsets(ctx context.Context, group, topic string, dry bool) (admin.DeletedOffsets, error)
	SetThreshold(ctx context.Context, group string, t *browse.Threshold) error
}

func (s *Server) groupRoutes() {
	b := s.src.Groups
	s.get("/api/v1/groups", b != nil, func(r *http.Request) (any, error) {
		g, err := b.Groups(r.Context())
		return asked(nonNil(g), err)
	})
	s.get("/api/v1/groups/{group}", b != nil, func(r *http.Request) (any, error) { return asked(b.Group(r.Context(), r.PathValue("group"))) })
	s.change("POST", "/api/v1/groups/{group}/reset", b != nil,
		change{need: access.Operator, action: "reset.group", preview: true, do: s.resetGroup})
	s.change("DELETE", "/api/v1/groups/{group}", b != nil,
		change{need: access.Admin, action: "delete.group", preview: true, do: s.deleteGroup})
	s.change("PUT", "/api/v1/groups/{group}/threshold", b != nil,
		change{need: access.Operator, action: "set-threshold.group", do: s.setThreshold})
	s.change("DELETE", "/api/v1/groups/{group}/topics/{topic}", b != nil,
		change{need: access.Operator, action: "delete-offsets.group", preview: true, do: s.deleteOffsets})
}

func groupTarget(r *http.Request) event.Target {
	return event.Target{Kind: "group", ID: r.PathValue("group")}
}

// mayMove requires the role admin to move a group of smartlb or Kafka Connect.
func mayMove(r *http.Request, a *act) error {
	id, name := access.From(r.Context()), r.PathValue("group")
	if a.dry || !topic.ReservedGroup(name) || id.Role >= access.Admin {
		return nil
	}
	return problem.New(problem.Forbidden, fmt.Errorf("group %s belongs to smartlb or Kafka Connect, and moving its offsets needs the role admin; %s has the role %s", name, id.User, id.Role), "ask an admin")
}

// resetGroup moves a whole group, some of its topics, some partitions or single offsets.
func (s *Server) resetGroup(r *http.Request, a *act) (any, error) {
	a.target = groupTarget(r)
	var body struct {
		To     string `json:"to"`
		Topics []struct {
			Topic      string  `json:"topic"`
			Partitions []int32 `json:"partitions"`
		} `json:"topics"`
		Exact []struct {
			Topic     string `json:"topic"`
			Partition int32  `json:"partition"`
			Offset    int64  `json:"offset"`
		} `json:"exact"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	if err := mayMove(r, a); err != nil {
		return nil, err
	}
	spec := admin.ResetSpec{Group: r.PathValue("group"), Execute: !a.dry, Exact: map[kafka.TopicPartition]int64{}}
	for _, e := range body.Exact {
		if e.Offset < 0 {
			return nil, problem.Errorf(problem.Invalid, "exact: offset %d of %s/%d is negative", e.Offset, e.Topic, e.Partition)
		}
		spec.Exact[kafka.TopicPartition{Topic: e.Topic, Partition: e.Partition}] = e.Offset
	}
	switch {
	case body.To == "" && len(body.Exact) == 0:
		return nil, problem.Errorf(problem.Invalid, "to is missing: use earliest, latest, an offset, @TIME or shift:N, or give exact offsets")
	case body.To == "": // only the offsets that the body lists
		for _, e := range body.Exact {
			spec.Topics = append(spec.Topics, admin.TopicParts{Topic: e.Topic, Partitions: []int32{e.Partition}})
		}
	default:
		to, err := admin.ParsePosition(body.To, time.Now())
		if err != nil {
			return nil, problem.New(problem.Invalid, err, "")
		}
		spec.To = to
		for _, t := range body.Topics {
			spec.Topics = append(spec.Topics, admin.TopicParts{Topic: t.Topic, Partitions: t.Partitions})
		}
	}
	out, err := s.src.Groups.ResetGroup(r.Context(), spec)
	before, after := map[string]int64{}, map[string]int64{}
	for _, row := range out.Rows {
		tp := fmt.Sprintf("%s/%d", row.Topic, row.Partition)
		before[tp], after[tp] = row.From, row.To
	}
	a.before, a.after = before, after
	return asked(out, err)
}

func (s *Server) deleteGroup(r *http.Request, a *act) (any, error) {
	a.target = groupTarget(r)
	out, err := s.src.Groups.DeleteGroup(r.Context(), r.PathValue("group"), a.dry)
	a.before = out
	return asked(out, err)
}

func (s *Server) deleteOffsets(r *http.Request, a *act) (any, error) {
	a.target = groupTarget(r)
	if err := mayMove(r, a); err != nil {
		return nil, err
	}
	out, err := s.src.Groups.DeleteOffsets(r.Context(), r.PathValue("group"), r.PathValue("topic"), a.dry)
	a.before = out
	return asked(out, err)
}

func (s *Server) setThreshold(r *http.Request, a *act) (any, error) {
	a.target = groupTarget(r)
	var body struct {
		Lag *int64 `json:"lag"` // null: no threshold
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	var t *browse.Threshold
	if body.Lag != nil {
		if *body.Lag < 0 {
			return nil, problem.Errorf(problem.Invalid, "lag: %d is negative", *body.Lag)
		}
		t = &browse.Threshold{Lag: *body.Lag}
		a.after = t
	}
	if err := s.src.Groups.SetThreshold(r.Context(), r.PathValue("group"), t); err != nil {
		return nil, ofKafka(err)
	}
	if t == nil {
		return map[string]string{"result": "no threshold"}, nil
	}
	return map[string]string{"result": fmt.Sprintf("alarm above a lag of %d", t.Lag)}, nil
}
