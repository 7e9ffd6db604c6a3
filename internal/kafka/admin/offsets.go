package admin

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Special timestamps of the ListOffsets request.
const (
	atEnd   int64 = -1
	atStart int64 = -2
)

// span is the range of offsets of a partition: from start up to, but without, end.
type span struct {
	Start, End int64
}

// spans requests the first and the next offset of every partition of topics that were just listed. Both requests go out
// at once, without the metadata that the library would fetch for each; with a thousand topics, metadata takes most of
// the time.
func spans(ctx context.Context, client *kgo.Client, listed kadm.TopicDetails) (map[kafka.TopicPartition]span, error) {
	var starts, ends map[kafka.TopicPartition]int64
	var startErr, endErr error
	var both sync.WaitGroup
	both.Go(func() { starts, startErr = offsetsAt(ctx, client, listed, atStart, false) })
	both.Go(func() { ends, endErr = offsetsAt(ctx, client, listed, atEnd, false) })
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

// Partitions that were just created, or whose leader just moved, report their offsets shortly afterwards.
const (
	offsetTries = 10
	offsetPause = 100 * time.Millisecond
	leaderWait  = 5 * time.Second // for a leader that is down, until the cluster has noticed
)

// offsetsAt requests the offset of a time (or atStart, atEnd) from the leader of each partition. It leaves out
// partitions without a leader, and partitions that report no offset for one second. With committed, the end is the first
// offset of the oldest open transaction: readers of committed records read up to there.
func offsetsAt(ctx context.Context, client *kgo.Client, listed kadm.TopicDetails, at int64, committed bool) (map[kafka.TopicPartition]int64, error) {
	ask := map[int32][]kafka.TopicPartition{}
	for _, t := range listed {
		for _, p := range t.Partitions {
			if p.Leader >= 0 {
				ask[p.Leader] = append(ask[p.Leader], kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition})
			}
		}
	}
	var (
		mu   sync.Mutex
		out  = map[kafka.TopicPartition]int64{}
		fail error
		all  sync.WaitGroup
	)
	for leader, parts := range ask {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, leaderWait)
			defer cancel()
			got, err := askLeader(ctx, client, leader, parts, at, committed)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(out, got)
			if err != nil {
				fail = fmt.Errorf("broker %d: %w", leader, err)
			}
		})
	}
	all.Wait()
	if fail != nil && len(out) == 0 { // one broker of several may be down
		return nil, fail
	}
	return out, nil
}

// askLeader sends the request to one broker and retries for partitions with a temporary error.
func askLeader(ctx context.Context, client *kgo.Client, leader int32, parts []kafka.TopicPartition, at int64, committed bool) (map[kafka.TopicPartition]int64, error) {
	out := map[kafka.TopicPartition]int64{}
	for range offsetTries {
		resp, err := client.Broker(int(leader)).RetriableRequest(ctx, offsetRequest(parts, at, committed))
		if err != nil {
			return out, err
		}
		var again []kafka.TopicPartition
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				switch err := kerr.ErrorForCode(p.ErrorCode); {
				case err == nil:
					out[tp] = p.Offset
				case kerr.IsRetriable(err):
					again = append(again, tp)
				}
			}
		}
		if parts = again; len(parts) == 0 || ctx.Err() != nil {
			break
		}
		backoff.Sleep(ctx, offsetPause)
	}
	return out, nil
}

func offsetRequest(parts []kafka.TopicPartition, at int64, committed bool) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if committed {
		req.IsolationLevel = 1
	}
	topics := map[string]int{}
	for _, tp := range parts {
		i, known := topics[tp.Topic]
		if !known {
			i = len(req.Topics)
			topics[tp.Topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = tp.Topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = tp.Partition, at, -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	return req
}
