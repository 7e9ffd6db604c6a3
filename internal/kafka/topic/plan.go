package topic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Actual describes a topic as it is in a cluster.
type Actual struct {
	Name       string
	Partitions int32
	Replicas   int16
	Messages   int64             // upper bound of the number of records; negative: unknown
	Configs    map[string]string // those set on the topic, without the broker's defaults
	Defaults   map[string]string // values that apply if nothing is set; may be nil
}

// Kind is what a Step does.
type Kind string

// Kinds of steps.
const (
	Create        Kind = "create"         // the topic is missing
	AddPartitions Kind = "add-partitions" // it has too few partitions
	SetConfig     Kind = "set-config"     // a configuration differs
	UnsetConfig   Kind = "unset-config"   // the catalog does not name it, and the caller asked to reset such settings
	Impossible    Kind = "impossible"     // Kafka cannot do it, or only with loss of data
	Unmanaged     Kind = "unmanaged"      // only the cluster has this configuration; left as it is
	Foreign       Kind = "foreign"        // only the cluster has this topic; left as it is
)

// Permission is what an operator must allow before a step is applied.
type Permission string

// Permissions.
const (
	Repartition Permission = "allow-repartition" // records of one key move to another partition
	Loss        Permission = "allow-loss"        // data, or a guarantee for it, is lost
)

// Step is one change, or one difference that cannot be changed.
type Step struct {
	Kind   Kind       `json:"kind"`
	Topic  string     `json:"topic"`
	Config string     `json:"config,omitempty"`
	From   string     `json:"from,omitempty"`
	To     string     `json:"to,omitempty"`
	Reason string     `json:"reason,omitempty"` // the consequence, or why it is impossible
	Needs  Permission `json:"needs,omitempty"`  // permission without which it is not applied
}

// Changes reports whether applying the step would change the cluster.
func (s Step) Changes() bool {
	return s.Kind == Create || s.Kind == AddPartitions || s.Kind == SetConfig || s.Kind == UnsetConfig
}

// Drift reports whether the step is a difference between catalog and cluster. Topics that the catalog does not name are
// not drift.
func (s Step) Drift() bool { return s.Kind != Foreign }

// Mark returns one character for the step: + new, ~ change, ! impossible, ? left alone.
func (s Step) Mark() string {
	switch s.Kind {
	case Create:
		return "+"
	case AddPartitions, SetConfig, UnsetConfig:
		return "~"
	case Impossible:
		return "!"
	default:
		return "?"
	}
}

