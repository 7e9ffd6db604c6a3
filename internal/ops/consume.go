package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/smartlb/smartlb/internal/kafka"
)

// ConsumeSpec says what Consume reads of a topic.
type ConsumeSpec struct {
	Topic     string
	Limit     int  // the last Limit records; with Beginning the first. 0: none of the past, or all of it with Beginning
	Beginning bool // start with the oldest record
	Follow    bool // go on with what is written from then on, until ctx ends
}

// maxLast bounds how many records are held to find the last ones of all
// partitions.
const maxLast = 100_000

// Consume hands records to emit. The last records come oldest first across
// partitions by timestamp, each partition in its order; with Beginning they come
// as they are read, each partition in its order, and nothing is held. Without Follow it ends when it has read what
// was in the log when it began; it never waits for more. An error of emit ends
// it and is returned.
func Consume(ctx context.Context, cfg kafka.Config, spec ConsumeSpec, emit func(kafka.Record) error) error {
	if spec.Limit > maxLast && !spec.Beginning {
		return fmt.Errorf("consume %s: the last %d records are more than %d", spec.Topic, spec.Limit, maxLast)
	}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	cluster, err := admin.Describe(ctx, spec.Topic)
	if err != nil {
		return fmt.Errorf("consume %s: %w", spec.Topic, err)
	}
	t, exists := cluster.Topics[spec.Topic]
	if !exists {
		return fmt.Errorf("consume %s: %w", spec.Topic, ErrNoTopic)
	}
	first, err := admin.StartOffsets(ctx, spec.Topic)
	if err != nil {
		return fmt.Errorf("consume %s: %w", spec.Topic, err)
	}
	ends, err := admin.EndOffsets(ctx, spec.Topic)
	if err != nil {
		return fmt.Errorf("consume %s: %w", spec.Topic, err)
	}
	from := map[kafka.TopicPartition]int64{}
	for tp, end := range ends {
		from[tp] = first[tp]
		if !spec.Beginning {
			from[tp] = max(first[tp], end-int64(spec.Limit))
		}
	}
	c := collector{spec: spec, ends: ends, emit: emit}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.done = cancel
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{
		Topics: []string{spec.Topic}, Positions: from, TopicIDs: map[string]string{spec.Topic: t.ID},
		OnCaughtUp: c.caughtUp,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := tail.Run(ctx, c.take); err != nil {
		return err
	}
	if c.finished {
		return c.err
	}
	return errors.Join(c.err, context.Cause(ctx))
}

// collector keeps the past of all partitions until it is complete, because
// only then its order is known.
type collector struct {
	spec     ConsumeSpec
	ends     map[kafka.TopicPartition]int64
	emit     func(kafka.Record) error
	done     func()
	past     map[int32][]kafka.Record
	live     []kafka.Record // of the future, read before the past was complete
	count    int
	caught   bool
	finished bool
	err      error
}

func (c *collector) take(batch []kafka.Record) {
	for _, r := range batch {
		switch {
		case c.caught && c.spec.Follow:
			c.put(r)
		case c.spec.Beginning && (c.spec.Follow || r.Offset < c.ends[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}]):
			if c.put(r); c.spec.Limit > 0 && c.count == c.spec.Limit {
				c.finish()
			}
		case c.caught:
		case r.Offset >= c.ends[kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}]:
			c.live = append(c.live, r)
		default:
			if c.past == nil {
				c.past = map[int32][]kafka.Record{}
			}
			c.past[r.Partition] = append(c.past[r.Partition], r)
		}
	}
}

// caughtUp prints the past in order and ends, or goes on with the future.
func (c *collector) caughtUp() {
	if c.caught {
		return
	}
	c.caught = true
	all := merge(c.past)
	if n := c.spec.Limit; len(all) > n {
		all = all[len(all)-n:]
	}
	for _, r := range all {
		c.put(r)
	}
	c.past = nil
	if !c.spec.Follow {
		c.finish()
		return
	}
	for _, r := range c.live {
		c.put(r)
	}
	c.live = nil
}

func (c *collector) put(r kafka.Record) {
	if c.finished {
		return
	}
	c.count++
	if c.err = c.emit(r); c.err != nil {
		c.finish()
	}
}

func (c *collector) finish() {
	c.finished = true
	c.done()
}

// merge puts the records of several partitions into one order: by timestamp,
// but never against the order of a partition.
func merge(parts map[int32][]kafka.Record) []kafka.Record {
	var queues [][]kafka.Record
	total := 0
	ids := make([]int32, 0, len(parts))
	for id := range parts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		queues = append(queues, parts[id])
		total += len(parts[id])
	}
	out := make([]kafka.Record, 0, total)
	for len(out) < total {
		best := -1
		for i, q := range queues {
			if len(q) > 0 && (best < 0 || q[0].Timestamp.Before(queues[best][0].Timestamp)) {
				best = i
			}
		}
		out = append(out, queues[best][0])
		queues[best] = queues[best][1:]
	}
	return out
}
