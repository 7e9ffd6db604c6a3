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

// ResetReason says why a Tail forgot its positions in a topic.
type ResetReason string

// Reasons of a reset.
const (
	ResetRecreated ResetReason = "recreated" // the topic has another id: deleted and created again, or the broker came back empty
	ResetShorter   ResetReason = "shorter"   // the log ends before what was already read
)

// TailConfig says what a Tail reads.
type TailConfig struct {
	Topics []string // at least one; those that do not exist are waited for
	From   Start    // where partitions that were not read yet begin; default the beginning

	// Positions, when set, overrides From for these partitions: the next
	// offset to read. TopicIDs, when set, are the topics' ids at the time the
	// positions were kept: another id is a reset.
	Positions map[TopicPartition]int64
	TopicIDs  map[string]string

	MaxBatch int           // most records handed over at once; default 2,000
	Pace     time.Duration // shortest time between two batches that are not full; default 0, as they come
	Refresh  time.Duration // how often topic ids and partitions are looked at; default 5 s

	// OnCaughtUp is called once per Run, when everything that was in the log
	// when reading began has been handled. May be nil.
	OnCaughtUp func()
	// OnReset is called when a topic's positions were dropped, before any of
	// its records is handed over again. May be nil.
	OnReset func(topic string, why ResetReason)
}

// Tail reads every partition of some topics without a consumer group, so it
// never shows up in group listings and takes no share from others.
type Tail struct {
	cfg Config
	tc  TailConfig
	log *slog.Logger

	pulse *pulse

	mu        sync.Mutex // guards the fields below
	positions map[TopicPartition]int64
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

// Connected reports whether the last exchange with the cluster succeeded, and
// was a few seconds ago at most.
func (t *Tail) Connected() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected && t.pulse.silence() <= pulseLimit
}

// Skipped counts batches that were passed over because they would have
// decompressed to more than is safe.
func (t *Tail) Skipped() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.skipped
}

// Run reads until ctx ends and hands records over in the order of each
// partition; handle runs in this goroutine and owns the slice until it
// returns. Brokers that are away are waited for. Run returns nil when ctx
// ended.
func (t *Tail) Run(ctx context.Context, handle func(batch []Record)) error {
	t.mu.Lock()
	t.caught = false
	t.mu.Unlock()
	ends := map[TopicPartition]int64{} // of the log when Run first saw a partition
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

// errLayout ends a session because topics or partitions are not what they were
// when it began.
var errLayout = errors.New("topics changed")

// session reads with one client until the layout changes or the client is of
// no more use. It reports whether anything was read.
func (t *Tail) session(ctx context.Context, ends map[TopicPartition]int64, handle func([]Record)) (bool, error) {
	line, end := lifeline(ctx, readGrace)
	defer end()
	admin, err := newAdmin(line, t.cfg, kgo.WithHooks(t.pulse))
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
			t.cfg.Retry.Wait(ctx, 0) // the library retries at once; errors come back as fast as the network answers
		}
		if n > 0 && n < t.tc.MaxBatch {
			pace(ctx, t.tc.Pace)
		}
	}
}

// place finds out what exists and where reading goes on, and drops positions
// that no longer mean anything.
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
		if at < first[tp] { // retention passed us: what is left is still unread
			at = first[tp]
			t.positions[tp] = at
		}
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

// forget drops the positions of topics that were created again or whose log is
// shorter than what was read, and returns them.
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
		}
	}
	return resets
}

// watch ends the session when a topic appears, grows or gets another id.
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

// deliver hands over what was fetched and advances positions, also over
// control records. It returns how many records of either kind there were.
func (t *Tail) deliver(fetches kgo.Fetches, handle func([]Record)) int {
	n := fetches.NumRecords()
	if n == 0 {
		return 0
	}
	batch := make([]Record, 0, n)
	next := map[TopicPartition]int64{}
	fetches.EachRecord(func(r *kgo.Record) {
		next[TopicPartition{r.Topic, r.Partition}] = r.Offset + 1
		if !r.Attrs.IsControl() {
			batch = append(batch, fromKgo(r))
		}
	})
	if len(batch) > 0 {
		hand(t.cfg, t.log, batch, handle)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.Copy(t.positions, next)
	return n
}

// judge looks at what went wrong in a poll. An error that a new client would
// cure ends the session; the rest is the library's to retry.
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

// maybeCaughtUp calls OnCaughtUp once all topics exist and every partition has
// been read to where its log ended when Run first saw it.
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
