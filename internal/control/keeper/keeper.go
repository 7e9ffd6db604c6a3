package keeper

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// Tick is the interval at which every pool is rebuilt, because trust, slow start and medians change with time. Nodes with
// more than fewInstances use longer ones, up to maxTick, in proportion.
const (
	Tick         = 100 * time.Millisecond
	maxTick      = time.Second
	fewInstances = 1000
)

// tickOf returns the interval of a node with n instances. A rebuild takes time in proportion to n. Up to
// 10,000 instances, rebuilds therefore take the same share of a core, whatever n is.
func tickOf(n int) time.Duration {
	return min(max(Tick, Tick*time.Duration(n)/fewInstances), maxTick)
}

// Change reports that one instance enters or leaves rotation, or that a service's panic begins or ends (Instance
// empty).
type Change struct {
	Service, Instance string
	From, To          string // reasons, or "panic" and "in"
	Reason            string
	At                time.Time
	Until             time.Time // of an ejection
}

// Config of a Keeper.
type Config struct {
	Now      func() int64               // monotonic ns, the clock of the data plane
	Wall     func() time.Time           // for the age of records
	Reporter string                     // this proxy's own reporter header: messages from this proxy are ignored
	Zone     string                     // of this node; "": none
	Region   string                     // of this node; "": none
	OnChange func(Change)               // called in the order of the changes, without a lock of the keeper; must not block; nil: no callback
	Check    func(service, inst string) // requests an event check; must not block; nil: no event checks
	Log      *slog.Logger
}

// Keeper owns the pools. Its methods are safe for concurrent use.
type Keeper struct {
	cfg        Config
	wake       chan struct{}
	telling    sync.Mutex // locked before mu, and held while callbacks run
	mu         sync.Mutex // protects the fields below; no callback runs under it
	services   map[string]*service
	overrides  map[member]override
	reports    map[member]map[sender]*report
	scores     map[member]score
	generation uint64
	changes    []Change // not reported yet
}

type member struct{ service, instance string }

type service struct {
	upstream  *upstream.Service
	config    config.Service
	spec      picker.Spec
	instances map[string]*instance
	reported  map[*upstream.Live]upstream.Reason // reason per instance that reports take out, from the last rebuild
	crowd     bool                               // the reports request more than they may take out
	filled    bool                               // it has had instances
	left      departed
	ejections uint64
	probes    [2]uint64       // failed and passed
	adaptive  *guard.Adaptive // finds the limit of requests in flight; nil: it is as configured
}

type instance struct {
	live   *upstream.Live
	source string // what found it; "": the document
	tags   map[string]string
	going  bool // its source announced its end
	// as config.Instance.Incarnation, the last one that was not empty
	incarnation string
	joined      time.Time // when it joined a service that has had instances; zero: it is one of the first
	former      departed  // the same instance at its former addresses
	probe       picker.Probe
	last        probeView
}

type override struct {
	draining bool
	drain    event.Override // with draining: author, reason and end
	weight   float64        // 0: as configured
}

// New returns a keeper without services.
func New(cfg Config) *Keeper {
	return &Keeper{
		cfg: cfg, wake: make(chan struct{}, 1), services: map[string]*service{},
		overrides: map[member]override{}, reports: map[member]map[sender]*report{}, scores: map[member]score{},
	}
}

// Service returns the service with an id. It creates an empty service for an id that Apply has not seen, because routes
// are compiled before the pools behind them are filled.
func (k *Keeper) Service(id string) *upstream.Service {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.service(id).upstream
}

func (k *Keeper) service(id string) *service {
	s := k.services[id]
	if s == nil {
		s = &service{upstream: upstream.NewService(id), instances: map[string]*instance{}}
		k.services[id] = s
	}
	return s
}

// Apply replaces the services with those of a configuration. An instance keeps its history as long as its service, id
// and address stay the same. Instances and services that left stay usable for requests that hold them. The returned
// function retires them; the caller must call it when the new routing is in place.
func (k *Keeper) Apply(services []config.Service) (retired func()) {
	defer k.tell()
	k.mu.Lock()
	defer k.mu.Unlock()
	var gone []*upstream.Live
	kept := map[string]bool{}
	for _, c := range services {
		kept[c.ID] = true
		gone = append(gone, k.apply(c)...)
	}
	for id, s := range k.services {
		if !kept[id] {
			for _, in := range s.instances {
				gone = append(gone, in.live)
			}
			delete(k.services, id)
		}
	}
	k.forget(gone)
	k.rebuildAll(k.cfg.Now())
	return retire(gone)
}

