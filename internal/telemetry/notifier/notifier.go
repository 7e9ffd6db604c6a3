package notifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
	"github.com/smartlb/smartlb/internal/telemetry/receiver"
)

// GroupID is the consumer group of the nodes that may send alerts.
const GroupID = "smartlb-notifier"

const (
	silencesWait = 15 * time.Second       // limit for reading the silences. Then alerts are sent without regard to silences
	idle         = 500 * time.Millisecond // longest time between two looks at the state to commit
	rejoinWait   = 15 * time.Second       // how long Kafka must be reachable before a sender without a partition ends
)

// Config configures a Notifier.
type Config struct {
	Kafka    kafka.Config
	Alerting config.Alerting // checked, with at least one receiver
	Node     string
	Now      func() time.Time // default time.Now
}

// Notifier is one member of the group. Make it with New.
type Notifier struct {
	cfg     Config
	log     *slog.Logger
	workers []*worker

	updates *kafka.Tail
	state   configlog.State // of config-updates; only its tail's goroutine uses it
	known   chan struct{}   // closed when the silences were read

	mu       sync.Mutex // guards the fields below
	silences []configlog.Silence
	since    time.Time // when this node became the sender; zero: it is not
	orphaned bool      // the membership in the group ended without notice, and this node continues to send
}

// New reads the TLS files of the receivers. It neither dials nor starts goroutines.
func New(cfg Config, log *slog.Logger) (*Notifier, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Notifier{cfg: cfg, log: log, known: make(chan struct{})}
	for _, r := range cfg.Alerting.Receivers {
		to, err := receiver.New(r, cfg.Alerting)
		if err != nil {
			return nil, fmt.Errorf("alerting: %w", err)
		}
		n.workers = append(n.workers, newWorker(r, cfg.Alerting, to, cfg.Now, log))
	}
	var err error
	n.updates, err = kafka.NewTail(cfg.Kafka, kafka.TailConfig{
		Topics:     []string{event.TopicConfigUpdates},
		OnReset:    func(string, kafka.ResetReason) { n.state = configlog.State{} },
		OnCaughtUp: func() { close(n.known) },
	}, log)
	if err != nil {
		return nil, fmt.Errorf("alerting: %w", err)
	}
	return n, nil
}

// Run sends alerts while this node has the partition, until ctx ends. Then it gives messages in flight a moment,
// closes idle connections and returns nil. It waits for unavailable brokers and missing topics. Run may be called once.
func (n *Notifier) Run(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var all sync.WaitGroup
	defer n.Close()
	defer all.Wait()
	defer stop()
	all.Go(func() {
		if err := n.updates.Run(ctx, n.readUpdates); err != nil {
			n.log.Warn("notifier stopped reading silences", "error", err)
		}
	})
	for _, w := range n.workers {
		all.Go(func() { w.run(working) })
	}
	all.Go(func() { n.watchOrphan(working) })
	if !n.awaitSilences(ctx) {
		return nil
	}
	group, err := kafka.NewGroup(n.cfg.Kafka, kafka.GroupConfig{ID: GroupID, Topics: []string{event.TopicAlerts}, Idle: idle}, n.log)
	if err != nil {
		return fmt.Errorf("alerting: %w", err)
	}
	return group.Run(ctx, newShell(n, group))
}

