package analysis

import (
	"slices"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
	"github.com/smartlb/smartlb/internal/telemetry/window"
)

const (
	// Horizon is the time span of input on which state depends.
	Horizon = 180 * time.Second

	maxLate   = 60 * time.Second  // behind the reporter's latest report: older reports are late
	maxFuture = 5 * time.Second   // ahead of the log's and the analyzer's clock: later reports get their time of arrival
	keepInput = 120 * time.Second // a report that is barely not late belongs to a window that began this long before the latest

	maxReporters = 64 // per instance: more can only be a mistake or an attack

	dlqValueLimit = 64 << 10
	dlqPerSecond  = 50 // a flood of bad records must not double the written volume
)

// Further reasons why a report is ignored, besides those of package event.
const (
	ignoredReporters = "too-many-reporters"
	ignoredSketch    = "bad-sketch" // the report is used, its latency sketch is ignored
)

// Config defines the partition that a task owns.
type Config struct {
	Partition  int32
	Partitions int32 // of each input topic
	NoRekey    bool  // smartlb-rekey does not exist: records of other partitions are dropped
}

// Input is one input record.
type Input struct {
	Topic     string // service-metrics, health-status or smartlb-node-status; for a rekeyed record its source topic
	Partition int32  // where it was read; for a rekeyed record its source partition
	Offset    int64
	Value     []byte
	Reporter  string    // header smartlb-reporter, empty: the instance itself
	Latency   []byte    // header smartlb-latency
	Appended  time.Time // the record's timestamp in the log
	Now       time.Time // the analyzer's clock; for a replayed record, Appended
	Rekeyed   bool      // came through smartlb-rekey: it is not forwarded again
	Replay    bool      // read again: it was already forwarded or refused
}

// Task is the state of one partition. It is not safe for concurrent use.
type Task struct {
	cfg          Config
	services     map[string]*service
	configured   Instances
	unconfigured int // number of unconfigured instances
	quota        quota
	nodes        map[string]*node
	nodeBytes    int // bytes of their names
	alerts       rule.Engine
	replaying    bool
	seq          uint64
	dlq          dlqBudget
	dropped      map[string]uint64
	rounds       rounds
}

type service struct {
	id           string
	instances    map[string]*instance
	unconfigured int
	windows      windowSet // of the whole service
}

// New returns a task in replay: Punctuate emits nothing until GoLive.
func New(cfg Config) *Task {
	return &Task{cfg: cfg, services: map[string]*service{}, nodes: map[string]*node{}, replaying: true, dropped: map[string]uint64{}}
}

// GoLive ends the replay. Sequence numbers and revisions continue above seq, the highest that the previous owner of the
// partition may have used.
func (t *Task) GoLive(seq uint64) {
	t.seq = max(t.seq, seq)
	t.alerts.Settle()
	t.replaying = false
}

// Replaying reports whether GoLive was not called yet.
func (t *Task) Replaying() bool { return t.replaying }

// Seq returns the highest sequence number used.
func (t *Task) Seq() uint64 { return t.seq }

// Dropped returns the number of dropped inputs by reason, except those that a health score counts.
func (t *Task) Dropped() map[string]uint64 { return t.dropped }

// next returns the next sequence number: the time in milliseconds, or one more than the last number if that is higher.
func (t *Task) next(now time.Time) uint64 {
	t.seq = max(t.seq+1, uint64(max(now.UnixMilli(), 0)))
	return t.seq
}

// Apply processes one record.
func (t *Task) Apply(in Input, fx *Effects) {
	switch in.Topic {
	case event.TopicServiceMetrics:
		t.applyMetrics(in, fx)
	case event.TopicHealthStatus:
		t.applyHealth(in, fx)
	case event.TopicNodeStatus:
		t.applyNode(in)
	default:
		t.dropped["unknown-topic"]++
	}
}

