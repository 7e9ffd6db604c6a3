package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrTooLarge means that a value has more than MaxValueBytes.
var ErrTooLarge = fmt.Errorf("value is larger than %d bytes", MaxValueBytes)

// ErrClosed is returned by a closed client.
var ErrClosed = errors.New("kafka client is closed")

// Producer sends records that all replicas must acknowledge. It chooses partitions by key as Java clients do (murmur2).
// It is safe for concurrent use. Close it when done.
type Producer struct {
	cfg   Config
	log   *slog.Logger
	count counters

	mu       sync.RWMutex // guards client and the fields below
	client   *kgo.Client
	closed   bool
	failures int       // replacements in a row without a delivery in between
	replaced time.Time // when the client was last replaced
	stale    bool      // the broker's topic is not the topic that the client knows
	retiring sync.WaitGroup

	unsettled sync.WaitGroup // records whose outcome is not counted yet

	expires atomic.Pointer[expiry]
}

// expiry ends the records of one second. The library's own delivery timeout counts from a record's timestamp, so it
// would drop every record with an old timestamp. One context per record would cost one timer per record.
type expiry struct {
	ctx context.Context
	at  time.Time
}

// expiry returns a context that ends between one delivery timeout and one second more from now.
func (p *Producer) expiry(now time.Time) context.Context {
	e := p.expires.Load()
	if e != nil && e.at.Sub(now) >= p.cfg.DeliveryTimeout {
		return e.ctx
	}
	fresh := &expiry{at: now.Add(p.cfg.DeliveryTimeout + time.Second)}
	var free context.CancelFunc
	fresh.ctx, free = context.WithDeadline(context.Background(), fresh.at)
	context.AfterFunc(fresh.ctx, free)
	p.expires.Store(fresh)
	return fresh.ctx
}

// NewProducer checks cfg and makes a producer. It does not dial; the first record does.
func NewProducer(cfg Config, log *slog.Logger) (*Producer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kafka producer: %w", err)
	}
	p := &Producer{cfg: cfg, log: log}
	c, err := p.dial()
	if err != nil {
		return nil, err
	}
	p.client = c
	return p, nil
}

func (p *Producer) dial() (*kgo.Client, error) {
	c, err := kgo.NewClient(append(p.cfg.Options(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(p.cfg.Linger),
		kgo.ProducerBatchMaxBytes(p.cfg.BatchMaxBytes),
		kgo.ProducerBatchCompression(p.cfg.codec(), kgo.NoCompression()),
		kgo.MaxBufferedRecords(p.cfg.MaxBufferedRecords),
		kgo.MaxBufferedBytes(p.cfg.MaxBufferedBytes),
		kgo.AllowIdempotentProduceCancellation(), // a record's delivery time is bounded even when the broker never answers
		kgo.UnknownTopicRetries(4),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka producer: %w", err)
	}
	return c, nil
}

// Send queues r and returns at once. It returns false, and counts the drop by topic and reason, when the queue is full,
// the value is too large or the producer is closed. A delivery that fails later is counted in the same way. The caller
// must not change r's bytes afterwards.
func (p *Producer) Send(r Record) bool {
	t := p.count.topic(r.Topic)
	t.sent.Add(1)
	if len(r.Value) > MaxValueBytes {
		t.drop(ReasonTooLarge)
		return false
	}
	r = p.cfg.Signed(r, time.Now())
	p.renew()
	client := p.begin()
	if client == nil {
		t.drop(ReasonClosed)
		return false
	}
	if client.BufferedProduceRecords() >= int64(p.cfg.MaxBufferedRecords) ||
		client.BufferedProduceBytes()+int64(r.Size()) > int64(p.cfg.MaxBufferedBytes) {
		// Checked before TryProduce checks it, so that the result is exact except for races between senders; those are
		// counted in the same way.
		p.settle(t, kgo.ErrMaxBuffered)
		return false
	}
	client.TryProduce(p.expiry(time.Now()), toKgo(r), func(_ *kgo.Record, err error) { p.settle(t, err) })
	return true
}

// begin returns the client for one record, nil when the producer is closed. settle ends what begin began.
func (p *Producer) begin() *kgo.Client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return nil
	}
	p.unsettled.Add(1)
	return p.client
}

