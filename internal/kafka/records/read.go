package records

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/base/backoff"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/inflate"
)

// endless is the end of a range without an end.
const endless = math.MaxInt64

// Errors that end a read. errAway: the topic was deleted, or the broker has just started.
var (
	errAway  = errors.New("the broker does not know the topic now")
	errGone  = errors.New("the topic was created again")
	errGrown = errors.New("the topic has more partitions")
)

// Limits of a reading client. readMaxBytes limits what is fetched ahead; readMaxDecompress protects memory from
// compression bombs.
const (
	readMaxBytes       = 8 << 20  // compressed
	readPartitionBytes = 2 << 20  // a larger batch still arrives, alone (KIP-74)
	readMaxDecompress  = 64 << 20 // of a batch, and of the batches before it in one fetch
	readPollRecords    = 10_000
	emptyFetchBytes    = 2048 // a fetch response without records is smaller, except with thousands of partitions
	emptyFetchesForGap = 3    // this many in a row from a partition's leader: its offsets hold no records
	emptyFetchesAtAll  = 40   // this many in a row from any broker end the wait, in case a leader moved
)

// fetchWatch counts responses to fetch requests. By these counts a reader distinguishes a partition whose last offsets
// hold no records from a slow broker.
type fetchWatch struct {
	answers atomic.Int64
	fetched func(time.Duration)

	mu    sync.Mutex
	empty map[int32]int // by broker, in a row
	all   int           // of all brokers, in a row
}

const fetchKey = 1

func (w *fetchWatch) OnBrokerE2E(b kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key != fetchKey || e.Err() != nil {
		return
	}
	w.answers.Add(1)
	if w.fetched != nil {
		w.fetched(e.DurationE2E())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.BytesRead < emptyFetchBytes {
		w.empty[b.NodeID]++
		w.all++
	} else {
		w.empty[b.NodeID], w.all = 0, 0
	}
}

// got resets the counts: records arrived.
func (w *fetchWatch) got() {
	w.mu.Lock()
	clear(w.empty)
	w.all = 0
	w.mu.Unlock()
}

// nothing reports whether the leaders of all these partitions have no more records.
func (w *fetchWatch) nothing(left map[int32]extent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= emptyFetchesAtAll {
		return true
	}
	for _, e := range left {
		if w.empty[e.leader] < emptyFetchesForGap {
			return false
		}
	}
	return true
}

// read hands over the records of the ranges, in offset order within each partition, until all are read. With keep it
// continues while a broker is unavailable.
func read(ctx context.Context, cfg kafka.Config, spec ConsumeSpec, ranges map[kafka.TopicPartition]extent, keep bool, take func(kafka.Record) error) error {
	starts, left := map[string]map[int32]kgo.Offset{}, 0
	pos := make(map[int32]extent, len(ranges))
	for tp, e := range ranges {
		if e.from >= e.to {
			continue
		}
		if starts[tp.Topic] == nil {
			starts[tp.Topic] = map[int32]kgo.Offset{}
		}
		starts[tp.Topic][tp.Partition] = kgo.NewOffset().At(e.from)
		pos[tp.Partition] = e
		left++
	}
	if left == 0 {
		return nil
	}
	watch := &fetchWatch{fetched: spec.Fetched, empty: map[int32]int{}}
	ahead := readAhead(spec)
	line, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(readGrace, end) })
	defer stop()
	inflater := inflate.New(readMaxDecompress, ahead.inflated)
	client, err := kgo.NewClient(append(append(cfg.Options(), inflater.Options()...),
		kgo.WithContext(line), kgo.WithHooks(watch), kgo.ConsumePartitions(starts),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.KeepRetryableFetchErrors(),
		kgo.FetchMaxWait(250*time.Millisecond), kgo.FetchMaxBytes(ahead.bytes), kgo.FetchMaxPartitionBytes(ahead.partition),
		kgo.MaxConcurrentFetches(ahead.fetches),
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	r := reader{spec: spec, client: client, watch: watch, pos: pos, left: left, take: take, window: time.Now()}
	for _, e := range pos {
		r.total += e.to - e.from // meaningless without an end
	}
	return r.run(ctx, cfg.RequestTimeout, keep)
}

// readGrace is how long a client may take to close its fetch sessions after its work ended; brokers expire the sessions
// anyway.
const readGrace = 500 * time.Millisecond

// reader is the state of one read.
type reader struct {
	spec   ConsumeSpec
	client *kgo.Client
	watch  *fetchWatch
	pos    map[int32]extent
	left   int // partitions that are not at their end
	take   func(kafka.Record) error
	seen   int64
	total  int64 // offsets between the beginnings and the ends
	last   error // why the last polls returned no records
	window time.Time
	looked int64 // records of this window, when it samples
	size   int64 // and their bytes
}

// passed returns how many of all offsets were read or skipped.
func (r *reader) passed() (at, all int64) {
	left := int64(0)
	for _, e := range r.pos {
		left += max(0, e.to-e.from)
	}
	return r.total - left, r.total
}

func (r *reader) run(ctx context.Context, patience time.Duration, keep bool) error {
	heard, looked, answers := time.Now(), time.Now(), int64(0)
	for r.left > 0 {
		poll, cancel := context.WithTimeout(ctx, pollFor)
		fetches := r.client.PollRecords(poll, readPollRecords)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.deliver(fetches); err != nil {
			return err
		}
		if err := r.judge(fetches); err != nil {
			return err
		}
		if r.spec.Trouble != nil && (r.last != nil || fetches.NumRecords() > 0) {
			r.spec.Trouble(r.last)
		}
		if keep && r.spec.Sample != nil && fetches.NumRecords() > 0 {
			if err := r.leap(ctx); err != nil {
				return err
			}
		}
		if keep && time.Since(looked) > followLook {
			looked = time.Now()
			if err := r.changed(ctx); err != nil {
				return err
			}
		}
		if now := r.watch.answers.Load(); now != answers || fetches.NumRecords() > 0 {
			heard, answers = time.Now(), now
		}
		switch {
		case fetches.NumRecords() > 0:
			r.last = nil
			r.watch.got()
			if r.spec.Read != nil {
				r.spec.Read(r.seen)
			}
			if r.spec.Progress != nil {
				r.spec.Progress(r.passed())
			}
		case !keep && r.watch.nothing(r.pos):
			r.gap()
			return nil
		case time.Since(heard) > patience:
			if r.last != nil {
				return fmt.Errorf("%w for %v: %w", kafka.ErrSilent, patience, r.last)
			}
			return fmt.Errorf("%w for %v", kafka.ErrSilent, patience)
		}
		if len(fetches.Errors()) > 0 && fetches.NumRecords() == 0 {
			backoff.Sleep(ctx, 100*time.Millisecond) // the library retries at once
		}
	}
	return nil
}

// followLook is how often a following reader checks that the topic is still the same. If a new topic has the same name,
// the library continues there and waits for offsets that come much later.
const followLook = 2 * time.Second

// changed returns errGone if the topic was created again since reading began, errAway if it does not exist, and
// errGrown if it has more partitions.
func (r *reader) changed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, followLook)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &r.spec.Topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, r.client)
	if err != nil || len(resp.Topics) != 1 {
		return nil // unknown
	}
	now := resp.Topics[0]
	switch err := kerr.ErrorForCode(now.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return errAway
	case err != nil:
		return nil
	case now.TopicID != r.spec.id:
		return errGone
	case len(r.spec.Partitions) == 0 && len(now.Partitions) > r.spec.partitions:
		return errGrown
	}
	return nil
}

