package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/inflate"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ResetReason is the reason why a Tail dropped its positions in a topic.
type ResetReason string

// Reasons of a reset.
const (
	ResetRecreated ResetReason = "recreated" // the topic has another id: it was deleted and created again, or the broker restarted without data
	ResetShorter   ResetReason = "shorter"   // the log ends before the position that was already read
)

// TailConfig configures a Tail.
type TailConfig struct {
	Topics []string // at least one; the Tail waits for those that do not exist
	From   Start    // where partitions without a position begin; default the beginning

	// Positions, when set, overrides From for these partitions: the next offset to read. TopicIDs, when set, are the
	// topics' ids at the time the positions were saved; another id is a reset.
	Positions map[TopicPartition]int64
	TopicIDs  map[string]string

	MaxBatch int           // most records per call of handle; default 2,000
	Pace     time.Duration // shortest time between two batches that are not full; default 0, no delay
	Refresh  time.Duration // interval at which topic ids and partitions are checked; default 5 s

	// OnCaughtUp is called once per Run, when all records that were in the log when reading began have been handled.
	// May be nil.
	OnCaughtUp func()
	// OnReset is called after a topic's positions were dropped, before any of its records is handed over again. May be
	// nil.
	OnReset func(topic string, why ResetReason)
}

// Tail reads every partition of its topics without a consumer group. It therefore does not appear in group listings and
// takes no partitions from other readers.
type Tail struct {
	cfg Config
	tc  TailConfig
	log *slog.Logger

	pulse *pulse

	mu        sync.Mutex // guards the fields below
	positions map[TopicPartition]int64
	ends      map[TopicPartition]int64 // by the latest answer of the broker
	latest    map[string]time.Time     // timestamp of the latest record of each topic
	ids       map[string]string
	cluster   string
	connected bool
	caught    bool
	skipped   uint64
}

// NewTail checks the configurations; it does not dial.
func NewTail(cfg Config, tc TailConfig, log *slog.Logger) (*Tail, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kafka tail: %w", err)
	}
	if len(tc.Topics) == 0 {
		return nil, errors.New("kafka tail: no topics")
	}
	if tc.MaxBatch <= 0 {
		tc.MaxBatch = 2000
	}
	if tc.Refresh <= 0 {
		tc.Refresh = 5 * time.Second
	}
	t := &Tail{
		cfg: cfg, tc: tc, log: log, pulse: newPulse(),
		positions: maps.Clone(tc.Positions), ids: maps.Clone(tc.TopicIDs),
		ends: map[TopicPartition]int64{}, latest: map[string]time.Time{},
	}
	if t.positions == nil {
		t.positions = map[TopicPartition]int64{}
	}
	if t.ids == nil {
		t.ids = map[string]string{}
	}
	return t, nil
}

// Positions returns the next offset to read of every partition known.
func (t *Tail) Positions() map[TopicPartition]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.positions)
}

// TopicIDs returns the ids of the topics as last seen.
func (t *Tail) TopicIDs() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.ids)
}

// ClusterID returns the id of the cluster last seen, empty before that.
func (t *Tail) ClusterID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cluster
}

// Connected reports whether the last exchange with the cluster succeeded, at most a few seconds ago.
func (t *Tail) Connected() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected && t.pulse.silence() <= pulseLimit
}

// LastContact returns when a broker last answered this reader. Silence since then is that of the brokers.
func (t *Tail) LastContact() time.Time { return time.Now().Add(-t.pulse.silence()) }

// Skipped counts batches that were skipped because their decompressed size would exceed the limit.
func (t *Tail) Skipped() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.skipped
}

// Run reads until ctx ends and hands records over in the order of each partition. handle runs in this goroutine and
// owns the slice until it returns. Run waits for unavailable brokers. It returns nil when ctx ended.
func (t *Tail) Run(ctx context.Context, handle func(batch []Record)) error {
	t.mu.Lock()
	t.caught = false
	t.mu.Unlock()
	ends := map[TopicPartition]int64{} // end offsets of the log when Run first saw a partition
	for attempt := 0; ctx.Err() == nil; {
		progressed, err := t.session(ctx, ends, handle)
		t.setConnected(false)
		if ctx.Err() != nil {
			break
		}
		if progressed {
			attempt = 0
		}
		if err != nil && !errors.Is(err, errLayout) {
			t.log.Debug("kafka reader starts again", "topics", t.tc.Topics, "error", err)
		}
		t.cfg.Retry.Wait(ctx, attempt)
		attempt++
	}
	return nil
}

