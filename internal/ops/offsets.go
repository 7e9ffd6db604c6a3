package ops

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Special timestamps of the request that lists offsets.
const (
	atEnd   int64 = -1
	atStart int64 = -2
)

// span is what a partition holds: offsets from start up to, and without, end.
type span struct {
	Start, End int64
}

// spans asks for the first and the next offset of every partition of topics
// that were just listed. Both questions go out at once and spare the metadata
// that the library would fetch for each: with a thousand topics that is most
// of the time.
//
// With committed, the end is the first offset of the oldest open transaction,
// as far as readers of committed records get.
func spans(ctx context.Context, client *kgo.Client, listed kadm.TopicDetails, committed bool) (map[kafka.TopicPartition]span, error) {
	var starts, ends map[kafka.TopicPartition]int64
	var startErr, endErr error
	var both sync.WaitGroup
	both.Go(func() { starts, startErr = offsetsAt(ctx, client, listed, atStart, false) })
	both.Go(func() { ends, endErr = offsetsAt(ctx, client, listed, atEnd, committed) })
	both.Wait()
	if startErr != nil {
		return nil, fmt.Errorf("list start offsets: %w", startErr)
	}
	if endErr != nil {
		return nil, fmt.Errorf("list end offsets: %w", endErr)
	}
	out := make(map[kafka.TopicPartition]span, len(ends))
	for tp, end := range ends {
		if start, ok := starts[tp]; ok {
			out[tp] = span{Start: start, End: end}
		}
	}
	return out, nil
}

// offsetsAt asks each leader for the offset of a time (or atStart, atEnd) in
// its partitions. Partitions without a leader, and those whose leader has moved
// or has another reason not to tell, are left out.
func offsetsAt(ctx context.Context, client *kgo.Client, listed kadm.TopicDetails, at int64, committed bool) (map[kafka.TopicPartition]int64, error) {
	leaders := map[int32]*kmsg.ListOffsetsRequest{}
	for _, t := range listed {
		byLeader := map[int32][]kmsg.ListOffsetsRequestTopicPartition{}
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				continue
			}
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.Partition, at, -1
			byLeader[p.Leader] = append(byLeader[p.Leader], rp)
		}
		for leader, parts := range byLeader {
			req := leaders[leader]
			if req == nil {
				req = kmsg.NewPtrListOffsetsRequest()
				req.ReplicaID = -1
				if committed {
					req.IsolationLevel = 1
				}
				leaders[leader] = req
			}
			rt := kmsg.NewListOffsetsRequestTopic()
			rt.Topic, rt.Partitions = t.Topic, parts
			req.Topics = append(req.Topics, rt)
		}
	}
	var (
		mu   sync.Mutex
		out  = map[kafka.TopicPartition]int64{}
		fail error
		all  sync.WaitGroup
	)
	for leader, req := range leaders {
		all.Go(func() {
			resp, err := client.Broker(int(leader)).RetriableRequest(ctx, req)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				fail = fmt.Errorf("broker %d: %w", leader, err)
				return
			}
			for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
				for _, p := range t.Partitions {
					if kerr.ErrorForCode(p.ErrorCode) == nil {
						out[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = p.Offset
					}
				}
			}
		})
	}
	all.Wait()
	if fail != nil && len(out) == 0 { // one broker of several may be down
		return nil, fail
	}
	return out, nil
}
