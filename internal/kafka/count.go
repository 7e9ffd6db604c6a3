package kafka

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reasons for which a producer drops a record. For an error of the broker the reason is its Kafka name, for example
// MESSAGE_TOO_LARGE.
const (
	ReasonBufferFull = "buffer_full" // the queue is at its limit of records or bytes
	ReasonTooLarge   = "too_large"   // the value exceeds MaxValueBytes
	ReasonTimeout    = "timeout"     // not delivered within the delivery timeout
	ReasonClosed     = "closed"      // the producer, or its client, was closed
	ReasonCanceled   = "canceled"    // the caller's context ended
	ReasonNetwork    = "network"     // any other error that is not Kafka's own
)

func reasonOf(err error) string {
	var ke *kerr.Error
	switch {
	case errors.Is(err, kgo.ErrMaxBuffered):
		return ReasonBufferFull
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries), errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.Is(err, kgo.ErrClientClosed), errors.Is(err, kgo.ErrAborting):
		return ReasonClosed
	case errors.As(err, &ke):
		return ke.Message
	case errors.Is(err, context.Canceled):
		return ReasonCanceled
	default:
		return ReasonNetwork
	}
}

// TopicStats counts the records of one topic. Sent = Delivered + all Dropped +
// those still queued.
type TopicStats struct {
	Sent      uint64
	Delivered uint64
	Dropped   map[string]uint64 // by reason; never nil
}

// ProducerStats holds the counts of all records since the start.
type ProducerStats struct {
	Topics          map[string]TopicStats
	BufferedRecords int64
	BufferedBytes   int64
}

// Dropped sums the drops of all topics and reasons.
func (s ProducerStats) Dropped() uint64 {
	var n uint64
	for _, t := range s.Topics {
		for _, d := range t.Dropped {
			n += d
		}
	}
	return n
}

// Delivered sums the deliveries of all topics.
func (s ProducerStats) Delivered() uint64 {
	var n uint64
	for _, t := range s.Topics {
		n += t.Delivered
	}
	return n
}

type counters struct {
	mu     sync.RWMutex
	topics map[string]*topicCount
}

type topicCount struct {
	sent, delivered atomic.Uint64
	mu              sync.Mutex
	dropped         map[string]uint64
}

func (t *topicCount) drop(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped[reason]++
}

func (c *counters) topic(name string) *topicCount {
	c.mu.RLock()
	t := c.topics[name]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t = c.topics[name]; t == nil {
		t = &topicCount{dropped: map[string]uint64{}}
		if c.topics == nil {
			c.topics = map[string]*topicCount{}
		}
		c.topics[name] = t
	}
	return t
}

func (c *counters) snapshot() ProducerStats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := ProducerStats{Topics: make(map[string]TopicStats, len(c.topics))}
	for name, t := range c.topics {
		t.mu.Lock()
		s.Topics[name] = TopicStats{Sent: t.sent.Load(), Delivered: t.delivered.Load(), Dropped: maps.Clone(t.dropped)}
		t.mu.Unlock()
	}
	return s
}