// SendSync sends r and waits until all replicas have it, ctx ends or the delivery timeout passes. It returns r with its
// partition, offset and timestamp.
func (p *Producer) SendSync(ctx context.Context, r Record) (Record, error) {
	t := p.count.topic(r.Topic)
	t.sent.Add(1)
	if len(r.Value) > MaxValueBytes {
		t.drop(ReasonTooLarge)
		return r, fmt.Errorf("produce to %s: %w", r.Topic, ErrTooLarge)
	}
	r = p.cfg.Signed(r, time.Now())
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DeliveryTimeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		p.renew()
		client := p.begin()
		if client == nil {
			t.drop(ReasonClosed)
			return r, fmt.Errorf("produce to %s: %w", r.Topic, ErrClosed)
		}
		sent, err := p.produce(ctx, client, t, r)
		if errors.Is(err, errAbandoned) {
			return r, fmt.Errorf("produce to %s: %w", r.Topic, context.Cause(ctx)) // counted when the library releases it
		}
		retry := attempt == 0 && ctx.Err() == nil && (isGone(err) || errors.Is(err, kgo.ErrClientClosed))
		if retry && errors.Is(err, kerr.UnknownTopicID) {
			p.markStale()
			p.unsettled.Done()
			continue
		}
		if retry && errors.Is(err, kgo.ErrClientClosed) {
			p.unsettled.Done()
			continue // the client was replaced meanwhile
		}
		p.settle(t, err)
		if err != nil {
			return r, fmt.Errorf("produce to %s: %w", r.Topic, err)
		}
		r.Partition, r.Offset, r.Timestamp = sent.Partition, sent.Offset, sent.Timestamp
		return r, nil
	}
}

// errAbandoned means that produce returned while the library still holds the record.
var errAbandoned = errors.New("abandoned")

// produce sends one record and waits for its outcome, at most until ctx ends. The library checks a record's context
// only between attempts, so an unavailable or slow broker would block the caller for many seconds more. An abandoned
// record may still be delivered; it is settled then.
func (p *Producer) produce(ctx context.Context, client *kgo.Client, t *topicCount, r Record) (sent *kgo.Record, err error) {
	done := make(chan struct{})
	var decided atomic.Bool // set by the first of two events: the record's outcome, or the end of ctx
	client.Produce(ctx, toKgo(r), func(record *kgo.Record, failed error) {
		if !decided.CompareAndSwap(false, true) {
			p.settle(t, failed)
			return
		}
		sent, err = record, failed
		close(done)
	})
	select {
	case <-done:
		return sent, err
	case <-ctx.Done():
	}
	if decided.CompareAndSwap(false, true) {
		return nil, errAbandoned
	}
	<-done
	return sent, err
}

// settle counts the outcome of a record.
func (p *Producer) settle(t *topicCount, err error) {
	defer p.unsettled.Done()
	if err == nil {
		t.delivered.Add(1)
		p.recovered()
		return
	}
	t.drop(reasonOf(err))
	if isGone(err) {
		p.markStale()
	}
}

// isGone reports errors from which this client will not recover: the topic that it knows is not the topic that the
// broker has.
func isGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.UnknownTopicOrPartition)
}

func (p *Producer) markStale() {
	p.mu.Lock()
	p.stale = true
	p.mu.Unlock()
}

func (p *Producer) recovered() {
	p.mu.RLock()
	clean := p.failures == 0 && !p.stale
	p.mu.RUnlock()
	if clean {
		return
	}
	p.mu.Lock()
	p.failures = 0
	p.mu.Unlock()
}

// renew replaces a client whose topics are gone, at most once per back-off step. Records that the old client still
// holds fail and are counted.
func (p *Producer) renew() {
	p.mu.RLock()
	due := p.stale && !p.closed && time.Since(p.replaced) >= p.pause()
	p.mu.RUnlock()
	if !due {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stale || p.closed || time.Since(p.replaced) < p.pause() {
		return
	}
	next, err := p.dial()
	if err != nil {
		return // the configuration was valid before; keep the old client
	}
	old := p.client
	p.client, p.stale, p.replaced = next, false, time.Now()
	p.failures++
	p.log.Warn("kafka topic is gone or was created again, producing with a new client", "replacements", p.failures)
	p.retiring.Add(1)
	go func() {
		defer p.retiring.Done()
		old.Close()
	}()
}

func (p *Producer) pause() time.Duration {
	if p.failures == 0 {
		return 0
	}
	return p.cfg.Retry.Delay(p.failures, 0.5)
}

// Stats returns the counts since the start.
func (p *Producer) Stats() ProducerStats {
	s := p.count.snapshot()
	p.mu.RLock()
	defer p.mu.RUnlock()
	s.BufferedRecords = p.client.BufferedProduceRecords()
	s.BufferedBytes = p.client.BufferedProduceBytes()
	return s
}

// Flush waits until all queued records are delivered or dropped, or ctx ends.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.RLock()
	client := p.client
	p.mu.RUnlock()
	return client.Flush(ctx)
}

// Close delivers queued records until ctx ends, then drops and counts the rest. It may be called more than once. A
// closed producer refuses records.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	client := p.client
	p.mu.Unlock()
	err := client.Flush(ctx)
	client.Close()
	p.retiring.Wait()
	p.unsettled.Wait() // closed clients fail their records, which are counted shortly afterwards
	if err != nil {
		return fmt.Errorf("flush kafka producer: %w", err)
	}
	return nil
}
