package reporter

import (
	"bytes"
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Queue is a Sender whose queue can be measured.
type Queue interface {
	Sender
	Stats() kafka.ProducerStats
}

// Bounds of the queue above which access logs are dropped. They are below a quarter of the producer's own bounds, so
// that the other messages of the node have room while Kafka is slow.
const (
	accessRecords = 10_000
	accessBytes   = 12 << 20
)

// AccessLogs sends lines of the access log to topic access-logs. One goroutine may call Write at a time.
type AccessLogs struct {
	key     []byte
	queue   Queue
	dropped atomic.Uint64
}

// NewAccessLogs returns a writer of the access log of a node.
func NewAccessLogs(node string, queue Queue) *AccessLogs {
	return &AccessLogs{key: []byte(node), queue: queue}
}

// Write sends each line as a record. It does not block and returns no error: lines for which the queue has no room are
// dropped and counted.
func (a *AccessLogs) Write(lines []byte) (int, error) {
	stats := a.queue.Stats()
	room := accessRecords - stats.BufferedRecords
	if stats.BufferedBytes >= accessBytes {
		room = 0
	}
	for rest := bytes.Clone(lines); len(rest) > 0; room-- {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		if room <= 0 {
			a.dropped.Add(1)
			continue
		}
		a.queue.Send(kafka.Record{Topic: event.TopicAccessLogs, Key: a.key, Value: line}) // the producer counts what it refuses
	}
	return len(lines), nil
}

// Dropped returns the number of lines for which the queue had no room.
func (a *AccessLogs) Dropped() uint64 { return a.dropped.Load() }
