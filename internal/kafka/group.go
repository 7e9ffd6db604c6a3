package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/inflate"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrNotCopartitioned means that the topics of a Group have unequal partition counts, so partitions of equal number
// cannot be assigned to the same member.
var ErrNotCopartitioned = errors.New("input topics have unequal partition counts")

// Position is the state of a group in one partition.
type Position struct {
	Committed int64  // next offset to read, as committed; -1 if there is no commit
	Metadata  string // metadata of the commit
	Start     int64  // oldest offset in the log
	End       int64  // offset of the next record to be written
	Reset     bool   // the commit is beyond the end of the log: the topic lost data or was created again
}

// Commit is the offset and metadata to store for a partition.
type Commit struct {
	Offset   int64 // next offset to read
	Metadata string
}

// GroupHandler is called by a Group, never by two goroutines at once.
type GroupHandler interface {
	// Assigned receives the partitions that this member now has and returns where to start each. A partition that is
	// left out starts at its commit, or at the beginning of the log. ctx ends when the assignment ends. After an error
	// the group retries the assignment.
	Assigned(ctx context.Context, partitions map[TopicPartition]Position) (map[TopicPartition]int64, error)
	// Revoked receives the partitions that this member no longer has. Unless lost, they may still be committed during
	// the call.
	Revoked(ctx context.Context, partitions []TopicPartition, lost bool)
	// Batch receives records in the order of each partition. No rebalance happens before it returns, so it must take
	// much less than 10 s.
	Batch(ctx context.Context, records []Record)
}

// GroupConfig configures a Group.
type GroupConfig struct {
	ID       string        // name of the consumer group
	Topics   []string      // all must have the same number of partitions
	MaxBatch int           // most records per call of Batch; default 2,000
	Pace     time.Duration // shortest time between two batches that are not full; default 0, no delay
	Idle     time.Duration // Batch is called with no records at least this often; default 1 s
}

// Group shares the partitions of its topics with the other members of one consumer group. It uses the range balancer
// with all topics subscribed, so partition n of every topic is assigned to the same member. The cooperative-sticky
// balancer does not do that.
type Group struct {
	cfg Config
	gc  GroupConfig
	log *slog.Logger

	mu     sync.Mutex // guards client, next and ends
	client *kgo.Client
	next   map[TopicPartition]int64 // next offset to read of the assigned partitions
	ends   map[TopicPartition]int64 // their ends, by the latest answer of the broker

	calls sync.Mutex // serializes the calls of the handler
}

// sessionTimeout is the time until a member that died loses its partitions. Ten seconds is a compromise: longer leaves
// a longer gap, shorter causes rebalances after brief pauses.
const sessionTimeout = 10 * time.Second

// leaveTimeout bounds the request that leaves the group, so that a stop does not wait for an unavailable broker.
const leaveTimeout = 2 * time.Second

// NewGroup checks the configurations; it does not dial.
func NewGroup(cfg Config, gc GroupConfig, log *slog.Logger) (*Group, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("kafka group: %w", err)
	}
	if gc.ID == "" || len(gc.Topics) == 0 {
		return nil, errors.New("kafka group: id and topics are required")
	}
	if gc.MaxBatch <= 0 {
		gc.MaxBatch = 2000
	}
	if gc.Idle <= 0 {
		gc.Idle = time.Second
	}
	return &Group{cfg: cfg, gc: gc, log: log, next: map[TopicPartition]int64{}, ends: map[TopicPartition]int64{}}, nil
}

// Run is a member of the group until ctx ends, then leaves the group and returns nil. It returns ErrNotCopartitioned,
// with the counts, when the topics have unequal partition counts. It waits for missing topics and unavailable brokers.
func (g *Group) Run(ctx context.Context, h GroupHandler) error {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		progressed, err := g.session(ctx, h)
		if errors.Is(err, ErrNotCopartitioned) {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		if progressed {
			attempt = 0
		}
		g.log.Debug("kafka group member starts again", "group", g.gc.ID, "error", err)
		g.cfg.Retry.Wait(ctx, attempt)
	}
	return nil
}

