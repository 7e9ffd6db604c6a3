package reporter

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Sender queues a record without blocking and reports whether it was queued.
type Sender interface{ Send(r kafka.Record) bool }

// Lives lists the configured instances.
type Lives interface {
	EachLive(f func(l *upstream.Live, tags map[string]string))
}

// Config configures a Reporter.
type Config struct {
	Node         string
	Interval     time.Duration // shortest time between reports about one instance, default 1 s; large fleets are reported less often, see pace.go
	DecisionRate int           // limit of decisions per second, default 500; 0 none
	SampleRate   int           // of these, limit per second of decisions that were only sampled; 0: no separate limit
	Now          func() int64  // process clock
	Wall         func() time.Time
	Sender       Sender
	Log          *slog.Logger
}

// ringSlots limits the decisions that wait for the reporter's goroutine.
const ringSlots = 1024

// How often an unchanged health-status is repeated. Readers use it for three of the sender's intervals, so the interval
// at most doubles.
const (
	heartbeat      = 5 * time.Second  // at first, and for instances that are not healthy
	heartbeatLimit = 30 * time.Second // for healthy instances
)

// decisionPause is how long decisions wait for more decisions of the same batch.
const decisionPause = time.Second

// Reporter publishes reports. Its methods are safe for concurrent use and never block.
type Reporter struct {
	cfg      Config
	reporter []kafka.Header
	ring     chan *slot
	free     chan *slot
	crowded  chan struct{} // the ring is half full
	changes  chan keeper.Change
	draft    event.RoutingDecision // used by Run's goroutine; reused for the next decision
	text     []byte                // text of the draft

	second  atomic.Int64 // the second that taken counts
	taken   atomic.Int64
	sampled atomic.Int64
	stats   stats
	mu      sync.Mutex
	said    map[[2]string]said
	seen    map[*upstream.Live]*counted
	slot    int64 // of the last round
	started time.Time
	startAt int64
}

type stats struct {
	decisions, ringFull, rateCapped, changesLost atomic.Uint64
	reports, statuses, refused                   atomic.Uint64
}

// Stats counts published and dropped messages.
type Stats struct {
	Reports, Statuses, Decisions                 uint64
	RingFull, RateCapped, ChangesLost, NotQueued uint64
}

type said struct {
	status string
	at     time.Time
	pause  time.Duration // time until it is repeated
}

// New returns a reporter that publishes once Run runs.
func New(cfg Config) *Reporter {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	r := &Reporter{
		cfg:      cfg,
		reporter: []kafka.Header{{Key: event.HeaderReporter, Value: []byte(event.ReporterProxy(cfg.Node))}},
		ring:     make(chan *slot, ringSlots),
		free:     make(chan *slot, ringSlots),
		crowded:  make(chan struct{}, 1),
		changes:  make(chan keeper.Change, 256),
		said:     map[[2]string]said{},
		seen:     map[*upstream.Live]*counted{},
		started:  cfg.Wall(), startAt: cfg.Now(),
	}
	return r
}

// Stats returns the counts since the start.
func (r *Reporter) Stats() Stats {
	s := &r.stats
	return Stats{
		Reports: s.reports.Load(), Statuses: s.statuses.Load(), Decisions: s.decisions.Load(),
		RingFull: s.ringFull.Load(), RateCapped: s.rateCapped.Load(), ChangesLost: s.changesLost.Load(), NotQueued: s.refused.Load(),
	}
}

// Run publishes until ctx ends, and then once more.
func (r *Reporter) Run(ctx context.Context, lives Lives) error {
	ticker := time.NewTicker(r.cfg.Interval)
	defer ticker.Stop()
	gather := time.NewTicker(decisionPause)
	defer gather.Stop()
	for {
		select {
		case <-ctx.Done():
			r.slot = 0 // publish a full round
			r.report(lives)
			r.publishDecisions()
			for len(r.changes) > 0 {
				r.publishChange(<-r.changes)
			}
			return nil
		case <-ticker.C:
			r.report(lives)
		case <-gather.C:
			r.publishDecisions()
		case <-r.crowded:
			r.publishDecisions()
		case c := <-r.changes:
			r.publishChange(c)
		}
	}
}

func (r *Reporter) send(topic, key string, value []byte, headers []kafka.Header, count *atomic.Uint64) {
	if r.cfg.Sender.Send(kafka.Record{Topic: topic, Key: []byte(key), Value: value, Headers: headers}) {
		count.Add(1)
	} else {
		r.stats.refused.Add(1)
	}
}

// Probed publishes a probe's result if its status changed or its repetition is due.
func (r *Reporter) Probed(p probe.Result) {
	status := event.StatusHealthy
	switch {
	case !p.Up:
		status = event.StatusUnhealthy
	case !p.OK:
		status = event.StatusDegraded // the instance still counts as healthy, this check failed
	}
	key := [2]string{p.Service, p.Instance}
	r.mu.Lock()
	last := r.said[key]
	fresh := last.status == status && p.At.Sub(last.at) < last.pause
	if !fresh {
		r.said[key] = last.again(status, p.At)
	}
	r.mu.Unlock()
	if fresh {
		return
	}
	h := event.HealthStatus{
		Timestamp: p.At.UTC().Truncate(time.Millisecond), ServiceID: p.Service, InstanceID: p.Instance, Status: status,
		ResponseTime: event.Some(round(float64(p.Took)/1e6, 1e3)), CheckType: strings.ToUpper(p.Check),
		Details: event.HealthDetails{StatusCode: p.StatusCode, ResponseBody: p.Body},
	}
	r.send(event.TopicHealthStatus, p.Service, h.AppendJSON(nil), r.reporter, &r.stats.statuses)
}

// again returns the new state after status was published at the given time.
func (s said) again(status string, at time.Time) said {
	if s.status != status || status != event.StatusHealthy {
		return said{status, at, heartbeat}
	}
	return said{status, at, min(2*s.pause, heartbeatLimit)}
}

// wall converts a time of the process clock to milliseconds: more digits carry no information and make the log larger.
func (r *Reporter) wall(at int64) time.Time {
	return r.started.Add(time.Duration(at - r.startAt)).UTC().Truncate(time.Millisecond)
}