// awaitSilences waits until the silences are known, but not for ever: an alert that is not sent is worse than one that is
// silenced. It returns false when ctx ended.
func (n *Notifier) awaitSilences(ctx context.Context) bool {
	timer := time.NewTimer(silencesWait)
	defer timer.Stop()
	select {
	case <-n.known:
	case <-timer.C:
		n.log.Warn("silences not read yet, alerts are sent nevertheless", "waited", silencesWait.String())
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func (n *Notifier) readUpdates(batch []kafka.Record) {
	for _, r := range batch {
		n.state.Fold(configlog.Read(n.cfg.Kafka, r))
	}
	n.state.DropHistory()
	silences := slices.Clone(n.state.Silences)
	n.mu.Lock()
	n.silences = silences
	n.mu.Unlock()
	for _, w := range n.workers {
		w.silence(silences)
	}
}

func (n *Notifier) currentSilences() []configlog.Silence {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.silences
}

func (n *Notifier) setSender(since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.since, n.orphaned = since, false
}

// orphan makes this node continue to send after its membership ended without notice. Usually Kafka is unreachable then:
// no other node can take over, and an Alertmanager would resolve every alert that no node sends again.
func (n *Notifier) orphan() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.orphaned = !n.since.IsZero()
}

// watchOrphan ends sending if Kafka is reachable and this node did not get the partition back: another node has it.
func (n *Notifier) watchOrphan(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	seconds := 0 // that Kafka is reachable
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		n.mu.Lock()
		orphaned := n.orphaned
		n.mu.Unlock()
		if seconds++; !orphaned || !n.updates.Connected() {
			seconds = 0
		}
		if seconds >= int(rejoinWait.Seconds()) {
			n.endOrphan()
		}
	}
}

func (n *Notifier) endOrphan() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.orphaned { // the partition came back
		return
	}
	n.since, n.orphaned = time.Time{}, false
	for _, w := range n.workers {
		w.end()
	}
	n.log.Info("this node no longer sends alerts")
}

// Close closes idle connections to receivers.
func (n *Notifier) Close() {
	for _, w := range n.workers {
		w.to.Close()
	}
}

// Status is the state of the receivers, as this node knows it.
type Status struct {
	Sender    bool      // this node sends
	Since     time.Time // since when
	Receivers []ReceiverStatus
}

// ReceiverStatus is the state of one receiver. Counts are those of this process.
type ReceiverStatus struct {
	Name, Type, Target, MinSeverity string
	SendResolved                    bool

	Alerts        int    // alerts that the receiver is to know
	Delivered     uint64 // messages
	Failed        uint64 // attempts
	Dropped       uint64 // changes of alerts, because there were too many alerts
	Missed        uint64 // alerts that ended before a message about them was delivered
	LastDelivered time.Time
	FailingSince  time.Time // zero: the latest attempt succeeded
	LastError     string    // of the latest attempt that failed
	NextAttempt   time.Time // zero: at any time
}

// Status returns the current state.
func (n *Notifier) Status() Status {
	n.mu.Lock()
	s := Status{Sender: !n.since.IsZero(), Since: n.since}
	n.mu.Unlock()
	for _, w := range n.workers {
		s.Receivers = append(s.Receivers, w.status())
	}
	return s
}

// Failing returns the names of the receivers whose latest attempt failed, if this node sends.
func (n *Notifier) Failing() []string {
	var out []string
	s := n.Status()
	for _, r := range s.Receivers {
		if s.Sender && !r.FailingSince.IsZero() {
			out = append(out, r.Name)
		}
	}
	return out
}

// ErrUnknown is the error about a receiver that the configuration does not have.
var ErrUnknown = errors.New("unknown receiver")

// TestRule is the rule of the alert in a test message.
const TestRule = "smartlb-test"

// Test sends a test message to a receiver, whether this node sends alerts or not.
func (n *Notifier) Test(ctx context.Context, name string) error {
	i := slices.IndexFunc(n.workers, func(w *worker) bool { return w.to.Name() == name })
	if i < 0 {
		return ErrUnknown
	}
	now := readable.Moment(n.cfg.Now())
	labels := map[string]string{"node": n.cfg.Node}
	return n.workers[i].to.Send(ctx, grouping.Message{
		Key: "{}:{alertname=\"" + TestRule + "\"}", Labels: map[string]string{grouping.LabelRule: TestRule}, At: now,
		Alerts: []event.Alert{{
			Fingerprint: "0000000000000000", AlertID: TestRule, RuleID: TestRule, Status: event.AlertFiring, Severity: event.SeverityInfo, Labels: labels,
			StartsAt: now, FiredAt: now, UpdatedAt: now,
			Annotations: event.Annotations{
				Summary:     "test message from smartlb node " + n.cfg.Node,
				Description: "An operator asked for it with smartlb alerts test. Nothing is wrong.",
			},
		}},
	})
}
