package ops

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
	"github.com/smartlb/smartlb/internal/topic"
)

// ErrNoTopic means that a topic does not exist.
var ErrNoTopic = errors.New("topic does not exist")

// Topic is one line of a listing.
type Topic struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Messages   int64  `json:"messages"` // end minus start offsets: an upper bound where records were removed in between
	Kind       string `json:"kind"`     // core, support or other
	Internal   bool   `json:"internal"` // to Kafka
}

// Kinds of topics.
const (
	KindCore    = "core"    // one of the eight that users know
	KindSupport = "support" // what smartlb needs for itself
	KindOther   = "other"
)

// ListTopics lists the topics of a cluster: those of the catalog in its order,
// then the others by name. Topics internal to Kafka only when asked for.
func ListTopics(ctx context.Context, a *kafka.Admin, catalog topic.Catalog, internal bool) ([]Topic, error) {
	adm := kadm.NewClient(a.Client())
	listed, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	counts, err := messageCounts(ctx, adm, listed.Names())
	if err != nil {
		return nil, err
	}
	out := []Topic{}
	for name, d := range listed {
		if d.IsInternal && !internal {
			continue
		}
		out = append(out, Topic{
			Name: name, Partitions: len(d.Partitions), Replicas: d.Partitions.NumReplicas(),
			Messages: counts[name], Kind: kindOf(catalog, name), Internal: d.IsInternal,
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

func kindOf(catalog topic.Catalog, name string) string {
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

func messageCounts(ctx context.Context, adm *kadm.Client, topics []string) (map[string]int64, error) {
	counts := map[string]int64{}
	if len(topics) == 0 {
		return counts, nil
	}
	first, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list start offsets: %w", err)
	}
	last, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	last.Each(func(o kadm.ListedOffset) {
		if begin, ok := first.Lookup(o.Topic, o.Partition); ok && o.Err == nil && begin.Err == nil {
			counts[o.Topic] += o.Offset - begin.Offset
		}
	})
	return counts, nil
}

// Description is all about one topic.
type Description struct {
	Name        string         `json:"name"`
	ID          string         `json:"id"`
	Description string         `json:"description,omitempty"` // of the catalog
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
	Set   bool   `json:"set"` // on the topic itself; otherwise it is the broker's
}

// DescribeTopic describes one topic; ErrNoTopic when there is none.
func DescribeTopic(ctx context.Context, a *kafka.Admin, catalog topic.Catalog, name string) (Description, error) {
	adm := kadm.NewClient(a.Client())
	listed, err := adm.ListTopicsWithInternal(ctx, name)
	if err != nil {
		return Description{}, fmt.Errorf("describe topic %s: %w", name, err)
	}
	d := listed[name]
	if errors.Is(d.Err, kerr.UnknownTopicOrPartition) || len(d.Partitions) == 0 {
		return Description{}, fmt.Errorf("describe topic %s: %w", name, ErrNoTopic)
	}
	if d.Err != nil {
		return Description{}, fmt.Errorf("describe topic %s: %w", name, d.Err)
	}
	first, err := adm.ListStartOffsets(ctx, name)
	if err != nil {
		return Description{}, fmt.Errorf("list start offsets: %w", err)
	}
	last, err := adm.ListEndOffsets(ctx, name)
	if err != nil {
		return Description{}, fmt.Errorf("list end offsets: %w", err)
	}
	settings, err := topicSettings(ctx, adm, name)
	if err != nil {
		return Description{}, err
	}
	out := Description{
		Name: name, ID: hex.EncodeToString(d.ID[:]), Internal: d.IsInternal,
		Replicas: d.Partitions.NumReplicas(), Partitions: []Partition{}, Configs: settings[name],
	}
	if s, known := catalog.Find(name); known {
		out.Description, out.Owner, out.Schema, out.Key = s.Description, s.Owner, s.Schema, s.Key
	}
	for _, p := range d.Partitions.Sorted() {
		f, _ := first.Lookup(name, p.Partition)
		l, _ := last.Lookup(name, p.Partition)
		out.Partitions = append(out.Partitions, Partition{
			Partition: p.Partition, Leader: p.Leader, Replicas: some(p.Replicas), InSync: some(p.ISR),
			Start: f.Offset, End: l.Offset,
		})
	}
	return out, nil
}

// topicSettings reads the configurations of topics, sorted by name.
func topicSettings(ctx context.Context, adm *kadm.Client, topics ...string) (map[string][]TopicSetting, error) {
	described, err := adm.DescribeTopicConfigs(ctx, topics...)
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

// some keeps JSON arrays from being null.
func some[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// NewTopic is a topic to be created.
type NewTopic struct {
	Name       string
	Partitions int32 // -1: the broker's default
	Replicas   int16 // -1: the broker's default
	Configs    map[string]string
}

// CreateTopic creates one topic. With validateOnly it only asks whether it
// could.
func CreateTopic(ctx context.Context, a *kafka.Admin, t NewTopic, validateOnly bool) error {
	if err := topic.CheckName(t.Name); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	configs := make(map[string]*string, len(t.Configs))
	for k, v := range t.Configs {
		configs[k] = &v
	}
	adm := kadm.NewClient(a.Client())
	call := adm.CreateTopics
	if validateOnly {
		call = adm.ValidateCreateTopics
	}
	resp, err := call(ctx, t.Partitions, t.Replicas, configs, t.Name)
	if err != nil {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	r := resp[t.Name]
	if r.Err != nil && r.ErrMessage != "" {
		return fmt.Errorf("create topic %s: %w (%s)", t.Name, r.Err, r.ErrMessage)
	}
	if r.Err != nil {
		return fmt.Errorf("create topic %s: %w", t.Name, r.Err)
	}
	return nil
}
