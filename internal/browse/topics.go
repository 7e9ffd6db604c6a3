package browse

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/ops"
)

// topicPast is what was measured of one topic.
type topicPast struct {
	ends int64 // sum of the end offsets at the last sample
	at   time.Time
	in   ring // messages per second
}

// Topic is a line of the listing with its rate.
type Topic struct {
	ops.Topic
	Rate *float64 `json:"rate"` // messages per second that come in; null: not known yet
}

// Topics lists the topics, those of the catalog first; with internal also
// those of Kafka itself.
func (b *Browser) Topics(ctx context.Context, internal bool) ([]Topic, error) {
	all, err := ops.ListTopics(ctx, b.cfg.Admin, b.cfg.Catalog.Catalog(), internal)
	if err != nil {
		return nil, err
	}
	now := step(time.Now())
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Topic, 0, len(all))
	for _, t := range all {
		x := Topic{Topic: t}
		if past := b.topics[t.Name]; past != nil {
			if v, ok := past.in.last(now); ok {
				x.Rate = &v
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// sampleTopics measures how fast the topics grow. A topic that was created
// again begins anew.
func (b *Browser) sampleTopics(ctx context.Context, now time.Time) error {
	ends, err := ops.EndOffsets(ctx, b.cfg.Admin)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.topics {
		if _, there := ends[name]; !there {
			delete(b.topics, name)
		}
	}
	for name, sum := range ends {
		past := b.topics[name]
		if past == nil || sum < past.ends {
			b.topics[name] = &topicPast{ends: sum, at: now}
			continue
		}
		past.in.put(step(now), float32(float64(sum-past.ends)/now.Sub(past.at).Seconds()))
		past.ends, past.at = sum, now
	}
	return nil
}
