package admin

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/kafka"
)

func TestTroubledPartitionsAreListedAndCounted(t *testing.T) {
	c := Cluster{Brokers: []Broker{{ID: 1}, {ID: 2}}}
	at := map[int32]int{1: 0, 2: 1}
	for _, p := range []kadm.PartitionDetail{
		{Partition: 0, Leader: 1, Replicas: []int32{1, 2}, ISR: []int32{1, 2}},
		{Partition: 1, Leader: 2, Replicas: []int32{1, 2}, ISR: []int32{2}},
		{Partition: 2, Leader: -1, Replicas: []int32{3}},
		{Partition: 3, Leader: 1, Replicas: []int32{1, 3}, ISR: []int32{1}}, // on a broker that is not there any more
	} {
		c.count("orders", p, at)
	}
	if c.Partitions != 4 || c.Offline != 1 || c.UnderReplicated != 3 || len(c.Troubled) != 3 {
		t.Errorf("%+v", c)
	}
	if x := c.Troubled[1]; x.Partition != 2 || x.Leader != -1 || x.InSync == nil {
		t.Errorf("the one without a leader: %+v", x)
	}
	if a, b := c.Brokers[0], c.Brokers[1]; a.Leaders != 2 || a.Replicas != 3 || b.Leaders != 1 || b.Replicas != 2 {
		t.Errorf("%+v %+v", a, b)
	}
	for n := range int32(2 * maxTroubled) {
		c.count("many", kadm.PartitionDetail{Partition: n, Leader: -1, Replicas: []int32{3}}, at)
	}
	if len(c.Troubled) != maxTroubled || c.Offline != 1+2*maxTroubled {
		t.Errorf("%d listed, %d counted", len(c.Troubled), c.Offline)
	}
}

// A partition that moves to another directory lies in two of them, and counts
// once; of several copies the largest counts.
func TestSizesCountEachPartitionOnce(t *testing.T) {
	s := Sizes{Topics: map[string]int64{}, Partitions: map[kafka.TopicPartition]int64{}, Dirs: map[int32][]LogDir{}}
	part := func(size int64, future bool) kadm.DescribedLogDirTopics {
		return kadm.DescribedLogDirTopics{"orders": {0: {Topic: "orders", Size: size, IsFuture: future}}}
	}
	s.add(1, kadm.DescribedLogDir{Dir: "/a", Topics: part(100, false), TotalBytes: 1000, UsableBytes: 400})
	s.add(1, kadm.DescribedLogDir{Dir: "/b", Topics: part(999, true), TotalBytes: -1, UsableBytes: -1})
	s.add(2, kadm.DescribedLogDir{Dir: "/a", Topics: part(120, false)})
	if got := s.Partitions[kafka.TopicPartition{Topic: "orders"}]; got != 120 {
		t.Errorf("%d bytes, not 120", got)
	}
	if d := s.Dirs[1]; len(d) != 2 || d[0].Free != 400 || d[1].Bytes != 999 || d[1].Free != -1 {
		t.Errorf("%+v", d)
	}
}
