package report

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"sync/atomic"
	"time"
)

// Publisher receives reports. Publish must not block. After it returns, it may only read the report's maps and slices,
// not change them. One goroutine calls it.
type Publisher interface {
	Publish(r *Report)
}

// Announcer is a Publisher that also tells the balancer that an instance takes requests from now on, or that it drains.
// Announce must not block. One goroutine calls it.
type Announcer interface {
	Announce(a Announcement)
}

// Announcement says that an instance takes requests from now on, or that it stops or drains.
type Announcement struct {
	Time                           time.Time
	ServiceID, InstanceID, Address string
	Stops                          bool // it gets no new requests
}

// Config names the reporting instance, the interval and the publisher.
type Config struct {
	ServiceID  string            // required
	InstanceID string            // required; unique within the service
	Tags       map[string]string // sent with each report
	Publisher  Publisher         // required

	// Address is host:port at which the instance takes requests. With it, the instance registers itself at services that
	// permit that (discovery.kafka): each report has the address, and the Publisher announces the start and the end of Run,
	// if it is an Announcer. Default: the instance does not register itself.
	Address  string
	Interval time.Duration // shortest time between reports; default 1 s, 100 ms to 60 s

	// Steady is the longest time between reports. While load, errors and usage do not change, the pause doubles
	// from Interval up to Steady. A change is reported after Interval. Default 30 s, or Interval if that is longer;
	// at most 60 s. If Steady equals Interval, all reports are Interval apart.
	Steady time.Duration

	// Utilization returns how busy the service is, 0..1: for example the used share of its workers. It may be nil.
	// The Reporter calls it once per Interval. Values above 1 count as 1; NaN or a negative value means unknown.
	Utilization func() float64

	// Failed reports whether a response is a failure; default: status 500 and above. A request whose handler
	// panics has failed.
	Failed func(status int) bool

	// NoUsage excludes CPU and memory of the process, for processes that host more than this service.
	NoUsage bool
}

func (c *Config) fill() error {
	var bad []error
	for name, v := range map[string]string{"ServiceID": c.ServiceID, "InstanceID": c.InstanceID} {
		if v == "" || len(v) > 256 || v == "_all" {
			bad = append(bad, fmt.Errorf("%s: %q is not a name of 1 to 256 bytes", name, v))
		}
	}
	if host, port, err := net.SplitHostPort(c.Address); c.Address != "" && (err != nil || host == "" || port == "" || len(c.Address) > 256) {
		bad = append(bad, fmt.Errorf("Address: %q is not host:port", c.Address))
	}
	if c.Publisher == nil {
		bad = append(bad, errors.New("Publisher: missing"))
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Interval < 100*time.Millisecond || c.Interval > time.Minute {
		bad = append(bad, fmt.Errorf("Interval: %v is not within 100ms..60s", c.Interval))
	}
	if c.Steady == 0 {
		c.Steady = max(defaultSteady, c.Interval)
	}
	if c.Steady < c.Interval || c.Steady > time.Minute {
		bad = append(bad, fmt.Errorf("Steady: %v is not within Interval..60s", c.Steady))
	}
	if c.Failed == nil {
		c.Failed = func(status int) bool { return status >= 500 }
	}
	c.Tags = maps.Clone(c.Tags)
	return errors.Join(bad...)
}

// Reporter counts requests and publishes reports. Create it with New. Its methods are safe for concurrent use.
type Reporter struct {
	cfg       Config
	requests  atomic.Uint64
	errors    atomic.Uint64
	active    atomic.Int64
	latencies histogram
	usage     usage
	running   atomic.Bool
	drained   atomic.Bool
	drains    chan struct{} // holds a value after drained changed
}

// New checks the configuration and returns a Reporter. It starts no goroutine.
func New(cfg Config) (*Reporter, error) {
	if err := cfg.fill(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return &Reporter{cfg: cfg, usage: newUsage(), drains: make(chan struct{}, 1)}, nil
}

// Observe counts one request that did not pass the middleware.
func (r *Reporter) Observe(latency time.Duration, failed bool) {
	if failed {
		r.errors.Add(1) // before requests, so that no report has more errors than requests
	} else {
		r.latencies.add(latency)
	}
	r.requests.Add(1)
}

// Drain asks the balancer to send no new requests to this instance (true), or to send requests again (false). It does
// not block: Run announces it, again and again while the instance drains, because an announcement counts for 30 s. The
// Publisher must be an Announcer. Reports go on. Before Run, the first announcement is that of Drain.
func (r *Reporter) Drain(on bool) {
	r.drained.Store(on)
	select {
	case r.drains <- struct{}{}:
	default: // Run will see the latest value
	}
}

// drainRepeat is the time between two announcements while the instance drains.
const drainRepeat = 10 * time.Second

// counts holds the counters at the time of the last report or pause.
type counts struct {
	requests, errors uint64
	latencies        [buckets]uint64
	at               time.Time // time of the counters
	published        bool      // a report was published at that time
	pace             pace
}

// Run publishes reports until ctx ends, and then returns nil. A second concurrent Run returns an error.
func (r *Reporter) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return errors.New("report: Run is already running")
	}
	defer r.running.Store(false)
	tick := time.NewTicker(r.cfg.Interval)
	defer tick.Stop()
	if r.cfg.Address != "" {
		r.announce(r.drained.Load())
		defer r.announce(true)
	}
	repeat := time.NewTicker(drainRepeat)
	defer repeat.Stop()
	last := &counts{at: time.Now()}
	r.usage.cpu(last.at) // the first reading starts the first span
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.drains:
			r.announce(r.drained.Load())
		case <-repeat.C:
			if r.drained.Load() {
				r.announce(true)
			}
		case now := <-tick.C:
			r.report(last, now)
		}
	}
}