func (s Step) String() string {
	from, to := Human(s.Config, s.From), Human(s.Config, s.To)
	var text string
	switch s.Kind {
	case Create:
		text = fmt.Sprintf("(%s partitions)", s.To)
	case AddPartitions:
		text = fmt.Sprintf("partitions %s -> %s", s.From, s.To)
	case SetConfig:
		text = fmt.Sprintf("%s %s -> %s", s.Config, orUnset(from), to)
	case UnsetConfig:
		text = fmt.Sprintf("%s %s -> %s", s.Config, from, orUnset(to))
	case Unmanaged:
		text = fmt.Sprintf("%s=%s is not in the catalog", s.Config, from)
	case Foreign:
		text = "is not in the catalog"
	default:
		return fmt.Sprintf("! %s %s", s.Topic, s.Reason)
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	if s.Needs != "" {
		text += fmt.Sprintf(" (needs --%s)", s.Needs)
	}
	return s.Mark() + " " + s.Topic + " " + text
}

func orUnset(v string) string {
	if v == "" {
		return "(default)"
	}
	return v
}

// Plan lists the steps that make a cluster match the catalog, in the catalog's order; topics that the catalog does not
// name come last.
type Plan []Step

// Changes reports whether applying the plan would change the cluster.
func (p Plan) Changes() bool { return slices.ContainsFunc(p, Step.Changes) }

// Drift reports whether cluster and catalog differ.
func (p Plan) Drift() bool { return slices.ContainsFunc(p, Step.Drift) }

// Rules configure the comparison. The zero value changes nothing that the catalog does not name.
type Rules struct {
	ResetUnmanaged bool // reset configurations that the catalog does not name to their default
	Brokers        int  // number of brokers in the cluster; 0: unknown
}

// Diff compares with the zero Rules.
func Diff(desired Catalog, actual map[string]Actual) Plan { return Rules{}.Diff(desired, actual) }

// Diff returns the steps from actual to desired. It never deletes a topic. Steps that would lose data or guarantees
// give the reason and need a permission. Changes that Kafka cannot make are included with the reason.
func (r Rules) Diff(desired Catalog, actual map[string]Actual) Plan {
	plan := Plan{}
	for _, want := range desired {
		have, exists := actual[want.Name]
		if !exists {
			plan = append(plan, r.create(want))
			continue
		}
		plan = append(plan, r.shape(want, have)...)
		plan = append(plan, r.configs(want, have)...)
	}
	for _, name := range slices.Sorted(maps.Keys(actual)) {
		if _, known := desired.Find(name); !known && !strings.HasPrefix(name, "__") {
			plan = append(plan, Step{Kind: Foreign, Topic: name})
		}
	}
	return plan
}

func (r Rules) create(want Spec) Step {
	if r.Brokers > 0 && int(want.Replicas) > r.Brokers {
		return Step{Kind: Impossible, Topic: want.Name, To: fmt.Sprint(want.Replicas),
			Reason: fmt.Sprintf("is to have %d replicas, and the cluster has %d brokers", want.Replicas, r.Brokers)}
	}
	return Step{Kind: Create, Topic: want.Name, To: fmt.Sprint(want.Partitions)}
}

// shape compares the numbers of partitions and replicas.
func (r Rules) shape(want Spec, have Actual) Plan {
	var plan Plan
	from, to := fmt.Sprint(have.Partitions), fmt.Sprint(want.Partitions)
	switch {
	case have.Partitions < want.Partitions:
		s := Step{Kind: AddPartitions, Topic: want.Name, From: from, To: to}
		if !want.Unkeyed() && have.Messages != 0 {
			s.Reason, s.Needs = "records of one key move to another partition from then on", Repartition
		}
		plan = append(plan, s)
	case have.Partitions > want.Partitions:
		plan = append(plan, Step{Kind: Impossible, Topic: want.Name, From: from, To: to,
			Reason: fmt.Sprintf("has %s partitions instead of %s, and Kafka cannot remove partitions", from, to)})
	}
	if want.Replicas > 0 && have.Replicas > 0 && want.Replicas != have.Replicas {
		plan = append(plan, Step{Kind: Impossible, Topic: want.Name, From: fmt.Sprint(have.Replicas), To: fmt.Sprint(want.Replicas),
			Reason: fmt.Sprintf("has %d replicas instead of %d: move them with kafka-reassign-partitions.sh", have.Replicas, want.Replicas)})
	}
	return plan
}

// configs compares the catalog's settings with the values that apply in the cluster. A value equal to the default is no
// difference.
func (r Rules) configs(want Spec, have Actual) Plan {
	var plan Plan
	for _, key := range slices.Sorted(maps.Keys(want.Configs)) {
		value := want.Configs[key]
		now, set := have.Configs[key]
		if set && SameConfig(key, now, value) {
			continue
		}
		s := Step{Kind: SetConfig, Topic: want.Name, Config: key, From: now, To: value}
		if !set {
			now = have.Defaults[key]
		}
		if danger := Danger(key, now, value); danger != "" && have.Messages != 0 {
			s.Reason, s.Needs = danger, Loss
		}
		plan = append(plan, s)
	}
	for _, key := range slices.Sorted(maps.Keys(have.Configs)) {
		if _, known := want.Configs[key]; known {
			continue
		}
		s := Step{Kind: Unmanaged, Topic: want.Name, Config: key, From: have.Configs[key]}
		if r.ResetUnmanaged {
			s.Kind, s.To = UnsetConfig, have.Defaults[key]
			if danger := Danger(key, s.From, s.To); danger != "" && have.Messages != 0 {
				s.Reason, s.Needs = danger, Loss
			}
		}
		plan = append(plan, s)
	}
	return plan
}