// pollFor is how long one wait for records lasts at most.
const pollFor = 300 * time.Millisecond

func (r *reader) deliver(fetches kgo.Fetches) error {
	var fail error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		e, open := r.pos[p.Partition]
		if !open || fail != nil {
			return
		}
		if len(p.Records) > 0 && e.from < p.LogStartOffset && p.LogStartOffset <= p.Records[0].Offset {
			r.spec.say("partition %d: offsets %d to %d were deleted before they were read", p.Partition, e.from, p.LogStartOffset-1)
		}
		for _, rec := range p.Records {
			if rec.Offset >= e.to {
				e.from = e.to
				break
			}
			e.from = rec.Offset + 1
			if rec.Attrs.IsControl() {
				continue
			}
			r.seen++
			r.looked++
			r.size += int64(len(rec.Key) + len(rec.Value))
			if fail = r.take(recordOf(rec)); fail != nil {
				return
			}
		}
		r.pos[p.Partition] = e
		if e.from >= e.to {
			delete(r.pos, p.Partition)
			r.left--
			r.client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
		}
	})
	return fail
}

// judge examines the errors of a poll; the library retries after all others.
func (r *reader) judge(fetches kgo.Fetches) error {
	for _, fe := range fetches.Errors() {
		var big *kgo.ErrDecompressTooLarge
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(fe.Err, context.DeadlineExceeded), errors.Is(fe.Err, context.Canceled), errors.Is(fe.Err, inflate.ErrFetchFull):
		case errors.As(fe.Err, &big):
			r.spec.say("partition %d, offset %d: a batch would decompress to more than %d bytes and is passed over", big.Partition, big.Offset, readMaxDecompress)
			r.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{big.Topic: {big.Partition: {Epoch: big.Epoch, Offset: big.NextOffset}}})
			if e, open := r.pos[big.Partition]; open {
				if e.from = big.NextOffset; e.from >= e.to {
					delete(r.pos, big.Partition)
					r.left--
				} else {
					r.pos[big.Partition] = e
				}
			}
		case errors.Is(fe.Err, kerr.UnknownTopicOrPartition):
			return errAway
		case errors.As(fe.Err, &loss), errors.Is(fe.Err, kerr.UnknownTopicID), errors.Is(fe.Err, kerr.InconsistentTopicID):
			return fmt.Errorf("%w: %w", errGone, fe.Err)
		case errors.Is(fe.Err, kerr.OffsetOutOfRange):
			return fmt.Errorf("partition %d was cut while it was read: %w", fe.Partition, fe.Err)
		case kerr.IsRetriable(fe.Err):
			r.last = fe.Err
		default:
			return fe.Err
		}
	}
	return nil
}

// gap reports which offsets hold no records.
func (r *reader) gap() {
	for p, e := range r.pos {
		r.spec.say("partition %d: offsets %d to %d hold no records for readers", p, e.from, e.to-1)
	}
}

func recordOf(r *kgo.Record) kafka.Record {
	out := kafka.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Key: r.Key, Value: r.Value, Timestamp: timeOf(r.Timestamp), Origin: kafka.OriginOf(r),
	}
	if len(r.Headers) > 0 {
		out.Headers = make([]kafka.Header, len(r.Headers))
		for i, h := range r.Headers {
			out.Headers[i] = kafka.Header(h)
		}
	}
	return out
}
