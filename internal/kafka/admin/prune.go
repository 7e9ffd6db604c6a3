package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Prunable is a topic that a catalog does not name.
type Prunable struct {
	Topic     string `json:"topic"`
	Messages  int64  `json:"messages"`
	Protected string `json:"protected,omitempty"` // why it is kept
	Deleted   bool   `json:"deleted"`
	Error     string `json:"error,omitempty"`
}

// PruneSpec defines which topics may be deleted.
type PruneSpec struct {
	File    topic.File
	Names   []string // topics to delete, each typed by the operator; empty: only list
	Force   bool     // also topics that hold records
	Execute bool
}

// Prune lists the topics that a catalog does not name, and deletes those that spec names. Topics of Kafka and of
// Connect, topics with active consumer groups and, without Force, topics with records are protected.
func Prune(ctx context.Context, a *kafka.Admin, spec PruneSpec) ([]Prunable, error) {
	plan, err := MakePlan(ctx, a, PlanSpec{File: spec.File})
	if err != nil {
		return nil, err
	}
	actual, err := everyTopic(ctx, a)
	if err != nil {
		return nil, err
	}
	used, err := topicsInUse(ctx, a)
	if err != nil {
		return nil, err
	}
	out := []Prunable{}
	var names []string
	for _, s := range plan.Steps {
		if s.Kind != topic.Foreign {
			continue
		}
		p := Prunable{Topic: s.Topic, Messages: actual[s.Topic].Messages}
		switch group := used[s.Topic]; {
		case strings.HasPrefix(s.Topic, "connect-"), strings.HasPrefix(s.Topic, "_"):
			p.Protected = "it belongs to Kafka, Connect or a registry"
		case group != "":
			p.Protected = "group " + group + " reads it"
		case p.Messages != 0 && !spec.Force:
			p.Protected = "it holds records"
		}
		out = append(out, p)
		names = append(names, s.Topic)
	}
	var errs []error
	for _, name := range spec.Names {
		i := slices.IndexFunc(out, func(p Prunable) bool { return p.Topic == name })
		switch {
		case i < 0 && slices.Contains(spec.File.Catalog().Names(), name):
			errs = append(errs, fmt.Errorf("prune %s: the catalog names it", name))
		case i < 0:
			errs = append(errs, fmt.Errorf("prune %w", missing(ErrNoTopic, name, names)))
		case out[i].Protected != "":
			errs = append(errs, fmt.Errorf("prune %s: it is protected: %s", name, out[i].Protected))
		}
	}
	if err := errors.Join(errs...); err != nil || !spec.Execute || len(spec.Names) == 0 {
		return out, err
	}
	deleted, err := DeleteTopics(ctx, a, true, spec.Names...)
	for _, d := range deleted {
		i := slices.IndexFunc(out, func(p Prunable) bool { return p.Topic == d.Topic })
		out[i].Deleted, out[i].Error = d.Deleted, d.Error
	}
	return out, err
}

// topicsInUse maps topics to a group with members that reads them.
func topicsInUse(ctx context.Context, a *kafka.Admin) (map[string]string, error) {
	groups, err := DescribeGroups(ctx, a)
	if err != nil && len(groups) == 0 {
		return nil, err
	}
	used := map[string]string{}
	for _, g := range groups {
		for _, t := range g.Topics {
			if g.Members > 0 {
				used[t.Topic] = g.Name
			}
		}
	}
	return used, nil
}