// SetInstances replaces the instances of one service that Apply has configured, and nothing else. What Apply says about
// instances that stay and leave holds here too.
func (k *Keeper) SetInstances(id string, instances []config.Instance) (retired func()) {
	defer k.tell()
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.services[id]
	if s == nil || s.config.ID == "" {
		return retire(nil)
	}
	c := s.config
	c.Instances = instances
	gone := k.apply(c)
	k.forget(gone)
	k.rebuild(s, k.cfg.Now())
	return retire(gone)
}

// forget drops reports and scores of instances that left: they do not apply to their successors.
func (k *Keeper) forget(gone []*upstream.Live) {
	for _, l := range gone {
		delete(k.reports, member{l.Service, l.Instance})
		delete(k.scores, member{l.Service, l.Instance})
	}
}

func retire(gone []*upstream.Live) func() {
	return func() {
		for _, l := range gone {
			l.Retire()
		}
	}
}

// Services returns the configuration of all services. It must not be changed.
func (k *Keeper) Services() []config.Service {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]config.Service, 0, len(k.services))
	for _, s := range k.services {
		if s.config.ID != "" {
			out = append(out, s.config)
		}
	}
	return out
}

// apply returns the instances that left the service.
func (k *Keeper) apply(c config.Service) (gone []*upstream.Live) {
	s, now := k.service(c.ID), k.cfg.Now()
	var joined time.Time
	if s.filled {
		joined = k.cfg.Wall()
	}
	s.filled = s.filled || len(c.Instances) > 0
	s.config = c
	s.spec = picker.Spec{Policy: c.Policy, SlowStart: c.SlowStart, Spread: c.Spread, Balance: c.HashBalanceFactor, Ejection: c.Ejection.Rules(), Panic: c.PanicThreshold, Spillover: c.ZoneSpillover, Costs: picker.Costs{CrossZone: c.CrossZoneCost, CrossRegion: cmp.Or(c.CrossRegionCost, c.CrossZoneCost)}}
	if n := c.Concurrency; n != nil {
		s.spec.Limits = picker.Limits{Service: n.Limit, PerInstance: n.PerInstance, Queue: n.Queue}
	}
	s.adapt(c.Concurrency)
	kept := map[string]bool{}
	for _, in := range c.Instances {
		kept[in.ID] = true
		have := s.instances[in.ID]
		if have == nil || have.live.Addr != in.Address || in.Succeeds(have.incarnation) {
			k.generation++
			next := &instance{live: upstream.NewLive(c.ID, in.ID, in.Address, k.generation, now), joined: joined}
			if have != nil {
				gone = append(gone, have.live)
				next.former = have.former
				next.former.add(have.live)
			}
			have = next
			s.instances[in.ID] = have
		}
		have.source, have.tags, have.going = in.Source, in.Tags, in.Draining
		have.incarnation = cmp.Or(in.Incarnation, have.incarnation)
		if c.HealthCheck == nil {
			have.probe = picker.Unknown
		}
		weight := in.Weight
		if o := k.overrides[member{c.ID, in.ID}]; o.weight > 0 {
			weight = o.weight
		}
		s.spec.Entries = append(s.spec.Entries, picker.Entry{Live: have.live, Weight: weight, Backup: in.Backup, Unlisted: in.Unlisted, Distance: k.distance(in)})
	}
	for id, in := range s.instances {
		if !kept[id] {
			gone = append(gone, in.live)
			s.left.join(in.former)
			s.left.add(in.live)
			delete(s.instances, id)
		}
	}
	return gone
}

// distance returns how far an instance is from this node. What one of the two does not say is no difference.
func (k *Keeper) distance(in config.Instance) upstream.Distance {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	switch {
	case differ(k.cfg.Region, in.Tags["region"]):
		return upstream.CrossRegion
	case differ(k.cfg.Zone, in.Tags["zone"]):
		return upstream.CrossZone
	}
	return upstream.Near
}

// Run builds pools until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	timer := time.NewTimer(Tick)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-k.wake:
		}
		timer.Reset(tickOf(k.Rebuild()))
	}
}

