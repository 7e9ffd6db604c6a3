package analyzer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/analysis"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// GroupID is the consumer group of all analyzers.
const GroupID = "smartlb-analyzer"

const (
	rewind        = analysis.Horizon + 10*time.Second // state depends on the horizon; clocks differ by some seconds
	alertsBack    = 25 * time.Hour                    // active alerts are published again every day
	flushTimeout  = 5 * time.Second                   // well below the group's session timeout
	rekeyWait     = 15 * time.Second                  // for a topic that another process may be about to create
	replayTimeout = 5 * time.Second                   // limit for records that a replay still waits for, and for the alerts topic
	leaveTimeout  = 2 * time.Second                   // for the last delivery and commit of revoked partitions: the next owner reads the rest again
	closeTimeout  = 500 * time.Millisecond            // for records that the last delivery left: they were not committed, and are produced again
	refusedPause  = 5 * time.Second                   // interval of the check of refused inputs
)

// Config configures an Analyzer. Start from Default.
type Config struct {
	Kafka    kafka.Config
	Group    string           // consumer group; default GroupID
	Interval time.Duration    // interval of time ticks and commits; default 1 s
	Now      func() time.Time // default time.Now
}

// Default returns the configuration for a broker on this machine.
func Default() Config {
	return Config{Kafka: kafka.Default(), Group: GroupID, Interval: time.Second, Now: time.Now}
}

// Validate reports every mistake at once.
func (c Config) Validate() error {
	var bad []error
	if c.Group == "" {
		bad = append(bad, errors.New("group: missing"))
	}
	if c.Interval < 100*time.Millisecond || c.Interval > 10*time.Second {
		bad = append(bad, fmt.Errorf("interval: %v is not within 100ms..10s", c.Interval))
	}
	if c.Now == nil {
		bad = append(bad, errors.New("now: missing"))
	}
	return errors.Join(append(bad, c.Kafka.Validate())...)
}

// Analyzer is one member of the group. Make it with New.
type Analyzer struct {
	cfg      Config
	log      *slog.Logger
	producer *kafka.Producer
	alerts   *kafka.Tail
	nodes    *kafka.Tail
	updates  *kafka.Tail
	state    configlog.State             // of config-updates; only its tail's goroutine uses it
	group    atomic.Pointer[kafka.Group] // the current membership; nil before the first one

	mu       sync.Mutex              // guards the fields below, which the tails, Status and the group's goroutine use
	known    map[string]event.Alert  // latest message of each alert, by fingerprint
	caughtUp bool                    // the alerts topic was read to its end
	status   map[string]kafka.Record // latest unread status message of each node
	snapshot Status

	configured analysis.Instances
	revision   string // revision of configured
}

// Status is the state of an analyzer.
type Status struct {
	Partitions []int32 // owned
	Replaying  []int32 // owned partitions that do not emit yet
	Commits    uint64
	Restarts   uint64            // memberships started again: output was lost, or the topics changed
	Disabled   []string          // functions that are disabled because a topic is missing, with the reason
	Dropped    map[string]uint64 // dropped inputs, by reason
	Output     kafka.ProducerStats
	Alerts     []event.Alert // active in the owned partitions
}

// New checks the configuration. It neither dials nor starts goroutines.
func New(cfg Config, log *slog.Logger) (*Analyzer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("analyzer: %w", err)
	}
	a := &Analyzer{cfg: cfg, log: log, known: map[string]event.Alert{}, status: map[string]kafka.Record{}}
	var err error
	a.alerts, err = kafka.NewTail(cfg.Kafka, kafka.TailConfig{
		Topics: []string{event.TopicAlerts}, From: kafka.FromAgo(alertsBack), OnCaughtUp: a.alertsRead,
	}, log)
	if err != nil {
		return nil, fmt.Errorf("analyzer: %w", err)
	}
	a.nodes, err = kafka.NewTail(cfg.Kafka, kafka.TailConfig{
		Topics: []string{event.TopicNodeStatus}, From: kafka.FromAgo(30 * time.Second),
	}, log)
	if err != nil {
		return nil, fmt.Errorf("analyzer: %w", err)
	}
	a.updates, err = kafka.NewTail(cfg.Kafka, kafka.TailConfig{
		Topics:  []string{event.TopicConfigUpdates},
		OnReset: func(string, kafka.ResetReason) { a.state = configlog.State{} },
	}, log)
	if err != nil {
		return nil, fmt.Errorf("analyzer: %w", err)
	}
	a.producer, err = kafka.NewProducer(cfg.Kafka, log)
	if err != nil {
		return nil, fmt.Errorf("analyzer: %w", err)
	}
	return a, nil
}

