package ops

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Broker is one line of a listing.
type Broker struct {
	ID         int32  `json:"id"`
	Address    string `json:"address"` // as it tells clients
	Rack       string `json:"rack"`
	Controller bool   `json:"controller"`
	Leaders    int    `json:"leaders"`  // partitions that it leads
	Replicas   int    `json:"replicas"` // partitions that it holds
	Bytes      int64  `json:"bytes"`    // on its disks; -1: it does not tell
}

// Cluster is how a cluster is seen from one of its brokers.
type Cluster struct {
	ID              string   `json:"id"`
	Version         string   `json:"version"` // guessed from what the brokers can do
	Controller      int32    `json:"controller"`
	Brokers         []Broker `json:"brokers"`
	Topics          int      `json:"topics"` // without those internal to Kafka
	Partitions      int      `json:"partitions"`
	Offline         int      `json:"offlinePartitions"`         // without a leader
	UnderReplicated int      `json:"underReplicatedPartitions"` // with fewer copies in sync than there should be
}

// DescribeCluster looks at brokers and partitions. What a broker does not tell
// (sizes, versions) is left open.
func DescribeCluster(ctx context.Context, a *kafka.Admin) (Cluster, error) {
	adm := kadm.NewClient(a.Client())
	m, err := adm.Metadata(ctx)
	if err != nil {
		return Cluster{}, fmt.Errorf("describe cluster: %w", err)
	}
	out := Cluster{ID: m.Cluster, Controller: m.Controller, Brokers: []Broker{}}
	at := map[int32]int{}
	for _, b := range m.Brokers {
		x := Broker{ID: b.NodeID, Address: fmt.Sprintf("%s:%d", b.Host, b.Port), Controller: b.NodeID == m.Controller, Bytes: -1}
		if b.Rack != nil {
			x.Rack = *b.Rack
		}
		at[b.NodeID] = len(out.Brokers)
		out.Brokers = append(out.Brokers, x)
	}
	for _, t := range m.Topics {
		if !t.IsInternal {
			out.Topics++
		}
		for _, p := range t.Partitions {
			out.Partitions++
			if p.Leader < 0 {
				out.Offline++
			}
			if len(p.ISR) < len(p.Replicas) {
				out.UnderReplicated++
			}
			if i, ok := at[p.Leader]; ok {
				out.Brokers[i].Leaders++
			}
			for _, r := range p.Replicas {
				if i, ok := at[r]; ok {
					out.Brokers[i].Replicas++
				}
			}
		}
	}
	if versions, err := adm.ApiVersions(ctx); err == nil {
		for _, v := range versions.Sorted() {
			if v.Err == nil {
				out.Version = v.VersionGuess()
				break
			}
		}
	}
	if dirs, err := adm.DescribeAllLogDirs(ctx, nil); err == nil {
		for id, d := range dirs {
			if i, ok := at[id]; ok {
				out.Brokers[i].Bytes = d.Size()
			}
		}
	}
	return out, nil
}
