package analyzer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/analysis"
)

// shell handles one membership in the group. The group calls it from one goroutine at a time.
type shell struct {
	a      *Analyzer
	group  *kafka.Group
	topics []string
	leave  context.CancelFunc // ends this membership
	owned  map[int32]*owned
	parked map[int32]*owned // revoked with a commit: resumed if no other member had them
	ticked time.Time        // time of the last tick
	lost   uint64           // lost outputs at the last commit
	queued int              // number of records sent since the last flush
	bytes  int              // their size
	fx     analysis.Effects
}

// owned is one partition of all input topics.
type owned struct {
	task       *analysis.Task
	inputs     map[string]*input // by topic
	until      time.Time         // replaying: the previous owner's last tick
	virtual    time.Time         // replaying: the last tick
	seq        uint64            // replaying: the highest number that the previous owner used
	assigned   time.Time
	heard      time.Time // the analyzer's clock at the last record
	lastTicked time.Time
	revision   string // revision of the task's configured instances
}

// input is the partition of one topic.
type input struct {
	next      int64 // next offset to read
	committed int64 // end of the replay
	stored    kafka.Commit
	trail     trail
}

var _ kafka.GroupHandler = (*shell)(nil)

func newShell(a *Analyzer, group *kafka.Group, topics []string, leave context.CancelFunc) *shell {
	return &shell{a: a, group: group, topics: topics, leave: leave, owned: map[int32]*owned{}, parked: map[int32]*owned{}, lost: lostOutput(a.producer.Stats())}
}

// Assigned makes a task for each partition and returns where its replay begins.
func (s *shell) Assigned(ctx context.Context, positions map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	fresh, err := s.recent(ctx, positions)
	if err != nil {
		return nil, err
	}
	count, err := s.partitions(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.topics) == len(Inputs()) {
		s.a.disable(nil) // no topic is missing and the counts are equal again
	}
	seek := map[kafka.TopicPartition]int64{}
	for p, of := range byPartition(positions) {
		if o := s.parked[p]; o != nil && o.isWhereItWas(of) {
			s.owned[p] = o
			for topic, in := range o.inputs {
				seek[kafka.TopicPartition{Topic: topic, Partition: p}] = in.next
			}
			s.a.log.Debug("analyzer keeps a partition", "partition", p)
			continue
		}
		o := s.take(p, count, of, fresh)
		for topic, in := range o.inputs {
			seek[kafka.TopicPartition{Topic: topic, Partition: p}] = in.next
		}
		s.owned[p] = o
		s.a.log.Info("analyzer takes a partition", "partition", p)
	}
	clear(s.parked)
	s.report()
	return seek, nil
}

// partitions requests the partition count of the inputs: a member knows only its own partitions.
func (s *shell) partitions(ctx context.Context) (int32, error) {
	admin, err := kafka.NewAdminWithin(ctx, s.a.cfg.Kafka)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	cluster, err := admin.Describe(ctx, event.TopicServiceMetrics)
	if err != nil {
		return 0, err
	}
	t, ok := cluster.Topics[event.TopicServiceMetrics]
	if !ok {
		return 0, fmt.Errorf("topic %s does not exist", event.TopicServiceMetrics)
	}
	return t.Partitions, nil
}

// recent finds where partitions without a commit begin: 180 s ago, because older input is no longer of use.
func (s *shell) recent(ctx context.Context, positions map[kafka.TopicPartition]kafka.Position) (map[kafka.TopicPartition]int64, error) {
	if !slices.ContainsFunc(slices.Collect(maps.Values(positions)), func(p kafka.Position) bool { return p.Committed < 0 }) {
		return nil, nil
	}
	admin, err := kafka.NewAdminWithin(ctx, s.a.cfg.Kafka)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	return admin.OffsetsAt(ctx, s.a.cfg.Now().Add(-rewind), s.topics...)
}

func byPartition(positions map[kafka.TopicPartition]kafka.Position) map[int32]map[string]kafka.Position {
	out := map[int32]map[string]kafka.Position{}
	for tp, pos := range positions {
		if out[tp.Partition] == nil {
			out[tp.Partition] = map[string]kafka.Position{}
		}
		out[tp.Partition][tp.Topic] = pos
	}
	return out
}

// isWhereItWas reports whether the commits are those of this member: no other member had the partition since.
func (o *owned) isWhereItWas(positions map[string]kafka.Position) bool {
	for topic, in := range o.inputs {
		pos, ok := positions[topic]
		if !ok || pos.Committed != in.next || pos.Committed != in.stored.Offset || pos.Metadata != in.stored.Metadata {
			return false
		}
	}
	return len(positions) == len(o.inputs)
}