// Run analyzes until ctx ends, then returns nil. It waits for unavailable brokers and missing topics. While the
// partition counts of the input topics differ, it does not start, logs the counts, and checks again every few seconds.
// It does not return an error, because a client that may add partitions to a topic must not be able to end a process
// that also proxies. Run may be called once.
func (a *Analyzer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var tails sync.WaitGroup
	tails.Go(func() { a.tail(ctx, a.alerts, a.readAlerts) })
	tails.Go(func() { a.tail(ctx, a.nodes, a.readNodes) })
	tails.Go(func() { a.tail(ctx, a.updates, a.readConfiguration) })
	err := a.members(ctx)
	cancel()
	tails.Wait()
	flush, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	if cerr := a.producer.Close(flush); cerr != nil {
		a.log.Warn("analyzer output was not all delivered", "error", cerr)
	}
	return err
}

// Close releases the resources of New if Run is not called.
func (a *Analyzer) Close(ctx context.Context) error { return a.producer.Close(ctx) }

// members runs one membership after another. To produce lost output again, it gives up the partitions without a commit
// and gets them assigned again.
func (a *Analyzer) members(ctx context.Context) error {
	for ctx.Err() == nil {
		topics := a.awaitInputs(ctx)
		if ctx.Err() != nil {
			return nil
		}
		group, err := kafka.NewGroup(a.cfg.Kafka, kafka.GroupConfig{ID: a.cfg.Group, Topics: topics, Idle: a.cfg.Interval / 2, Pace: a.cfg.Interval / 4}, a.log)
		if err != nil {
			return fmt.Errorf("analyzer: %w", err)
		}
		a.group.Store(group)
		member, leave := context.WithCancel(ctx)
		var watch sync.WaitGroup
		if len(topics) < len(Inputs()) {
			watch.Go(func() { a.awaitRekey(member, leave) })
		}
		err = group.Run(member, newShell(a, group, topics, leave))
		leave()
		watch.Wait()
		if errors.Is(err, kafka.ErrNotCopartitioned) {
			a.refuse(ctx, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("analyzer: %w", err)
		}
		if ctx.Err() == nil {
			a.mu.Lock()
			a.snapshot.Restarts++
			a.mu.Unlock()
		}
	}
	return nil
}

// refuse logs that the inputs do not match, once per reason, and waits a little.
func (a *Analyzer) refuse(ctx context.Context, err error) {
	reason := "everything: " + err.Error()
	a.mu.Lock()
	isNew := !slices.Contains(a.snapshot.Disabled, reason)
	a.mu.Unlock()
	if isNew {
		a.log.Error("analyzer refuses its input topics until they have as many partitions each; traffic goes on without fleet facts", "error", err)
		a.disable([]string{reason})
	}
	select {
	case <-ctx.Done():
	case <-time.After(refusedPause):
	}
}

func (a *Analyzer) tail(ctx context.Context, t *kafka.Tail, handle func([]kafka.Record)) {
	if err := t.Run(ctx, handle); err != nil {
		a.log.Warn("analyzer stopped reading a topic", "error", err)
	}
}

func (a *Analyzer) readAlerts(batch []kafka.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	const most = 20_000 // limit against a topic full of invalid records, and the capacity of an engine
	for _, r := range batch {
		m, err := event.DecodeAlert(r.Value)
		if err != nil || a.cfg.Kafka.Verify(r).Refused() || !rule.Known(m.RuleID) || !rule.Believable(m, a.cfg.Now()) {
			continue // not an instance of ours
		}
		if have, ok := a.known[m.Fingerprint]; ok && have.Seq > m.Seq || !ok && len(a.known) >= most {
			continue
		}
		a.known[m.Fingerprint] = m
	}
	maps.DeleteFunc(a.known, func(_ string, m event.Alert) bool {
		return m.Status == event.AlertResolved && a.cfg.Now().Sub(m.UpdatedAt) > alertsBack
	})
}

func (a *Analyzer) alertsRead() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.caughtUp = true
}

func (a *Analyzer) readNodes(batch []kafka.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	const most = 10_000
	for _, r := range batch {
		if a.cfg.Kafka.Verify(r).Refused() {
			continue
		}
		if _, ok := a.status[string(r.Key)]; ok || len(a.status) < most {
			a.status[string(r.Key)] = r
		}
	}
}

// takeNodes returns the status messages since the last call.
func (a *Analyzer) takeNodes() map[string]kafka.Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.status
	a.status = map[string]kafka.Record{}
	return out
}

// restore passes the alerts that were read to a task; false if the topic was not read to its end.
func (a *Analyzer) restore(t *analysis.Task) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.caughtUp {
		return false
	}
	for _, m := range a.known {
		t.Restore(m)
	}
	return true
}

// Progress returns how far this analyzer is behind in each input topic, in the partitions that it owns.
func (a *Analyzer) Progress() map[string]kafka.Progress {
	group := a.group.Load()
	if group == nil {
		return nil
	}
	return group.Progress()
}

// Status returns the current state.
func (a *Analyzer) Status() Status {
	a.mu.Lock()
	s := a.snapshot
	s.Dropped = maps.Clone(s.Dropped)
	a.mu.Unlock()
	s.Output = a.producer.Stats()
	return s
}
