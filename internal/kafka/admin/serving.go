package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/smartlb/smartlb/internal/kafka"
)

// CheckServing succeeds when a cluster returns a listing of topics, has a broker, and each partition of the named
// topics has a leader. A broker that was killed answers long before it leads partitions again, and before it has loaded
// its topics.
func CheckServing(ctx context.Context, a *kafka.Admin, topics []string) error {
	const timeout = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := kadm.NewClient(a.Client()).Metadata(ctx)
	if err != nil {
		return fmt.Errorf("ask for topics: %w", err)
	}
	if len(m.Brokers) == 0 {
		return errors.New("the cluster has no broker yet")
	}
	for _, name := range topics {
		t, ok := m.Topics[name]
		if !ok || len(t.Partitions) == 0 {
			return fmt.Errorf("topic %s is not served yet", name)
		}
		for _, p := range t.Partitions {
			if p.Leader < 0 || p.Err != nil {
				return fmt.Errorf("partition %d of %s has no leader", p.Partition, name)
			}
		}
	}
	return nil
}

// AwaitLeaders waits until CheckServing succeeds, or ctx ends.
func AwaitLeaders(ctx context.Context, a *kafka.Admin, topics []string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := CheckServing(ctx, a, topics)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for leaders: %w", err)
		case <-tick.C:
		}
	}
}