func (g *Group) session(ctx context.Context, h GroupHandler) (progressed bool, err error) {
	line, cut := lifeline(ctx, groupGrace)
	defer cut()
	admin, err := NewAdminWithin(line, g.cfg)
	if err != nil {
		return false, err
	}
	defer admin.Close()
	cluster, err := g.check(ctx, admin)
	if err != nil {
		return false, err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	client, err := g.join(line, admin, h)
	if err != nil {
		return false, err
	}
	g.mu.Lock()
	g.client = client
	g.mu.Unlock()
	defer func() {
		defer func() { // after the last Revoked, which may still commit
			g.mu.Lock()
			g.client = nil
			g.mu.Unlock()
		}()
		leave, cancel := context.WithTimeout(line, leaveTimeout)
		defer cancel()
		client.AllowRebalance()
		_ = client.LeaveGroupContext(leave) // if this fails, the session timeout ends the membership
		client.CloseAllowingRebalance()
	}()
	var watch sync.WaitGroup
	watch.Go(func() { g.watch(ctx, admin, cluster, end) })
	defer watch.Wait()
	defer end(nil)
	for {
		n, err := g.poll(ctx, client, h)
		progressed = progressed || n > 0
		if ctx.Err() != nil {
			return progressed, context.Cause(ctx)
		}
		if err != nil {
			return progressed, err
		}
		if n > 0 && n < g.gc.MaxBatch {
			pace(ctx, g.gc.Pace)
		}
	}
}

// poll hands over one batch, which may be empty, and then permits rebalances.
func (g *Group) poll(ctx context.Context, client *kgo.Client, h GroupHandler) (int, error) {
	wait, cancel := context.WithTimeout(ctx, g.gc.Idle)
	fetches := client.PollRecords(wait, g.gc.MaxBatch)
	cancel()
	defer client.AllowRebalance()
	if ctx.Err() != nil {
		return 0, nil
	}
	batch := make([]Record, 0, fetches.NumRecords())
	fetches.EachRecord(func(r *kgo.Record) {
		if !r.Attrs.IsControl() {
			batch = append(batch, fromKgo(r))
		}
	})
	g.calls.Lock()
	Hand(g.cfg, g.log, batch, func(part []Record) { h.Batch(ctx, part) })
	g.calls.Unlock()
	g.note(fetches)
	err := g.judge(client, fetches)
	if err == nil && len(batch) == 0 && len(fetches.Errors()) > 0 && wait.Err() == nil {
		g.cfg.Retry.Wait(ctx, 0)
	}
	return len(batch), err
}

func (g *Group) judge(client *kgo.Client, fetches kgo.Fetches) error {
	for _, fe := range fetches.Errors() {
		var big *kgo.ErrDecompressTooLarge
		var session *kgo.ErrGroupSession
		switch {
		case errors.Is(fe.Err, context.DeadlineExceeded), errors.Is(fe.Err, context.Canceled), errors.Is(fe.Err, inflate.ErrFetchFull), errors.As(fe.Err, &session):
		case errors.As(fe.Err, &big):
			g.log.Warn("kafka batch would decompress to too much, skipped", "topic", big.Topic, "partition", big.Partition, "offset", big.Offset)
			client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
				big.Topic: {big.Partition: {Epoch: big.Epoch, Offset: big.NextOffset}},
			})
		case errors.Is(fe.Err, kerr.UnknownTopicID), errors.Is(fe.Err, kerr.UnknownTopicOrPartition),
			errors.Is(fe.Err, kerr.InconsistentTopicID), errors.Is(fe.Err, kerr.OffsetOutOfRange),
			!kerr.IsRetriable(fe.Err):
			return fmt.Errorf("fetch %s/%d: %w", fe.Topic, fe.Partition, fe.Err)
		}
	}
	return nil
}

// check reports whether the topics exist and have equal partition counts. It does not wait.
func (g *Group) check(ctx context.Context, admin *Admin) (Cluster, error) {
	cluster, err := admin.Describe(ctx, g.gc.Topics...)
	if err != nil {
		return Cluster{}, err
	}
	var missing []string
	counts := map[int32]bool{}
	detail := ""
	for _, name := range g.gc.Topics {
		t, ok := cluster.Topics[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		counts[t.Partitions] = true
		detail += fmt.Sprintf(" %s has %d,", name, t.Partitions)
	}
	if len(missing) > 0 {
		return Cluster{}, fmt.Errorf("topics %v do not exist", missing)
	}
	if len(counts) > 1 {
		return Cluster{}, fmt.Errorf("%w:%s", ErrNotCopartitioned, detail[:len(detail)-1])
	}
	return cluster, nil
}

func (g *Group) watch(ctx context.Context, admin *Admin, was Cluster, end context.CancelCauseFunc) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := admin.Describe(ctx, g.gc.Topics...)
		if err == nil && !maps.Equal(now.Topics, was.Topics) {
			end(errLayout)
			return
		}
	}
}