// errLayout ends a session because topics or partitions changed since it began.
var errLayout = errors.New("topics changed")

// session reads with one client until the layout changes or the client cannot continue. It reports whether it read any
// record.
func (t *Tail) session(ctx context.Context, ends map[TopicPartition]int64, handle func([]Record)) (bool, error) {
	line, end := lifeline(ctx, readGrace)
	defer end()
	admin, err := NewAdminWithin(line, t.cfg, kgo.WithHooks(t.pulse))
	if err != nil {
		return false, err
	}
	defer admin.Close()
	cluster, starts, err := t.place(ctx, admin, ends)
	if err != nil {
		return false, err
	}
	t.setConnected(true)
	t.maybeCaughtUp(ends, len(cluster.Topics))
	if len(starts) == 0 {
		return false, fmt.Errorf("%w: none of %v exists", errLayout, t.tc.Topics)
	}
	client, err := kgo.NewClient(append(append(t.cfg.Options(), readOptions()...), kgo.WithContext(line), kgo.WithHooks(t.pulse), kgo.ConsumePartitions(starts))...)
	if err != nil {
		return false, fmt.Errorf("kafka tail: %w", err)
	}
	defer client.Close()

	ctx, leave := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { t.watch(ctx, admin, cluster, leave) })
	watch.Go(func() { t.pulse.keep(ctx, admin.Client()) })
	defer watch.Wait()
	defer leave(nil)

	progressed := false
	for {
		fetches := client.PollRecords(ctx, t.tc.MaxBatch)
		if ctx.Err() != nil {
			return progressed, context.Cause(ctx)
		}
		n := t.deliver(fetches, handle)
		if n > 0 {
			progressed = true
			t.setConnected(true)
		}
		if err := t.judge(client, fetches); err != nil {
			return progressed, err
		}
		t.maybeCaughtUp(ends, len(cluster.Topics))
		if fetches.Err() != nil && fetches.NumRecords() == 0 {
			t.cfg.Retry.Wait(ctx, 0) // the library retries at once, so errors would return as fast as the network answers
		}
		if n > 0 && n < t.tc.MaxBatch {
			pace(ctx, t.tc.Pace)
		}
	}
}

