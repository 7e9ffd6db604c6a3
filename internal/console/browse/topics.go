package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// topicPast holds the measurements of one topic.
type topicPast struct {
	ends    int64 // sum of the end offsets at the latest sample
	at      time.Time
	in      ring // messages per second
	bytes   int64
	sizedAt time.Time // zero: never
	grown   ring      // bytes per second
}

// Topic is an entry in the list of topics, with its measurements.
type Topic struct {
	admin.Topic
	Description string       `json:"description,omitempty"` // from the catalog
	Bytes       *int64       `json:"bytes"`                 // size of one replica on disk; null: unknown
	Rate        *float64     `json:"rate"`                  // incoming messages per second; null: unknown
	Lag         *int64       `json:"lag"`                   // sum over all groups with a commit in the topic; null: no such group, or unknown
	Drift       []topic.Step `json:"drift"`                 // differences from the catalog
}

// listingAge is the maximum age of a cached list of topics. The sampler refreshes the list each Step, or less often if
// the cluster is slow.
const listingAge = Step + 2*time.Second

func (b *Browser) list(ctx context.Context) ([]admin.Topic, error) {
	return admin.ListTopics(ctx, b.cfg.Admin, b.cfg.Catalog.Catalog(), true)
}

// Topics lists the topics, those of the catalog first. With internal, it also lists topics that are internal to Kafka.
func (b *Browser) Topics(ctx context.Context, internal bool) ([]Topic, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	all, err := b.listing.get(ctx, listingAge, b.list)
	if err != nil {
		return nil, b.explained(err)
	}
	drift := map[string][]topic.Step{}
	if plan, ok := b.plan.peek(planAge); ok {
		for _, s := range plan.Steps {
			if s.Kind != topic.Foreign {
				drift[s.Topic] = append(drift[s.Topic], s)
			}
		}
	}
	now := step(time.Now())
	catalog, lags := b.cfg.Catalog.Catalog(), b.lagByTopic()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Topic, 0, len(all))
	for _, t := range all {
		if t.Internal && !internal {
			continue
		}
		x := Topic{Topic: t, Drift: nonNil(drift[t.Name])}
		if t.Kind != admin.KindOther {
			s, _ := catalog.Find(t.Name)
			x.Description = s.Description
		}
		if lag, read := lags[t.Name]; read {
			x.Lag = &lag
		}
		if past := b.topics[t.Name]; past != nil {
			x.Rate = known(past.in.last(now))
			x.Bytes = past.size()
		}
		out = append(out, x)
	}
	return out, nil
}

// known returns a pointer to v, or nil if ok is false.
func known[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// nonNil returns s, or an empty slice if s is nil, so that JSON arrays are not null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (p *topicPast) size() *int64 { return known(p.bytes, !p.sizedAt.IsZero()) }

// sampleTopics measures the message rates of the topics. The measurements of a recreated topic start again.
func (b *Browser) sampleTopics(ctx context.Context, now time.Time) error {
	all, err := b.listing.get(ctx, 0, b.list)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.topics
	b.topics = make(map[string]*topicPast, len(all))
	for _, t := range all {
		past := before[t.Name]
		if past == nil || t.Written < past.ends {
			b.topics[t.Name] = &topicPast{ends: t.Written, at: now}
			continue
		}
		past.in.put(step(now), float32(float64(t.Written-past.ends)/now.Sub(past.at).Seconds()))
		past.ends, past.at = t.Written, now
		b.topics[t.Name] = past
	}
	return nil
}

// TopicDetail describes one topic.
type TopicDetail struct {
	admin.Description
	Kind  string       `json:"kind"`
	Rate  *float64     `json:"rate"`  // incoming messages per second; null: unknown
	Bytes *int64       `json:"bytes"` // size of one replica on disk; null: unknown
	Sizes []*int64     `json:"sizes"` // the same for each partition, in their order
	Drift []topic.Step `json:"drift"` // differences from the catalog

	Reserved bool `json:"reserved"` // writing to the topic needs the role admin
}

// Topic describes one topic. It returns admin.ErrNoTopic if the topic does not exist.
func (b *Browser) Topic(ctx context.Context, name string) (TopicDetail, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	d, err := admin.DescribeTopic(ctx, b.cfg.Admin, b.cfg.Catalog.Catalog(), name)
	if err != nil {
		return TopicDetail{}, b.explained(err)
	}
	out := TopicDetail{Description: d, Kind: admin.KindOf(b.cfg.Catalog.Catalog(), name), Sizes: make([]*int64, len(d.Partitions)), Drift: []topic.Step{}, Reserved: topic.Reserved(name)}
	if sizes, ok := b.sizes.peek(sizesAge); ok {
		for i, p := range d.Partitions {
			n, found := sizes.Partitions[kafka.TopicPartition{Topic: name, Partition: p.Partition}]
			out.Sizes[i] = known(n, found)
		}
	}
	if plan, ok := b.plan.peek(planAge); ok {
		for _, s := range plan.Steps {
			if s.Topic == name && s.Kind != topic.Foreign {
				out.Drift = append(out.Drift, s)
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if past := b.topics[name]; past != nil {
		out.Rate, out.Bytes = known(past.in.last(step(time.Now()))), past.size()
	}
	return out, nil
}

// TopicHistory holds the incoming messages and bytes of one topic over the last minutes.
type TopicHistory struct {
	Messages Series `json:"messages"` // per second
	Bytes    Series `json:"bytes"`    // per second, from the growth of the log on disk; a gap after records were deleted
}

// TopicHistory returns the measurements of a topic. A topic that was just found has none yet.
func (b *Browser) TopicHistory(_ context.Context, name string) (TopicHistory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	past := b.topics[name]
	if past == nil {
		past = &topicPast{}
	}
	return TopicHistory{Messages: past.in.series(), Bytes: past.grown.series()}, nil
}

// TopicGroup is a consumer group and its state in one topic.
type TopicGroup struct {
	Name       string            `json:"name"`
	State      string            `json:"state"`
	Type       string            `json:"type"`    // classic or consumer (KIP-848)
	Members    int               `json:"members"` // of the whole group
	Lag        int64             `json:"lag"`     // in this topic
	Partitions []admin.GroupPart `json:"partitions"`
}

// groupsAge is the maximum age of cached groups.
const groupsAge = Step

// TopicGroups returns the groups that have a commit in a topic or read it now.
func (b *Browser) TopicGroups(ctx context.Context, name string) ([]TopicGroup, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	all, err := b.described.get(ctx, groupsAge, b.describeGroups)
	if err != nil {
		return nil, b.explained(err)
	}
	out := []TopicGroup{}
	for _, g := range all {
		x := TopicGroup{Name: g.Name, State: g.State, Type: g.Type, Members: g.Members, Partitions: []admin.GroupPart{}}
		for _, p := range g.Rows {
			if p.Topic == name {
				x.Partitions = append(x.Partitions, p)
				x.Lag += max(p.Lag, 0)
			}
		}
		if len(x.Partitions) > 0 {
			out = append(out, x)
		}
	}
	return out, nil
}
