package admin

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/backoff"
)

// Brokers learn of a change one after the other, on a busy machine seconds later. The next request may go to any of
// them.
const (
	settle = 30 * time.Second // limit of the wait for a change to appear on all brokers
	silent = 3 * time.Second  // a broker that does not answer for this long is skipped
)

// settleWithin returns settle, or less if ctx ends soon: half of the remaining time is kept for the next request.
func settleWithin(ctx context.Context) time.Duration {
	if end, bounded := ctx.Deadline(); bounded {
		return min(settle, time.Until(end)/2)
	}
	return settle
}

// everywhere waits until every broker that answers reports the wanted state of a topic. It returns nothing: the change
// is made even if the wait ends early, after settleWithin.
func everywhere(ctx context.Context, client *kgo.Client, name string, wanted func(t kmsg.MetadataResponseTopic) bool) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin(ctx))
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
				if err != nil || wanted(t) { // a broker that does not answer cannot mislead a client
					return
				}
				backoff.Sleep(ctx, 50*time.Millisecond)
			}
		})
	}
	all.Wait()
}

// untilHeard retries ask while a broker does not know a topic that the cluster has. A broker that was too busy to
// answer in everywhere may later report that the topic does not exist. Each retry goes to another broker. There are at
// least five tries, even if a single answer takes the whole time.
func untilHeard(ctx context.Context, ask func() error) error {
	end := time.Now().Add(settleWithin(ctx))
	for asked := 1; ; asked++ {
		err := ask()
		enough := asked >= fewest && time.Now().After(end)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) || enough || ctx.Err() != nil {
			return err
		}
		backoff.Sleep(ctx, 100*time.Millisecond)
	}
}

// fewest is the least number of tries of untilHeard.
const fewest = 5

// topicAt requests the metadata of a topic from one broker.
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

// gone is the wanted state of a deleted topic.
func gone(t kmsg.MetadataResponseTopic) bool {
	return t.ErrorCode == kerr.UnknownTopicOrPartition.Code
}

// led is the wanted state of a topic that was created or got partitions: this many partitions, each with a leader.
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