// take makes the state of a partition, beginning with a replay.
func (s *shell) take(p, count int32, positions map[string]kafka.Position, fresh map[kafka.TopicPartition]int64) *owned {
	now := s.a.cfg.Now()
	o := &owned{
		task: analysis.New(analysis.Config{Partition: p, Partitions: count, NoRekey: !slices.Contains(s.topics, event.TopicRekey)}), inputs: map[string]*input{},
		assigned: now, heard: now,
	}
	for topic, pos := range positions {
		in := &input{}
		switch m := parseMark(pos.Metadata); {
		case pos.Committed < 0:
			in.next = pos.End
			if at, ok := fresh[kafka.TopicPartition{Topic: topic, Partition: p}]; ok {
				in.next = at
			}
			in.next = min(max(in.next, pos.Start), pos.End)
			in.committed = in.next
		case pos.Reset: // another log: none of it was read
			in.next, in.committed = pos.Start, pos.Start
			o.seq = max(o.seq, m.Seq)
		default:
			in.committed = max(pos.Committed, pos.Start)
			in.next = in.committed
			if m.Rewind >= 0 {
				in.next = min(max(m.Rewind, pos.Start), in.committed)
			}
			o.seq = max(o.seq, m.Seq)
			if at := time.UnixMilli(m.Punctuated); m.Punctuated > 0 && at.After(o.until) {
				o.until = at
			}
		}
		o.inputs[topic] = in
	}
	return o
}

// Revoked delivers and commits pending output and parks the partitions.
func (s *shell) Revoked(ctx context.Context, partitions []kafka.TopicPartition, lost bool) {
	s.a.log.Debug("analyzer gives partitions back", "count", len(partitions), "lost", lost)
	if !lost {
		soon, cancel := context.WithTimeout(ctx, leaveTimeout)
		s.tell(soon, s.a.cfg.Now())
		cancel()
	}
	for _, tp := range partitions {
		if o := s.owned[tp.Partition]; o != nil {
			if !lost && !o.task.Replaying() {
				s.parked[tp.Partition] = o
			}
			delete(s.owned, tp.Partition)
		}
	}
	s.report()
}

// Batch applies records and, once per interval, ticks and commits.
func (s *shell) Batch(ctx context.Context, records []kafka.Record) {
	now := s.a.cfg.Now()
	for _, o := range s.owned {
		s.a.configure(o)
	}
	for i := range records {
		if o := s.owned[records[i].Partition]; o != nil {
			s.apply(o, &records[i], now)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(s.owned)) {
		s.goLive(p, s.owned[p], now)
	}
	s.send(ctx)
	if now.Sub(s.ticked) >= s.a.cfg.Interval {
		s.tell(ctx, now)
	}
}

func (s *shell) apply(o *owned, r *kafka.Record, now time.Time) {
	in := o.inputs[r.Topic]
	if in == nil || r.Offset < in.next {
		return
	}
	old := r.Offset < in.committed
	in.next = r.Offset + 1
	o.heard = now
	x := inputOf(r, now)
	appended := r.Timestamp
	if appended.After(now) {
		appended = now
	}
	in.trail.pass(appended, r.Offset)
	if old {
		o.passTime(appended, &s.fx)
		x.Now, x.Replay = appended, true
	}
	o.task.Apply(x, &s.fx)
}

// passTime passes the log's time to a replaying task, as the previous owner did.
func (o *owned) passTime(at time.Time, fx *analysis.Effects) {
	if at.After(o.until) {
		at = o.until
	}
	if at.Sub(o.virtual) >= time.Second {
		o.virtual = at
		o.task.Punctuate(at, fx)
	}
}

// inputOf converts a record to an input; for a rekeyed record it restores the source.
func inputOf(r *kafka.Record, now time.Time) analysis.Input {
	x := analysis.Input{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Value: r.Value, Appended: r.Timestamp, Now: now}
	if v, ok := r.Header(event.HeaderReporter); ok {
		x.Reporter = clip(string(v))
	}
	x.Latency, _ = r.Header(event.HeaderLatency)
	if r.Topic != event.TopicRekey {
		return x
	}
	x.Rekeyed = true
	header := func(key string) string { v, _ := r.Header(key); return string(v) }
	x.Topic = header(analysis.HeaderSourceTopic)
	if p, err := strconv.ParseInt(header(analysis.HeaderSourcePartition), 10, 32); err == nil {
		x.Partition = int32(p)
	}
	if n, err := strconv.ParseInt(header(analysis.HeaderSourceOffset), 10, 64); err == nil {
		x.Offset = n
	}
	if ms, err := strconv.ParseInt(header(analysis.HeaderSourceTime), 10, 64); err == nil {
		x.Appended = time.UnixMilli(ms)
	}
	return x
}

// clip limits the length of a reporter's name, which becomes a key of state.
func clip(s string) string {
	const most = 256
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// goLive ends a replay that has passed the committed positions or has waited long enough. The wait can end without
// records: the last ones before a position may be control records, which are not delivered.
func (s *shell) goLive(p int32, o *owned, now time.Time) {
	if !o.task.Replaying() {
		return
	}
	behind := false
	for _, in := range o.inputs {
		behind = behind || in.next < in.committed
	}
	if behind && now.Sub(o.heard) < replayTimeout {
		return
	}
	if !s.a.restore(o.task) && now.Sub(o.assigned) < 2*replayTimeout {
		return
	}
	if !o.until.IsZero() {
		o.task.Punctuate(o.until, &s.fx)
	}
	o.task.GoLive(o.seq)
	s.a.log.Info("analyzer partition is live", "partition", p)
	s.report()
}

// tell passes the time to the tasks, delivers their output and commits.
func (s *shell) tell(ctx context.Context, now time.Time) {
	s.ticked = now
	nodes := s.a.takeNodes()
	for _, p := range slices.Sorted(maps.Keys(s.owned)) {
		o := s.owned[p]
		if p == 0 {
			for _, id := range slices.Sorted(maps.Keys(nodes)) {
				r := nodes[id]
				o.task.Apply(inputOf(&r, now), &s.fx)
			}
		}
		if o.task.Replaying() {
			continue
		}
		o.lastTicked = now
		o.task.Punctuate(now, &s.fx)
	}
	s.send(ctx)
	s.commit(ctx)
	s.report()
}

// send queues the tasks' output, and waits for delivery before the producer's queue can be full.
func (s *shell) send(ctx context.Context) {
	most := s.a.cfg.Kafka
	for _, r := range s.fx.Records {
		out := kafka.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			out.Headers = append(out.Headers, kafka.Header(h))
		}
		s.queued, s.bytes = s.queued+1, s.bytes+len(r.Value)
		if s.queued > most.MaxBufferedRecords/2 || s.bytes > most.MaxBufferedBytes/2 {
			_ = s.flush(ctx) // records without room count as lost, and are produced again
		}
		s.a.producer.Send(out)
	}
	s.fx.Reset()
}

func (s *shell) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	s.queued, s.bytes = 0, 0
	return s.a.producer.Flush(ctx)
}