// Rebuild replaces every pool by one that reflects what is known now, and returns the number of instances in them. Run does
// so every Tick.
func (k *Keeper) Rebuild() (instances int) {
	defer k.tell()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rebuildAll(k.cfg.Now())
	for _, s := range k.services {
		instances += len(s.instances)
	}
	return instances
}

// Wake requests new pools before the next tick. It does not block.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Broken implements dispatch.Signals: a broken connection requests a check.
func (k *Keeper) Broken(l *upstream.Live) {
	if k.cfg.Check != nil {
		k.cfg.Check(l.Service, l.Instance)
	}
}

// Failing implements dispatch.Signals: an ejection does not wait for the tick.
func (k *Keeper) Failing(*upstream.Live) { k.Wake() }

func (k *Keeper) rebuildAll(now int64) {
	for _, s := range k.services {
		k.rebuild(s, now)
	}
}

func (k *Keeper) rebuild(s *service, now int64) {
	old := s.upstream.Pool()
	s.reported, s.crowd = k.granted(s, now)
	next := picker.Next(old, s.spec, func(l *upstream.Live) picker.Fact { return k.fact(s, l) }, now, jitter)
	find := old.Finder()
	for i := range next.Members {
		m := &next.Members[i]
		was := upstream.In
		if o := find(m.Live); o != nil {
			was = o.Out
		}
		if was != m.Out {
			k.changes = append(k.changes, k.change(m, was, now))
			if m.Out == upstream.Ejected {
				s.ejections++
			}
		}
	}
	if old.Panic != next.Panic {
		k.changes = append(k.changes, k.panicked(s, next.Panic))
	}
	s.upstream.Swap(next)
	s.upstream.Gate.Set(s.limits(next, k.cfg.Wall()))
}

// adapt switches the search for a limit on or off. What it has found stays as long as it is on.
func (s *service) adapt(n *config.Concurrency) {
	on := n != nil && n.Adaptive != nil
	switch {
	case !on:
		s.adaptive = nil
	case s.adaptive == nil:
		s.adaptive = new(guard.Adaptive)
	}
	if on {
		s.adaptive.Min, s.adaptive.Tolerance = n.Adaptive.Min, n.Adaptive.Tolerance
	}
	s.upstream.Latencies.Set(on)
}

// limits returns the limits of requests in flight.
func (s *service) limits(p *upstream.Pool, now time.Time) guard.Limits {
	l := s.spec.Limits.Gate(p)
	if s.adaptive != nil {
		sample := s.upstream.Latencies.Take()
		sample.Peak = s.upstream.Gate.TakePeak()
		s.adaptive.Update(sample, l.Running, now.UnixNano())
		l.Running = s.adaptive.Limit(l.Running)
	}
	return l
}

// jitter spreads the ends of ejections, so that instances that failed together do not return together.
func jitter() float64 { return 2*rand.Float64() - 1 }

// change returns the Change of a member.
func (k *Keeper) change(m *upstream.Member, was upstream.Reason, now int64) Change {
	c := Change{Service: m.Service, Instance: m.Instance, From: was.String(), To: m.Out.String(), At: k.cfg.Wall()}
	if m.Out == upstream.Ejected {
		c.Reason = m.Cause
		c.Until = c.At.Add(time.Duration(m.Until - now))
	}
	return c
}

func (k *Keeper) panicked(s *service, on bool) Change {
	share := 100 * s.spec.Panic
	c := Change{Service: s.config.ID, From: "panic", To: "in", Reason: fmt.Sprintf("%.3g %% of the instances or more are healthy again", share), At: k.cfg.Wall()}
	if on {
		c.From, c.To, c.Reason = "in", "panic", fmt.Sprintf("fewer than %.3g %% of the instances are healthy: requests go to all that do not drain", share)
	}
	return c
}

// tell reports the changes since the last call. It is called without k.mu, because the callbacks take locks of their
// own and hold these locks when they call the keeper.
func (k *Keeper) tell() {
	k.telling.Lock()
	defer k.telling.Unlock()
	k.mu.Lock()
	changes := k.changes
	k.changes = nil
	k.mu.Unlock()
	for _, c := range changes {
		if c.Instance == "" {
			k.cfg.Log.Warn("service panic", "service", c.Service, "panic", c.To == "panic")
		} else {
			k.cfg.Log.Info("instance state", "service", c.Service, "instance", c.Instance, "from", c.From, "to", c.To, "reason", c.Reason)
		}
		if k.cfg.OnChange != nil {
			k.cfg.OnChange(c)
		}
	}
}