// announce tells the balancer that the instance takes requests, or gets no new ones.
func (r *Reporter) announce(stops bool) {
	if a, ok := r.cfg.Publisher.(Announcer); ok {
		a.Announce(Announcement{Time: time.Now(), ServiceID: r.cfg.ServiceID, InstanceID: r.cfg.InstanceID, Address: r.cfg.Address, Stops: stops})
	}
}

// report publishes the changes since last, if a report is due, and moves last to now.
func (r *Reporter) report(last *counts, now time.Time) {
	out := Report{
		Time: now, ServiceID: r.cfg.ServiceID, InstanceID: r.cfg.InstanceID, Address: r.cfg.Address, Tags: r.cfg.Tags,
		Span: now.Sub(last.at), Active: r.active.Load(),
	}
	if out.Span <= 0 {
		return
	}
	requests := r.requests.Load()
	failed := r.errors.Load()
	l := look{at: now, requests: requests, errors: failed, utilization: r.utilization()}
	if !r.cfg.NoUsage {
		l.cpu = r.usage.cpu(now)
	}
	if due := last.pace.due(l, &r.cfg); last.published && !due {
		return
	}
	out.Requests = requests - last.requests
	out.CPU, out.Utilization = last.pace.means()
	if out.Requests == 0 && out.CPU == nil && out.Utilization == nil && r.cfg.Address == "" { // silence would end a registration
		last.at, last.published = now, false
		return
	}
	out.Errors = min(failed-last.errors, out.Requests)
	out.Latencies = r.latencies.since(&last.latencies)
	if !r.cfg.NoUsage {
		out.Memory = r.usage.memory()
	}
	if !last.published {
		// Readers multiply a rate by the time since the previous report. After a pause they would count requests
		// that did not happen. An empty report ends the pause.
		r.cfg.Publisher.Publish(&Report{
			Time: last.at, ServiceID: out.ServiceID, InstanceID: out.InstanceID, Address: out.Address, Tags: out.Tags, Span: out.Span,
		})
	}
	last.requests, last.errors = requests, last.errors+out.Errors
	last.at, last.published = now, true
	last.pace.published(&out, r.cfg.Interval, r.cfg.Steady)
	r.cfg.Publisher.Publish(&out)
}

func (r *Reporter) utilization() *float64 {
	if r.cfg.Utilization == nil {
		return nil
	}
	u := r.cfg.Utilization()
	if math.IsNaN(u) || u < 0 {
		return nil
	}
	u = min(u, 1)
	return &u
}
