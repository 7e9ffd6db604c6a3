package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Admin queries a cluster. Every call is bounded by its context and by Config.RequestTimeout. It is safe for concurrent
// use.
type Admin struct {
	cfg    Config
	client *kgo.Client
	adm    *kadm.Client
	once   sync.Once
}

// NewAdmin checks cfg and makes a client; it does not dial.
func NewAdmin(cfg Config) (*Admin, error) { return NewAdminWithin(context.Background(), cfg) }

// NewAdminWithin makes a client whose calls all fail when ctx ends. The context of a single call does not interrupt the
// wait for a broker that hangs. more is for the packages that may import the client library.
func NewAdminWithin(ctx context.Context, cfg Config, more ...kgo.Opt) (*Admin, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kafka admin: %w", err)
	}
	// Results must be current: the library may return cached metadata that is younger than this.
	c, err := kgo.NewClient(append(append(cfg.Options(), kgo.WithContext(ctx), kgo.MetadataMinAge(10*time.Millisecond)), more...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka admin: %w", err)
	}
	return &Admin{cfg: cfg, client: c, adm: kadm.NewClient(c)}, nil
}

// Close releases the connections; calls under way fail. It may be called more
// than once.
func (a *Admin) Close() { a.once.Do(a.client.Close) }

// Client returns the library's client, for the packages that may import the client library. It is closed with a.
func (a *Admin) Client() *kgo.Client { return a.client }

// Cluster identifies a cluster and the requested topics.
type Cluster struct {
	ID      string
	Brokers int
	Topics  map[string]Topic // existing topics only
}

// Topic identifies one topic. A topic that was deleted and created again has
// another ID.
type Topic struct {
	ID         string // 32 hex digits
	Partitions int32
}

// Describe returns the cluster and those of the named topics that exist. Without names it returns all topics that are
// not internal to Kafka.
func (a *Admin) Describe(ctx context.Context, topics ...string) (Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.RequestTimeout)
	defer cancel()
	m, err := a.adm.Metadata(ctx, topics...)
	if err != nil {
		return Cluster{}, fmt.Errorf("ask for topics: %w", err)
	}
	c := Cluster{ID: m.Cluster, Brokers: len(m.Brokers), Topics: map[string]Topic{}}
	for name, t := range m.Topics {
		if errors.Is(t.Err, kerr.UnknownTopicOrPartition) || (len(topics) == 0 && t.IsInternal) {
			continue
		}
		if t.Err != nil {
			return Cluster{}, fmt.Errorf("topic %s: %w", name, t.Err)
		}
		c.Topics[name] = Topic{ID: hex.EncodeToString(t.ID[:]), Partitions: int32(len(t.Partitions))}
	}
	return c, nil
}

// Ping succeeds when the broker returns a listing of topics.
func (a *Admin) Ping(ctx context.Context) error {
	_, err := a.Describe(ctx)
	return err
}

// StartOffsets returns the oldest offset of every partition.
func (a *Admin) StartOffsets(ctx context.Context, topics ...string) (map[TopicPartition]int64, error) {
	return a.list(ctx, topics, a.adm.ListStartOffsets)
}

// EndOffsets returns the offset that the next record of every partition will
// get.
func (a *Admin) EndOffsets(ctx context.Context, topics ...string) (map[TopicPartition]int64, error) {
	return a.list(ctx, topics, a.adm.ListEndOffsets)
}

// OffsetsAt returns, for every partition, the first offset whose timestamp is ts or later. If there is none, it returns
// the end offset.
func (a *Admin) OffsetsAt(ctx context.Context, ts time.Time, topics ...string) (map[TopicPartition]int64, error) {
	return a.list(ctx, topics, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
		return a.adm.ListOffsetsAfterMilli(ctx, ts.UnixMilli(), topics...)
	})
}

func (a *Admin) list(ctx context.Context, topics []string, call func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[TopicPartition]int64, error) {
	if len(topics) == 0 {
		return map[TopicPartition]int64{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.RequestTimeout)
	defer cancel()
	listed, err := call(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	out := make(map[TopicPartition]int64, len(listed))
	listed.Each(func(o kadm.ListedOffset) { out[TopicPartition{o.Topic, o.Partition}] = o.Offset })
	return out, nil
}
