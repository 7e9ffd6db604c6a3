package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
)

// ProduceSpec defines where and how records are sent.
type ProduceSpec struct {
	Topic       string
	Partition   int32         // negative: by key; without a key, any partition
	Linger      time.Duration // longest wait for a fuller batch
	BatchBytes  int32         // largest batch; 0: the topic's limit
	Compression string        // none, gzip, snappy, lz4 or zstd; empty: zstd
	Acks        string        // all, leader or none; empty: all
}

// Sent is the result of a Sender.
type Sent struct {
	Topic      string     `json:"topic"`
	Records    int64      `json:"records"`
	Bytes      int64      `json:"bytes"` // of keys, values and headers
	Partitions []SentPart `json:"partitions"`
}

// SentPart counts what was sent to one partition.
type SentPart struct {
	Partition int32 `json:"partition"`
	First     int64 `json:"firstOffset"` // -1: unknown, the broker did not acknowledge
	Last      int64 `json:"lastOffset"`
	Records   int64 `json:"records"`
}

// Sender sends records to one topic, many at a time. Make one with NewSender, and Close it. Only one goroutine may call
// Send.
type Sender struct {
	spec   ProduceSpec
	limit  int // largest batch of the topic
	client *kgo.Client

	line         context.Context // context of the client and of its records
	leave        func() bool     // detaches from the context of Send; nil: nothing was sent
	stallTimeout time.Duration
	stall        *time.Timer
	cut          context.CancelFunc
	given        chan struct{} // closed when the sender stops waiting for the broker

	mu    sync.Mutex // guards the fields below
	sent  Sent
	parts map[int32]*SentPart
	fail  error
	over  chan struct{} // closed at the first failure
	ended int64         // number of records with any outcome

	closed bool  // the check for a stall has ended
	waited bool  // records were in flight at the last check for a stall
	looked int64 // value of ended at that check
}

// ErrTooLarge means that a record exceeds the topic's limit.
var ErrTooLarge = errors.New("record is too large")

// batchOverhead is the most that a batch of one record adds to key, value and headers: 61 bytes of header, and lengths.
const batchOverhead = 61 + 30

// senderMaxRecords limits how many records wait for the broker.
const senderMaxRecords = 100_000

// sendGrace is the time for queued records to be delivered after the sender was stopped, so that an interrupted user
// learns what was sent.
const sendGrace = 2 * time.Second

// unknownTopicTries limits how often a broker may report, about every 250 ms, that it does not know a topic that
// existed before. A broker that has just started answers before it has loaded its topics.
const unknownTopicTries = 40

// NewSender checks the topic, which must exist, and makes a client for it. ctx bounds the check.
func NewSender(ctx context.Context, cfg kafka.Config, spec ProduceSpec) (*Sender, error) {
	a, err := kafka.NewAdminWithin(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	d, err := admin.DescribeTopic(ctx, a, nil, spec.Topic)
	if err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	if int(spec.Partition) >= len(d.Partitions) {
		return nil, fmt.Errorf("produce to %s: there is no partition %d, it has %d", spec.Topic, spec.Partition, len(d.Partitions))
	}
	s := &Sender{spec: spec, limit: kafka.MaxBatchBytes, sent: Sent{Topic: spec.Topic}, parts: map[int32]*SentPart{}, over: make(chan struct{}), given: make(chan struct{})}
	for _, c := range d.Configs {
		if n, err := strconv.Atoi(c.Value); c.Name == "max.message.bytes" && err == nil && n > 0 {
			s.limit = min(n, s.limit)
		}
	}
	opts, err := spec.Options(s.limit)
	if err != nil {
		return nil, err
	}
	line, cut := context.WithCancel(context.WithoutCancel(ctx))
	if s.client, err = kgo.NewClient(append(append(cfg.Options(), kgo.WithContext(line)), opts...)...); err != nil {
		cut()
		return nil, fmt.Errorf("produce to %s: %w", spec.Topic, err)
	}
	s.stallTimeout, s.line, s.cut = cfg.DeliveryTimeout, line, cut
	s.mu.Lock() // stalled must not run before the timer is set
	s.stall = time.AfterFunc(s.stallTimeout, s.stalled)
	s.mu.Unlock()
	return s, nil
}

// stalled stops the wait for the broker when records wait and none ended between two checks, one delivery timeout
// apart. The library's own timeout counts from a record's timestamp, which may be long past. Reading the clock for each
// record would cost more than the rest of its accounting.
func (s *Sender) stalled() {
	s.mu.Lock()
	if s.closed { // Close was called when this check was about to begin
		s.mu.Unlock()
		return
	}
	waits := s.client.BufferedProduceRecords() > 0
	if !waits || !s.waited || s.ended != s.looked {
		s.waited, s.looked = waits, s.ended
		s.stall.Reset(s.stallTimeout)
		s.mu.Unlock()
		return
	}
	s.failed(fmt.Errorf("the broker took no record for %v", s.stallTimeout))
	s.mu.Unlock()
	close(s.given)
	s.cut()
}

// Options returns the settings of a client that produces as p says, into a topic that takes batches of at most limit
// bytes.
func (p ProduceSpec) Options(limit int) ([]kgo.Opt, error) {
	codec, ok := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[cmp.Or(p.Compression, "zstd")]
	if !ok {
		return nil, fmt.Errorf("compression: %q is not one of %v", p.Compression, kafka.Compressions())
	}
	batch := int32(limit)
	if p.BatchBytes > 0 {
		batch = min(p.BatchBytes, batch)
	}
	opts := []kgo.Opt{
		kgo.ProducerLinger(p.Linger), kgo.ProducerBatchMaxBytes(max(batch, 1024)),
		kgo.ProducerBatchCompression(codec), kgo.UnknownTopicRetries(unknownTopicTries),
		kgo.MaxBufferedRecords(senderMaxRecords), kgo.MaxBufferedBytes(max(64<<20, 2*limit)),
		kgo.AllowIdempotentProduceCancellation(), // permits ending the wait for a broker that hangs
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}
	if p.Partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	switch cmp.Or(p.Acks, "all") {
	case "all":
		return append(opts, kgo.RequiredAcks(kgo.AllISRAcks())), nil
	case "leader":
		return append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()), nil
	case "none":
		return append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()), nil
	}
	return nil, fmt.Errorf("acks: %q is not one of all, leader, none", p.Acks)
}

