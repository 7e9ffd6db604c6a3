package topic

import (
	"fmt"
	"maps"
	"slices"
)

// Actual is a topic as a cluster has it.
type Actual struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    map[string]string // those set on the topic itself, not the broker's defaults
}

// Kind is what a Step does.
type Kind string

// Kinds of steps.
const (
	Create        Kind = "create"         // the topic is missing
	AddPartitions Kind = "add-partitions" // it has too few
	SetConfig     Kind = "set-config"     // a configuration differs
	Impossible    Kind = "impossible"     // Kafka cannot do it, or not without losing data
	Unmanaged     Kind = "unmanaged"      // the cluster has a configuration that the catalog does not know; left as it is
)

// Step is one thing to be done, or one that cannot be.
type Step struct {
	Kind   Kind   `json:"kind"`
	Topic  string `json:"topic"`
	Config string `json:"config,omitempty"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Changes reports whether carrying the step out would change the cluster.
func (s Step) Changes() bool {
	return s.Kind == Create || s.Kind == AddPartitions || s.Kind == SetConfig
}

func (s Step) String() string {
	switch s.Kind {
	case Create:
		return fmt.Sprintf("+ %s (%s partitions)", s.Topic, s.To)
	case AddPartitions:
		return fmt.Sprintf("~ %s partitions %s -> %s: %s", s.Topic, s.From, s.To, s.Reason)
	case SetConfig:
		return fmt.Sprintf("~ %s %s %s -> %s", s.Topic, s.Config, orUnset(s.From), s.To)
	case Unmanaged:
		return fmt.Sprintf("? %s %s=%s is not in the catalog", s.Topic, s.Config, s.From)
	default:
		return fmt.Sprintf("! %s %s", s.Topic, s.Reason)
	}
}

func orUnset(v string) string {
	if v == "" {
		return "(default)"
	}
	return v
}

// Plan is what it takes to make a cluster like the catalog, in the catalog's
// order. Topics that the catalog does not name are left alone and not listed.
type Plan []Step

// Changes reports whether carrying the plan out would change the cluster.
func (p Plan) Changes() bool { return slices.ContainsFunc(p, Step.Changes) }

// Diff returns the steps from actual to desired. It never asks to delete
// anything.
func Diff(desired Catalog, actual map[string]Actual) Plan {
	plan := Plan{}
	for _, want := range desired {
		have, exists := actual[want.Name]
		if !exists {
			plan = append(plan, Step{Kind: Create, Topic: want.Name, To: fmt.Sprint(want.Partitions)})
			continue
		}
		from, to := fmt.Sprint(have.Partitions), fmt.Sprint(want.Partitions)
		switch {
		case have.Partitions < want.Partitions:
			plan = append(plan, Step{Kind: AddPartitions, Topic: want.Name, From: from, To: to, Reason: "records of one key move to another partition from then on"})
		case have.Partitions > want.Partitions:
			plan = append(plan, Step{Kind: Impossible, Topic: want.Name, From: from, To: to, Reason: fmt.Sprintf("has %s partitions instead of %s, and Kafka cannot take partitions away", from, to)})
		}
		for _, key := range slices.Sorted(maps.Keys(want.Configs)) {
			if value := want.Configs[key]; have.Configs[key] != value {
				plan = append(plan, Step{Kind: SetConfig, Topic: want.Name, Config: key, From: have.Configs[key], To: value})
			}
		}
		for _, key := range slices.Sorted(maps.Keys(have.Configs)) {
			if _, known := want.Configs[key]; !known {
				plan = append(plan, Step{Kind: Unmanaged, Topic: want.Name, Config: key, From: have.Configs[key]})
			}
		}
	}
	return plan
}
