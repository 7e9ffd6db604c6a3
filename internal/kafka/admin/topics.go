package admin

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// Topic is one row of a listing.
type Topic struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Messages   int64  `json:"messages"` // end minus start offsets: an upper bound if records between them were removed
	Kind       string `json:"kind"`     // core, support or other
	Internal   bool   `json:"internal"` // internal to Kafka
	Written    int64  `json:"-"`        // sum of the end offsets: all records ever written
}

// Kinds of topics.
const (
	KindCore    = "core"    // one of the eight topics that users work with
	KindSupport = "support" // needed by smartlb internally
	KindOther   = "other"
)

// ListTopics lists the topics of a cluster: first those of the catalog in its order, then the others by name. It
// includes topics internal to Kafka only if internal is set.
func ListTopics(ctx context.Context, a *kafka.Admin, catalog topic.Catalog, internal bool) ([]Topic, error) {
	all, err := listed(ctx, a)
	if err != nil {
		return nil, err
	}
	offsets, err := spans(ctx, a.Client(), all)
	if err != nil {
		return nil, err
	}
	counts, written := map[string]int64{}, map[string]int64{}
	for tp, s := range offsets {
		counts[tp.Topic] += s.End - s.Start
		written[tp.Topic] += s.End
	}
	out := []Topic{}
	for name, d := range all {
		if d.IsInternal && !internal {
			continue
		}
		out = append(out, Topic{
			Name: name, Partitions: len(d.Partitions), Replicas: d.Partitions.NumReplicas(),
			Messages: counts[name], Kind: KindOf(catalog, name), Internal: d.IsInternal, Written: written[name],
		})
	}
	order := map[string]int{}
	for i, name := range catalog.Names() {
		order[name] = i - len(catalog)
	}
	slices.SortFunc(out, func(a, b Topic) int {
		return cmp.Or(cmp.Compare(order[a.Name], order[b.Name]), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// KindOf returns the kind of a topic.
func KindOf(catalog topic.Catalog, name string) string {
	s, known := catalog.Find(name)
	switch {
	case !known:
		return KindOther
	case s.Support:
		return KindSupport
	default:
		return KindCore
	}
}

func messageCounts(ctx context.Context, a *kafka.Admin, topics kadm.TopicDetails) (map[string]int64, error) {
	all, err := spans(ctx, a.Client(), topics)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for tp, s := range all {
		counts[tp.Topic] += s.End - s.Start
	}
	return counts, nil
}

// Description describes one topic.
type Description struct {
	Name        string         `json:"name"`
	ID          string         `json:"id"`
	Description string         `json:"description,omitempty"` // from the catalog
	Owner       string         `json:"owner,omitempty"`
	Schema      string         `json:"schema,omitempty"`
	Key         string         `json:"key,omitempty"`
	Replicas    int            `json:"replicas"`
	Internal    bool           `json:"internal"`
	Partitions  []Partition    `json:"partitions"`
	Configs     []TopicSetting `json:"configs"`
}

// Partition is one partition of a Description.
type Partition struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Replicas  []int32 `json:"replicas"`
	InSync    []int32 `json:"isr"`
	Start     int64   `json:"start"`
	End       int64   `json:"end"`
}

// TopicSetting is one configuration of a topic.
type TopicSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Set   bool   `json:"set"` // set on the topic; otherwise the broker's value applies
}

// DescribeTopic describes one topic. It returns ErrNoTopic if the topic does not exist.
func DescribeTopic(ctx context.Context, a *kafka.Admin, catalog topic.Catalog, name string) (Description, error) {
	all, err := DescribeTopics(ctx, a, catalog, name)
	if err != nil {
		return Description{}, err
	}
	return all[0], nil
}

// DescribeTopics describes topics in the order of their names. It returns ErrNoTopic if a topic does not exist.
func DescribeTopics(ctx context.Context, a *kafka.Admin, catalog topic.Catalog, names ...string) ([]Description, error) {
	topics, err := existing(ctx, a, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topic %w", err)
	}
	offsets, err := spans(ctx, a.Client(), topics)
	if err != nil {
		return nil, err
	}
	settings, err := topicSettings(ctx, kadm.NewClient(a.Client()), names...)
	if err != nil {
		return nil, err
	}
	out := []Description{}
	for _, name := range names {
		d := topics[name]
		t := Description{
			Name: name, ID: hex.EncodeToString(d.ID[:]), Internal: d.IsInternal,
			Replicas: d.Partitions.NumReplicas(), Partitions: []Partition{}, Configs: settings[name],
		}
		if s, known := catalog.Find(name); known {
			t.Description, t.Owner, t.Schema, t.Key = s.Description, s.Owner, s.Schema, s.Key
		}
		for _, p := range d.Partitions.Sorted() {
			s, found := offsets[kafka.TopicPartition{Topic: name, Partition: p.Partition}]
			if !found {
				s = span{Start: -1, End: -1}
			}
			t.Partitions = append(t.Partitions, Partition{
				Partition: p.Partition, Leader: p.Leader, Replicas: nonNil(p.Replicas), InSync: nonNil(p.ISR),
				Start: s.Start, End: s.End,
			})
		}
		out = append(out, t)
	}
	return out, nil
}

// existing lists topics that must exist. The error names all that do not exist, each with the most similar existing
// name.
func existing(ctx context.Context, a *kafka.Admin, names ...string) (kadm.TopicDetails, error) {
	for _, name := range names {
		if err := topic.CheckName(name); err != nil {
			return nil, err
		}
	}
	topics, err := listed(ctx, a, names...)
	if err != nil {
		return nil, err
	}
	var errs []error
	var known []string
	for _, name := range names {
		d := topics[name]
		switch {
		case d.Err == nil && len(d.Partitions) > 0:
			continue
		case d.Err != nil && !errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			errs = append(errs, fmt.Errorf("%s: %w", name, d.Err))
			continue
		}
		if known == nil {
			if all, err := listed(ctx, a); err == nil {
				known = public(all).Names()
			}
		}
		errs = append(errs, missing(ErrNoTopic, name, known))
	}
	return topics, errors.Join(errs...)
}

// topicSettings reads the configurations of topics, sorted by name.
func topicSettings(ctx context.Context, adm *kadm.Client, topics ...string) (map[string][]TopicSetting, error) {
	var described kadm.ResourceConfigs
	err := untilHeard(ctx, func() (err error) {
		if described, err = adm.DescribeTopicConfigs(ctx, topics...); err != nil {
			return err
		}
		for _, rc := range described {
			if errors.Is(rc.Err, kerr.UnknownTopicOrPartition) {
				return fmt.Errorf("read configuration of %s: %w", rc.Name, rc.Err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read topic configurations: %w", err)
	}
	out := map[string][]TopicSetting{}
	for _, rc := range described {
		if rc.Err != nil {
			return nil, fmt.Errorf("read configuration of %s: %w", rc.Name, rc.Err)
		}
		settings := []TopicSetting{}
		for _, c := range rc.Configs {
			settings = append(settings, TopicSetting{Name: c.Key, Value: c.MaybeValue(), Set: c.Source == kmsg.ConfigSourceDynamicTopicConfig})
		}
		slices.SortFunc(settings, func(a, b TopicSetting) int { return cmp.Compare(a.Name, b.Name) })
		out[rc.Name] = settings
	}
	return out, nil
}

// topicValue returns the value that a topic sets, and the value that would apply otherwise.
func topicValue(c kadm.Config) (value string, set bool, inherited string) {
	set = c.Source == kmsg.ConfigSourceDynamicTopicConfig
	if !set {
		inherited = c.MaybeValue()
	}
	for _, syn := range c.Synonyms {
		if syn.Source != kmsg.ConfigSourceDynamicTopicConfig {
			if syn.Value != nil {
				inherited = *syn.Value
			}
			break
		}
	}
	return c.MaybeValue(), set, inherited
}

// nonNil returns an empty slice for nil, so that JSON arrays are not null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