func (t *Task) applyMetrics(in Input, fx *Effects) {
	m, err := event.DecodeServiceMetrics(in.Value)
	if err != nil {
		t.refuse(in, err, fx)
		return
	}
	if !t.mine(m.ServiceID) {
		t.forward(in, m.ServiceID, fx)
		return
	}
	i := t.instance(m.ServiceID, m.InstanceID, in.Now)
	if i == nil {
		return
	}
	s := i.series[in.Reporter]
	if s == nil && in.Reporter != event.ReporterSelf && len(i.series) >= maxReporters { // the instance's own reports always have room
		i.ignore(ignoredReporters, in.Now)
		return
	}
	at, clamped := clampFuture(m.Timestamp, in)
	if clamped {
		i.ignore(event.IgnoredFutureClamped, in.Now)
	}
	newest := in.Appended
	if s != nil {
		if r, ok := s.Newest(); ok {
			newest = r.At
		}
	}
	if newest.Sub(at) > maxLate {
		i.ignore(event.IgnoredLate, in.Now)
		i.late(at)
		i.seeAt(at)
		return
	}
	r := window.Report{At: at, Metrics: m.Metrics}
	if len(in.Latency) > 0 {
		if window.CheckSketch(in.Latency) == nil {
			r.Sketch = slices.Clone(in.Latency) // the input is part of a large buffer
		} else {
			i.ignore(ignoredSketch, in.Now)
		}
	}
	if s == nil {
		s = &series{}
		i.series[in.Reporter] = s
	}
	if !s.Insert(r) {
		i.ignore(event.IgnoredDuplicate, in.Now)
		return
	}
	if newest, ok := s.Newest(); ok && newest.At.Equal(at) && in.Now.After(s.heard) {
		s.heard = in.Now
	}
	t.inserted(i, in, s, r)
	if len(m.Tags) > 0 {
		i.tags = fewTags(m.Tags)
	}
}

// inserted updates the state that depends on a new report.
func (t *Task) inserted(i *instance, in Input, s *series, r window.Report) {
	fresh := !in.Replay
	i.seeAt(r.At)
	i.windows.touch(r.At, fresh)
	i.service.windows.touch(r.At, fresh)
	if after, ok := s.After(r.At); ok { // its gap is now shorter
		i.windows.touch(after, fresh)
		i.service.windows.touch(after, fresh)
	}
	if newest, ok := s.Newest(); ok && event.FromInstance(in.Reporter) && newest.At.Equal(r.At) {
		i.observeSelf(r)
	}
	s.Each(r.At, r.At.Add(1), func(r *window.Report, gap time.Duration) {
		if r.Metrics.RPS.Set && r.Metrics.ErrorRate.Set {
			n := r.Metrics.RPS.Value * gap.Seconds()
			i.pending(in.Reporter, n, n*r.Metrics.ErrorRate.Value)
		}
	})
}

// clampFuture gives a report from the future its time of arrival: one wrong clock must not make all later reports late.
func clampFuture(at time.Time, in Input) (time.Time, bool) {
	arrival := in.Appended
	if in.Now.Before(arrival) || in.Now.Sub(arrival) > Horizon { // the producer may have set the log's time too
		arrival = in.Now
	}
	if at.After(arrival.Add(maxFuture)) {
		return arrival, true
	}
	return at, false
}

func (t *Task) mine(serviceID string) bool {
	return PartitionOf(serviceID, t.cfg.Partitions) == t.cfg.Partition
}

// forward sends a record to the partition of its service: producers may use any key or none.
func (t *Task) forward(in Input, serviceID string, fx *Effects) {
	if in.Replay {
		return
	}
	if in.Rekeyed {
		t.dropped["rekeyed-wrongly"]++ // never forward twice
		return
	}
	if t.cfg.NoRekey {
		t.dropped["no-rekey-topic"]++
		return
	}
	headers := []Header{
		{HeaderSourceTopic, []byte(in.Topic)},
		{HeaderSourcePartition, strconv.AppendInt(nil, int64(in.Partition), 10)},
		{HeaderSourceOffset, strconv.AppendInt(nil, in.Offset, 10)},
		{HeaderSourceTime, strconv.AppendInt(nil, in.Appended.UnixMilli(), 10)},
	}
	if in.Reporter != event.ReporterSelf {
		headers = append(headers, Header{event.HeaderReporter, []byte(in.Reporter)})
	}
	if len(in.Latency) > 0 {
		headers = append(headers, Header{event.HeaderLatency, in.Latency})
	}
	fx.add(Record{Topic: event.TopicRekey, Key: []byte(serviceID), Value: in.Value, Headers: headers})
}