// commit stores the positions once all output is delivered. If output was lost, it gives the partitions up without a
// commit instead, so that the next owner produces the output again.
func (s *shell) commit(ctx context.Context) {
	if s.flush(ctx) != nil {
		return // commit later: output is still in flight
	}
	if lost := lostOutput(s.a.producer.Stats()); lost != s.lost {
		s.lost = lost
		s.a.log.Warn("analyzer output was lost, reading its input again")
		clear(s.owned)
		s.leave()
		return
	}
	commits := map[kafka.TopicPartition]kafka.Commit{}
	for p, o := range s.owned {
		if o.task.Replaying() || o.lastTicked != s.ticked {
			continue
		}
		for topic, in := range o.inputs {
			c := kafka.Commit{Offset: in.next, Metadata: mark{
				Rewind: in.trail.rewindTo(in.next), Seq: o.task.Seq(), Punctuated: s.ticked.UnixMilli(),
			}.encode()}
			commits[kafka.TopicPartition{Topic: topic, Partition: p}] = c
		}
	}
	if len(commits) == 0 {
		return
	}
	if err := s.group.Commit(ctx, commits); err != nil {
		s.a.log.Debug("analyzer commit", "error", err)
		return
	}
	for tp, c := range commits {
		s.owned[tp.Partition].inputs[tp.Topic].stored = c
	}
	s.a.mu.Lock()
	s.a.snapshot.Commits++
	s.a.mu.Unlock()
}

// lostOutput counts output that must not be lost. Dead letters may be lost. So may records for topics that do not
// exist: a missing topic disables only its function.
func lostOutput(st kafka.ProducerStats) uint64 {
	var n uint64
	for _, topic := range []string{event.TopicMetricsAggregated, event.TopicHealthScores, event.TopicAlerts, event.TopicRekey} {
		for reason, d := range st.Topics[topic].Dropped {
			if reason != "UNKNOWN_TOPIC_OR_PARTITION" && reason != kafka.ReasonTooLarge {
				n += d
			}
		}
	}
	return n
}

// report publishes the state for Status.
func (s *shell) report() {
	var st Status
	dropped := map[string]uint64{}
	for _, p := range slices.Sorted(maps.Keys(s.owned)) {
		o := s.owned[p]
		st.Partitions = append(st.Partitions, p)
		if o.task.Replaying() {
			st.Replaying = append(st.Replaying, p)
		}
		for reason, n := range o.task.Dropped() {
			dropped[reason] += n
		}
		st.Alerts = append(st.Alerts, o.task.Active()...)
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.a.snapshot.Partitions, s.a.snapshot.Replaying, s.a.snapshot.Alerts = st.Partitions, st.Replaying, st.Alerts
	s.a.snapshot.Dropped = dropped
}