// join makes a client whose callbacks call h.
func (g *Group) join(line context.Context, admin *Admin, h GroupHandler) (*kgo.Client, error) {
	revoked := func(lost bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(ctx context.Context, _ *kgo.Client, m map[string][]int32) {
			if len(m) == 0 {
				return
			}
			g.forget(flatten(m))
			g.calls.Lock()
			defer g.calls.Unlock()
			h.Revoked(ctx, flatten(m), lost)
		}
	}
	client, err := kgo.NewClient(append(append(g.cfg.Options(), readOptions()...),
		kgo.WithContext(line),
		kgo.ConsumerGroup(g.gc.ID),
		kgo.ConsumeTopics(g.gc.Topics...),
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(sessionTimeout/4),
		kgo.RebalanceTimeout(30*time.Second),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsRevoked(revoked(false)),
		kgo.OnPartitionsLost(revoked(true)),
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, m map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			return g.assign(ctx, admin, h, m)
		}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka group: %w", err)
	}
	return client, nil
}

// assign turns an assignment into start offsets by calling h.
func (g *Group) assign(ctx context.Context, admin *Admin, h GroupHandler, m map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	first, err := admin.StartOffsets(ctx, g.gc.Topics...)
	if err != nil {
		return nil, err
	}
	last, err := admin.EndOffsets(ctx, g.gc.Topics...)
	if err != nil {
		return nil, err
	}
	stored, err := g.fetchCommits(ctx, admin)
	if err != nil {
		return nil, err
	}
	positions := map[TopicPartition]Position{}
	for topic, parts := range m {
		for part := range parts {
			tp := TopicPartition{topic, part}
			p := Position{Committed: -1, Start: first[tp], End: last[tp]}
			if c, ok := stored[tp]; ok {
				p.Committed, p.Metadata, p.Reset = c.Offset, c.Metadata, c.Offset > last[tp]
			}
			positions[tp] = p
		}
	}
	g.calls.Lock()
	seek, err := h.Assigned(ctx, positions)
	g.calls.Unlock()
	if err != nil {
		return nil, err
	}
	out := map[string]map[int32]kgo.Offset{}
	for tp, p := range positions {
		at, ok := seek[tp]
		if !ok {
			at = p.Committed
			if at < 0 || p.Reset {
				at = p.Start
			}
		}
		if out[tp.Topic] == nil {
			out[tp.Topic] = map[int32]kgo.Offset{}
		}
		at = min(max(at, p.Start), p.End)
		g.begin(tp, at, p.End)
		out[tp.Topic][tp.Partition] = kgo.NewOffset().At(at).WithEpoch(-1)
	}
	return out, nil
}

// Commit stores offsets and metadata for the group. Only the handler may call it, also within Revoked unless the
// partitions were lost.
func (g *Group) Commit(ctx context.Context, commits map[TopicPartition]Commit) error {
	if len(commits) == 0 {
		return nil
	}
	g.mu.Lock()
	client := g.client
	g.mu.Unlock()
	if client == nil {
		return fmt.Errorf("commit: %w", ErrClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.RequestTimeout)
	defer cancel()
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for tp, c := range commits {
		if offsets[tp.Topic] == nil {
			offsets[tp.Topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[tp.Topic][tp.Partition] = kgo.EpochOffset{Epoch: -1, Offset: c.Offset}
	}
	// The library commits only offsets; this adds our metadata.
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for _, t := range req.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				p.Metadata = kmsg.StringPtr(commits[TopicPartition{t.Topic, p.Partition}].Metadata)
			}
		}
		return nil
	})
	var result error
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			result = fmt.Errorf("commit: %w", err)
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil && result == nil {
					result = fmt.Errorf("commit %s/%d: %w", t.Topic, p.Partition, err)
				}
			}
		}
	})
	return result
}

// fetchCommits reads what the group has stored, metadata included.
func (g *Group) fetchCommits(ctx context.Context, admin *Admin) (map[TopicPartition]Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.RequestTimeout)
	defer cancel()
	fetched, err := admin.adm.FetchOffsetsForTopics(ctx, g.gc.ID, g.gc.Topics...)
	if err != nil {
		return nil, fmt.Errorf("fetch committed offsets: %w", err)
	}
	out := map[TopicPartition]Commit{}
	fetched.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 {
			out[TopicPartition{o.Topic, o.Partition}] = Commit{o.At, o.Metadata}
		}
	})
	return out, nil
}

func flatten(m map[string][]int32) []TopicPartition {
	var out []TopicPartition
	for topic, parts := range m {
		for _, p := range parts {
			out = append(out, TopicPartition{topic, p})
		}
	}
	slices.SortFunc(out, func(a, b TopicPartition) int {
		if a.Partition != b.Partition {
			return int(a.Partition) - int(b.Partition)
		}
		if a.Topic < b.Topic {
			return -1
		}
		return 1
	})
	return out
}