// Send queues a record and blocks only while the queue is full. It returns the first failure of any record so far. It
// refuses a record that is larger than the topic's limit at once. When ctx ends, which must be the same for all calls,
// Send refuses further records, and queued records have sendGrace to be delivered.
func (s *Sender) Send(ctx context.Context, r kafka.Record) error {
	select {
	case <-s.over:
		return s.failure()
	default:
	}
	if err := s.Fits(r); err != nil {
		return err
	}
	if s.leave == nil {
		s.leave = context.AfterFunc(ctx, func() { time.AfterFunc(sendGrace, s.cut) })
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	out := &kgo.Record{Topic: s.spec.Topic, Key: r.Key, Value: r.Value, Partition: max(s.spec.Partition, 0)}
	if !r.Timestamp.IsZero() {
		out.Timestamp = r.Timestamp
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader(h))
	}
	s.client.Produce(s.line, out, s.settle)
	return nil
}

// Fits returns the reason why the topic would refuse a record, as far as it can be known without sending it.
func (s *Sender) Fits(r kafka.Record) error {
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value) + 10
	}
	switch {
	case !r.Timestamp.IsZero() && !sendable(r.Timestamp):
		return fmt.Errorf("produce to %s: a timestamp of %s cannot be sent; the years 1678 to 2261 can", s.spec.Topic, r.Timestamp.Format(time.RFC3339))
	case len(r.Value) > kafka.MaxValueBytes:
		return fmt.Errorf("produce to %s: %w: a value of %d bytes; %d are allowed", s.spec.Topic, ErrTooLarge, len(r.Value), kafka.MaxValueBytes)
	case size > s.limit-batchOverhead:
		return fmt.Errorf("produce to %s: %w: %d bytes; the topic takes batches of %d (max.message.bytes), which leaves %d for a record", s.spec.Topic, ErrTooLarge, size, s.limit, s.limit-batchOverhead)
	}
	return nil
}

// settle counts the outcome of one record.
func (s *Sender) settle(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	if err != nil {
		s.failed(explain(err))
		return
	}
	s.sent.Records++
	s.sent.Bytes += int64(len(r.Key) + len(r.Value))
	for _, h := range r.Headers {
		s.sent.Bytes += int64(len(h.Key) + len(h.Value))
	}
	p := s.parts[r.Partition]
	if p == nil {
		p = &SentPart{Partition: r.Partition, First: r.Offset}
		s.parts[r.Partition] = p
	}
	p.First, p.Last = min(p.First, r.Offset), max(p.Last, r.Offset)
	p.Records++
}

// failed keeps the first failure. The caller holds mu.
func (s *Sender) failed(err error) {
	if s.fail == nil {
		s.fail = fmt.Errorf("produce to %s: %w", s.spec.Topic, err)
		close(s.over)
	}
}

// explain adds the likely cause to an error.
func explain(err error) error {
	switch {
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("%w (message.max.bytes of the broker and max.message.bytes of the topic limit batches)", err)
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		return fmt.Errorf("%w: the broker did not take it in time", err)
	}
	return err
}

func (s *Sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

// Progress returns what was delivered so far.
func (s *Sender) Progress() (records, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.Records, s.sent.Bytes
}

// Close waits until every record is delivered or failed, the sender stopped waiting for the broker, or sendGrace passed
// after ctx ended. It returns what was delivered and the first failure.
func (s *Sender) Close(ctx context.Context) (Sent, error) {
	flush, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ctx.Done():
			late := time.AfterFunc(sendGrace, stop)
			defer late.Stop()
		case <-s.given:
		case <-flush.Done():
		}
		select {
		case <-s.given:
			stop()
		case <-flush.Done():
		}
	})
	err := s.client.Flush(flush)
	stop()
	watch.Wait()
	if s.leave != nil {
		s.leave()
	}
	s.mu.Lock()
	s.closed = true
	s.stall.Stop()
	s.mu.Unlock()
	s.cut()
	s.client.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.sent
	out.Partitions = []SentPart{}
	for _, p := range s.parts {
		out.Partitions = append(out.Partitions, *p)
	}
	slices.SortFunc(out.Partitions, func(a, b SentPart) int { return cmp.Compare(a.Partition, b.Partition) })
	if s.fail != nil {
		err = s.fail
	}
	return out, err
}
