package admin

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Broker is one row of a listing.
type Broker struct {
	ID         int32    `json:"id"`
	Address    string   `json:"address"` // advertised to clients
	Rack       string   `json:"rack"`
	Controller bool     `json:"controller"`
	Leaders    int      `json:"leaders"`  // partitions that it leads
	Replicas   int      `json:"replicas"` // partitions that it holds
	Bytes      int64    `json:"bytes"`    // on its disks; -1: it does not report them
	Version    string   `json:"version"`  // estimated from the requests that it supports; empty: it does not report them, or is embedded
	Embedded   bool     `json:"embedded"` // it is the embedded broker of smartlb
	Dirs       []LogDir `json:"dirs"`
}

// Troubled is a partition without a leader or with too few replicas in sync.
type Troubled struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"` // -1: no leader, so clients can neither read nor write
	Replicas  []int32 `json:"replicas"`
	InSync    []int32 `json:"isr"`
}

// maxTroubled limits how many such partitions are listed; all are counted.
const maxTroubled = 1000

// Cluster is the state of a cluster as one of its brokers reports it.
type Cluster struct {
	ID              string     `json:"id"`
	Version         string     `json:"version"` // estimated from the requests that the brokers support; empty: they do not report them, or are embedded
	Controller      int32      `json:"controller"`
	Brokers         []Broker   `json:"brokers"`
	Topics          int        `json:"topics"` // without topics that are internal to Kafka
	Partitions      int        `json:"partitions"`
	Offline         int        `json:"offlinePartitions"`         // without a leader
	UnderReplicated int        `json:"underReplicatedPartitions"` // with fewer replicas in sync than configured
	Troubled        []Troubled `json:"troubled"`                  // offline and under-replicated partitions, the first thousand by topic
}

// DescribeCluster describes brokers and partitions. Values that a broker does not report (sizes, versions) stay empty.
func DescribeCluster(ctx context.Context, a *kafka.Admin) (Cluster, error) {
	adm := kadm.NewClient(a.Client())
	m, err := adm.Metadata(ctx)
	if err != nil {
		return Cluster{}, fmt.Errorf("describe cluster: %w", err)
	}
	out := Cluster{ID: m.Cluster, Controller: m.Controller, Brokers: []Broker{}, Troubled: []Troubled{}}
	at := map[int32]int{}
	for _, b := range m.Brokers {
		x := Broker{ID: b.NodeID, Address: fmt.Sprintf("%s:%d", b.Host, b.Port), Controller: b.NodeID == m.Controller, Bytes: -1, Dirs: []LogDir{}}
		if b.Rack != nil {
			x.Rack = *b.Rack
		}
		at[b.NodeID] = len(out.Brokers)
		out.Brokers = append(out.Brokers, x)
	}
	for _, t := range m.Topics.Sorted() {
		if !t.IsInternal {
			out.Topics++
		}
		for _, p := range t.Partitions.Sorted() {
			out.count(t.Topic, p, at)
		}
	}
	if sizes, err := LogSizes(ctx, a); err == nil {
		for id, dirs := range sizes.Dirs {
			if i, ok := at[id]; ok {
				out.Brokers[i].store(dirs)
			}
		}
	}
	if versions, err := adm.ApiVersions(ctx); err == nil {
		for _, v := range versions.Sorted() {
			if i, ok := at[v.NodeID]; ok && v.Err == nil && !out.Brokers[i].Embedded {
				out.Brokers[i].Version = v.VersionGuess()
				out.Version = cmp.Or(out.Version, out.Brokers[i].Version)
			}
		}
	}
	return out, nil
}

// count adds a partition.
func (c *Cluster) count(name string, p kadm.PartitionDetail, at map[int32]int) {
	c.Partitions++
	offline, under := p.Leader < 0, len(p.ISR) < len(p.Replicas)
	if offline {
		c.Offline++
	}
	if under {
		c.UnderReplicated++
	}
	if (offline || under) && len(c.Troubled) < maxTroubled {
		c.Troubled = append(c.Troubled, Troubled{name, p.Partition, p.Leader, nonNil(p.Replicas), nonNil(p.ISR)})
	}
	if i, ok := at[p.Leader]; ok {
		c.Brokers[i].Leaders++
	}
	for _, r := range p.Replicas {
		if i, ok := at[r]; ok {
			c.Brokers[i].Replicas++
		}
	}
}

// store adds the sizes of a broker's log directories.
func (b *Broker) store(dirs []LogDir) {
	b.Dirs, b.Bytes = dirs, 0
	for _, d := range dirs {
		b.Bytes += d.Bytes
		if d.Path == EmbeddedDir {
			b.Embedded = true
		}
	}
}

// Brokers lists the ids of the brokers.
func Brokers(ctx context.Context, a *kafka.Admin) ([]int32, error) {
	m, err := kadm.NewClient(a.Client()).BrokerMetadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brokers: %w", err)
	}
	return m.Brokers.NodeIDs(), nil
}

// AnswerTime measures the response time of a broker with a cheap request: metadata of no topic.
func AnswerTime(ctx context.Context, a *kafka.Admin, broker int32) (time.Duration, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	began := time.Now()
	if _, err := a.Client().Broker(int(broker)).Request(ctx, req); err != nil {
		return 0, fmt.Errorf("ask broker %d: %w", broker, err)
	}
	return time.Since(began), nil
}
