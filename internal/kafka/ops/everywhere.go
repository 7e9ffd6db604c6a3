package ops

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Brokers hear of a change one after the other, on a busy machine seconds later,
// and the next question goes to any of them.
const (
	settle = 10 * time.Second // that a cluster gets to show what was done
	silent = 3 * time.Second  // after which a broker that does not answer is not waited for
)

// patience is settle, or less where the caller's time ends soon: half of it is
// left for the question that follows.
func patience(ctx context.Context) time.Duration {
	if end, bounded := ctx.Deadline(); bounded {
		return min(settle, time.Until(end)/2)
	}
	return settle
}

// everywhere waits until every broker that answers says of a topic what is
// wanted. It returns when all do, or when patience ends: the change is made in
// any case.
func everywhere(ctx context.Context, client *kgo.Client, name string, wanted func(t kmsg.MetadataResponseTopic) bool) {
	ctx, cancel := context.WithTimeout(ctx, patience(ctx))
	defer cancel()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return
	}
	var all sync.WaitGroup
	for _, b := range brokers {
		all.Go(func() {
			for ctx.Err() == nil {
				ask, done := context.WithTimeout(ctx, silent)
				t, err := topicAt(ask, client.Broker(int(b.NodeID)), name)
				done()
				if err != nil || wanted(t) { // one that does not answer misleads nobody
					return
				}
				pause(ctx, 50*time.Millisecond)
			}
		})
	}
	all.Wait()
}

// untilHeard asks again while a broker has not heard yet of a topic that the
// cluster has: one that was too busy to answer everywhere says later that there
// is no such topic. Each time the client asks another broker; so it asks at
// least five times, also where a single answer takes all of that time.
func untilHeard(ctx context.Context, ask func() error) error {
	end := time.Now().Add(patience(ctx))
	for asked := 1; ; asked++ {
		err := ask()
		enough := asked >= fewest && time.Now().After(end)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) || enough || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// fewest is how often untilHeard asks at least.
const fewest = 5

// topicAt asks one broker about a topic.
func topicAt(ctx context.Context, broker *kgo.Broker, name string) (kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &name
	req.Topics = append(req.Topics, t)
	resp, err := broker.Request(ctx, req)
	if err != nil {
		return kmsg.MetadataResponseTopic{}, err
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		return t, nil
	}
	return kmsg.MetadataResponseTopic{ErrorCode: kerr.UnknownTopicOrPartition.Code}, nil
}

// gone is wanted of a topic that was deleted.
func gone(t kmsg.MetadataResponseTopic) bool {
	return t.ErrorCode == kerr.UnknownTopicOrPartition.Code
}

// led is wanted of a topic that was made or grew: so many partitions, each with
// a leader.
func led(partitions int) func(kmsg.MetadataResponseTopic) bool {
	return func(t kmsg.MetadataResponseTopic) bool {
		if t.ErrorCode != 0 || len(t.Partitions) < max(1, partitions) {
			return false
		}
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				return false
			}
		}
		return true
	}
}
