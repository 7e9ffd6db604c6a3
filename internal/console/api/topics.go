package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/smartlb/smartlb/internal/console/browse"
	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Topics reads topics. *browse.Browser implements it. admin.FaultOf classifies its errors.
type Topics interface {
	Topics(ctx context.Context, internal bool) ([]browse.Topic, error)
	Topic(ctx context.Context, name string) (browse.TopicDetail, error)
	TopicHistory(ctx context.Context, name string) (browse.TopicHistory, error)
	TopicGroups(ctx context.Context, name string) ([]browse.TopicGroup, error)
	TopicSettings(ctx context.Context, name string) ([]admin.Setting, error)
	Catalog() topic.Catalog
	Plan(ctx context.Context, resetUnmanaged bool) (admin.Plan, error)
}

// TopicChanges changes topics. *browse.Browser implements it. If dry is true, it changes nothing and returns the
// expected result.
type TopicChanges interface {
	CreateTopic(ctx context.Context, t admin.NewTopic, like string, dry bool) (admin.NewTopic, error)
	DeleteTopic(ctx context.Context, name string, dry bool) (admin.DeletedTopic, error)
	AddPartitions(ctx context.Context, name string, to int, dry bool) (admin.Grown, error)
	DeleteRecords(ctx context.Context, name, before string, partitions []int32, dry bool) (admin.Truncation, error)
	ChangeTopic(ctx context.Context, name string, set map[string]string, unset []string, dry bool) ([]admin.ChangedConfig, error)
	Apply(ctx context.Context, only []string, resetUnmanaged bool, allow []topic.Permission) (admin.Applied, error)
}

func (s *Server) topicRoutes() {
	t, c := s.src.Topics, s.src.TopicChanges
	s.get("/api/v1/topics", t != nil, func(r *http.Request) (any, error) {
		all, err := t.Topics(r.Context(), r.URL.Query().Get("internal") == "true")
		return asked(nonNil(all), err)
	})
	s.get("/api/v1/topics/{topic}", t != nil, func(r *http.Request) (any, error) {
		return asked(t.Topic(r.Context(), r.PathValue("topic")))
	})
	s.get("/api/v1/topics/{topic}/history", t != nil, func(r *http.Request) (any, error) {
		return asked(t.TopicHistory(r.Context(), r.PathValue("topic")))
	})
	s.get("/api/v1/topics/{topic}/groups", t != nil, func(r *http.Request) (any, error) {
		all, err := t.TopicGroups(r.Context(), r.PathValue("topic"))
		return asked(nonNil(all), err)
	})
	s.get("/api/v1/topics/{topic}/schema", t != nil, s.topicSchema)
	s.handle("GET", "/api/v1/topics/{topic}/events", s.within(s.limits.live, s.looking(s.topicEvents)))

	s.change("POST", "/api/v1/topics", c != nil, change{need: access.Admin, action: "create.topic", preview: true, do: s.createTopic})
	s.change("DELETE", "/api/v1/topics/{topic}", c != nil, change{need: access.Admin, action: "delete.topic", preview: true, do: s.deleteTopic})
	s.change("POST", "/api/v1/topics/{topic}/partitions", c != nil, change{need: access.Admin, action: "grow.topic", preview: true, do: onTopic(s.addPartitions)})
	s.change("POST", "/api/v1/topics/{topic}/truncate", c != nil, change{need: access.Admin, action: "truncate.topic", preview: true, do: onTopic(s.truncate)})
	s.settingRoutes()
	s.planRoutes()
}

func topicTarget(name string) event.Target { return event.Target{Kind: "topic", ID: name} }

// ours refuses changes of topics that Kafka or Connect need for themselves.
func ours(name string) error {
	if strings.HasPrefix(name, "__") {
		return problem.New(problem.Conflict, fmt.Errorf("%s is internal to Kafka: changing it here could stop every consumer group", name), "Kafka manages its internal topics; if you must change them, use kafka-topics.sh or kafka-configs.sh")
	}
	return nil
}

// NewTopicRequest describes the topic to create.
type NewTopicRequest struct {
	admin.NewTopic
	Like string `json:"like"` // a topic to copy partitions, replicas and settings from, where they are not set
}

func (s *Server) createTopic(r *http.Request, a *act) (any, error) {
	var q NewTopicRequest
	if err := decodeBody(r, &q); err != nil {
		return nil, err
	}
	a.target = topicTarget(q.Name)
	if q.Partitions < 0 || q.Replicas < 0 {
		return nil, problem.Errorf(problem.Invalid, "partitions and replicas must not be negative; 0 means the cluster's default")
	}
	t, err := s.src.TopicChanges.CreateTopic(r.Context(), q.NewTopic, q.Like, a.dry)
	a.after = t
	return asked(t, err)
}

func (s *Server) deleteTopic(r *http.Request, a *act) (any, error) {
	name := r.PathValue("topic")
	a.target = topicTarget(name)
	if err := ours(name); err != nil {
		return nil, err
	}
	d, err := s.src.TopicChanges.DeleteTopic(r.Context(), name, a.dry)
	a.before = d
	return asked(d, err)
}

// onTopic returns a handler for a change of the topic in the path. It reads the body into a Q and refuses topics that
// are internal to Kafka or Connect.
func onTopic[Q any](do func(ctx context.Context, name string, q Q, a *act) (any, error)) func(*http.Request, *act) (any, error) {
	return func(r *http.Request, a *act) (any, error) {
		var q Q
		if err := decodeBody(r, &q); err != nil {
			return nil, err
		}
		name := r.PathValue("topic")
		a.target = topicTarget(name)
		if err := ours(name); err != nil {
			return nil, err
		}
		return do(r.Context(), name, q, a)
	}
}

// Growth is a request for more partitions.
type Growth struct {
	Partitions int `json:"partitions"` // new total
}

func (s *Server) addPartitions(ctx context.Context, name string, q Growth, a *act) (any, error) {
	g, err := s.src.TopicChanges.AddPartitions(ctx, name, q.Partitions, a.dry)
	a.before, a.after = map[string]int{"partitions": g.From}, map[string]int{"partitions": g.To}
	return asked(g, err)
}

// Truncating is a request to delete the oldest records of a topic.
type Truncating struct {
	Before     string  `json:"before"` // a position, in the syntax of the command line
	Partitions []int32 `json:"partitions"`
}

func (s *Server) truncate(ctx context.Context, name string, q Truncating, a *act) (any, error) {
	t, err := s.src.TopicChanges.DeleteRecords(ctx, name, q.Before, q.Partitions, a.dry)
	a.after = t
	return asked(t, err)
}