// place finds out which partitions exist and where reading continues, and drops positions that are no longer valid.
func (t *Tail) place(ctx context.Context, admin *Admin, ends map[TopicPartition]int64) (Cluster, map[string]map[int32]kgo.Offset, error) {
	cluster, err := admin.Describe(ctx, t.tc.Topics...)
	if err != nil {
		return Cluster{}, nil, err
	}
	var topics []string
	for name := range cluster.Topics {
		topics = append(topics, name)
	}
	first, err := admin.StartOffsets(ctx, topics...)
	if err != nil {
		return Cluster{}, nil, err
	}
	last, err := admin.EndOffsets(ctx, topics...)
	if err != nil {
		return Cluster{}, nil, err
	}
	atTime := map[TopicPartition]int64{}
	if t.tc.From.kind == startAgo {
		if atTime, err = admin.OffsetsAt(ctx, time.Now().Add(-t.tc.From.ago), topics...); err != nil {
			return Cluster{}, nil, err
		}
	}
	resets := t.forget(cluster, last)
	for topic, why := range resets {
		t.log.Warn("kafka topic lost what was read", "topic", topic, "why", string(why))
		for tp := range ends {
			if tp.Topic == topic {
				delete(ends, tp)
			}
		}
		if t.tc.OnReset != nil {
			t.tc.OnReset(topic, why)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cluster = cluster.ID
	starts := map[string]map[int32]kgo.Offset{}
	for tp, end := range last {
		_, wasReset := resets[tp.Topic]
		at, known := t.positions[tp]
		if !known {
			at = t.tc.From.place(first[tp], end, atTime[tp], wasReset)
			t.positions[tp] = at
		}
		if at < first[tp] { // retention deleted unread records: continue with the oldest record that remains
			at = first[tp]
			t.positions[tp] = at
		}
		t.ends[tp] = end
		if _, seen := ends[tp]; !seen {
			ends[tp] = end
		}
		if starts[tp.Topic] == nil {
			starts[tp.Topic] = map[int32]kgo.Offset{}
		}
		starts[tp.Topic][tp.Partition] = kgo.NewOffset().At(at)
	}
	return cluster, starts, nil
}

// forget drops the positions of topics that were created again or whose log ends before the position, and returns those
// topics.
func (t *Tail) forget(cluster Cluster, ends map[TopicPartition]int64) map[string]ResetReason {
	t.mu.Lock()
	defer t.mu.Unlock()
	resets := map[string]ResetReason{}
	for name, topic := range cluster.Topics {
		if old, known := t.ids[name]; known && old != topic.ID {
			resets[name] = ResetRecreated
		}
		t.ids[name] = topic.ID
	}
	for tp, at := range t.positions {
		end, exists := ends[tp]
		if _, reset := resets[tp.Topic]; !reset && exists && at > end {
			resets[tp.Topic] = ResetShorter
		}
	}
	for tp := range t.positions {
		if _, reset := resets[tp.Topic]; reset {
			delete(t.positions, tp)
			delete(t.ends, tp)
		}
	}
	return resets
}

// watch ends the session when a topic appears, gains partitions or gets another id.
func (t *Tail) watch(ctx context.Context, admin *Admin, was Cluster, end context.CancelCauseFunc) {
	tick := time.NewTicker(t.tc.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := admin.Describe(ctx, t.tc.Topics...)
		if ctx.Err() != nil {
			return
		}
		t.setConnected(err == nil)
		if err == nil && !maps.Equal(now.Topics, was.Topics) {
			end(errLayout)
			return
		}
	}
}

// deliver hands over the fetched records and advances positions, also over control records. It returns how many records
// of either kind there were.
func (t *Tail) deliver(fetches kgo.Fetches, handle func([]Record)) int {
	n := fetches.NumRecords()
	if n == 0 {
		return 0
	}
	batch := make([]Record, 0, n)
	next := map[TopicPartition]int64{}
	latest := map[string]time.Time{}
	fetches.EachRecord(func(r *kgo.Record) {
		next[TopicPartition{r.Topic, r.Partition}] = r.Offset + 1
		if r.Timestamp.After(latest[r.Topic]) {
			latest[r.Topic] = r.Timestamp
		}
		if !r.Attrs.IsControl() {
			batch = append(batch, fromKgo(r))
		}
	})
	if len(batch) > 0 {
		Hand(t.cfg, t.log, batch, handle)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.Copy(t.positions, next)
	t.note(fetches, latest)
	return n
}

// judge examines the errors of a poll. An error that a new client would fix ends the session; the library retries after
// all others.
func (t *Tail) judge(client *kgo.Client, fetches kgo.Fetches) error {
	var fatal error
	for _, fe := range fetches.Errors() {
		var big *kgo.ErrDecompressTooLarge
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(fe.Err, inflate.ErrFetchFull):
		case errors.As(fe.Err, &big):
			t.log.Warn("kafka batch would decompress to too much, skipped", "topic", big.Topic, "partition", big.Partition, "offset", big.Offset)
			t.mu.Lock()
			t.positions[TopicPartition{big.Topic, big.Partition}] = big.NextOffset
			t.skipped++
			t.mu.Unlock()
			client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
				big.Topic: {big.Partition: {Epoch: big.Epoch, Offset: big.NextOffset}},
			})
		case errors.As(fe.Err, &loss),
			errors.Is(fe.Err, kerr.UnknownTopicID), errors.Is(fe.Err, kerr.UnknownTopicOrPartition),
			errors.Is(fe.Err, kerr.InconsistentTopicID), errors.Is(fe.Err, kerr.OffsetOutOfRange):
			fatal = fmt.Errorf("fetch %s/%d: %w", fe.Topic, fe.Partition, fe.Err)
		case !kerr.IsRetriable(fe.Err) && !errors.Is(fe.Err, context.Canceled):
			fatal = fmt.Errorf("fetch %s/%d: %w", fe.Topic, fe.Partition, fe.Err)
		}
	}
	return fatal
}

// maybeCaughtUp calls OnCaughtUp once all topics exist and every partition has been read up to the end of its log when
// Run first saw it.
func (t *Tail) maybeCaughtUp(ends map[TopicPartition]int64, existing int) {
	t.mu.Lock()
	done := !t.caught && existing == len(t.tc.Topics)
	for tp, end := range ends {
		done = done && t.positions[tp] >= end
	}
	t.caught = t.caught || done
	t.mu.Unlock()
	if done && t.tc.OnCaughtUp != nil {
		t.tc.OnCaughtUp()
	}
}

func (t *Tail) setConnected(yes bool) {
	if yes {
		t.pulse.beat()
	}
	t.mu.Lock()
	t.connected = yes
	t.mu.Unlock()
}
