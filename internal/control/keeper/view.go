package keeper

import (
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// ServiceView is a copy of a service at one moment, for display.
type ServiceView struct {
	ID             string
	Policy         string
	Panic          bool
	PanicThreshold float64 // share of healthy instances below which the service is in panic
	MedianMs       float64
	Spread         float64
	Spillover      float64
	Costs          picker.Costs // of requests to other zones; used if Spillover is 0
	Active         int64
	PoolRev        uint64
	HealthCheck    string // "http /health", "tcp", or empty
	Insecure       bool   // the certificates of the instances are not verified
	Instances      []InstanceView
}

// InstanceView is one instance: its counters, the factors of its cost, and the sources of these factors. Times are zero
// if unknown.
type InstanceView struct {
	Live                 *upstream.Live // to read its counters
	ID, Address          string
	Tags                 map[string]string
	Source               string // what found it; "": the document
	Distance             upstream.Distance
	Announced            bool   // its source announced its end
	State                string // in, draining, unhealthy, reported-unhealthy, ejected, backup, other-zone
	Since, Until         time.Time
	Cause                string // ejected: why
	Ejections            int
	InFlight             int64
	Requests, Errors     uint64
	Failures             uint32        // consecutive, until a success
	OnTrial              bool          // in rotation and failing: it gets one request at a time
	FailedFor            time.Duration // since the last failure
	LatencyMs, ErrorRate float64       // this proxy's averages, faded to now
	Weight, Capacity     float64
	ReportedWeight       float64 // share of the configured weight that the instance asks for, 0: none
	Veto, SlowStart      float64
	FleetErrorRate       float64 // as used in the cost: discounted and faded
	Trust                float64
	Utilization          float64
	LatencyFactor        float64
	ErrorEstimate        float64 // as used in the cost: from this proxy or from all proxies, faded while no request is sent
	ErrorFactor          float64 // factor by which the estimate multiplies the cost
	Silence              float64 // factor for overdue answers, 1: none
	Cost                 float64 // of the next request, without the random part of the sample
	Score                *event.HealthScore
	ScoreAge             time.Duration
	Probe                ProbeView
	Reports              []ReportView
	DrainedByOperator    bool
	Drain                event.Override // with DrainedByOperator: author, reason and end
}

// ProbeView is the last probe of this proxy.
type ProbeView struct {
	State  string // passing, failing, or empty
	At     time.Time
	OK     bool
	Status int
	Body   string
	Reason string // what is wrong with the body of the response
	Took   time.Duration
}

// ReportView is a health-status message of another sender.
type ReportView struct {
	Sender, Status string
	Signed         bool // by a known key
	Age            time.Duration
	Holds          bool
	Acts           bool // the report takes the instance out; other reports are above the limit for reports together
}

// Views returns all services, sorted by id.
func (k *Keeper) Views() []ServiceView {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, wall := k.cfg.Now(), k.cfg.Wall()
	out := make([]ServiceView, 0, len(k.services))
	for _, s := range k.services {
		if s.config.ID != "" {
			out = append(out, k.view(s, now, wall))
		}
	}
	slices.SortFunc(out, func(a, b ServiceView) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (k *Keeper) view(s *service, now int64, wall time.Time) ServiceView {
	p := s.upstream.Pool()
	v := ServiceView{
		ID: s.config.ID, Policy: s.config.Policy, Panic: p.Panic, PanicThreshold: s.spec.Panic, MedianMs: p.MedianNs / 1e6, Spread: p.Spread, Spillover: s.spec.Spillover, Costs: s.spec.Costs,
		Active: s.upstream.Active.Load(), PoolRev: p.Rev,
	}
	v.Insecure = s.config.TLS != nil && s.config.TLS.Insecure
	if h := s.config.HealthCheck; h != nil {
		v.HealthCheck = strings.TrimSpace(h.Type + " " + h.Path)
	}
	for i := range p.Members {
		m := &p.Members[i]
		in := s.instances[m.Instance]
		if in == nil {
			continue
		}
		iv := InstanceView{
			Live: m.Live, ID: m.Instance, Address: m.Addr, State: m.Out.String(), Cause: m.Cause, Ejections: m.Ejections,
			Since: wallOf(m.Since, now, wall), InFlight: m.InFlight.Load(), Requests: m.Requests.Load(), Errors: m.Errors.Load(), Failures: m.Fails.Load(), OnTrial: m.OnTrial,
			Weight: m.Weight, Distance: m.Distance, Capacity: m.Capacity, Veto: m.Veto, SlowStart: m.SlowStart,
			FleetErrorRate: m.FleetErr, Trust: m.Trust, Utilization: m.Utilization,
			DrainedByOperator: k.overrides[member{m.Service, m.Instance}].draining,
			Drain:             k.overrides[member{m.Service, m.Instance}].drain,
		}
		if m.Until > now {
			iv.Until = wallOf(m.Until, now, wall)
		}
		iv.cost(p, i, now)
		iv.probe(in)
		iv.Tags, iv.Source, iv.Announced = in.tags, in.source, in.going
		k.heard(s, &iv, member{m.Service, m.Instance}, now)
		v.Instances = append(v.Instances, iv)
	}
	return v
}

func (iv *InstanceView) cost(p *upstream.Pool, i int, now int64) {
	m := &p.Members[i]
	if l, _, ok := m.Latency.Load(now); ok {
		iv.LatencyMs = l / 1e6
	}
	if e, idle, ok := m.ErrorRate.Load(now); ok {
		iv.ErrorRate = e
		if iv.Failures > 0 {
			iv.FailedFor = time.Duration(idle)
		}
	}
	c := picker.Cost(p, i, now)
	iv.LatencyFactor, iv.Cost = float64(c.Latency), float64(c.Cost)
	iv.ErrorEstimate, iv.ErrorFactor, iv.Silence = float64(c.Err), float64(c.Penalty), float64(c.Silence)
}

func (iv *InstanceView) probe(in *instance) {
	iv.Probe = ProbeView{At: in.last.at, OK: in.last.ok, Status: in.last.status, Body: in.last.body, Reason: in.last.reason, Took: in.last.took}
	iv.Probe.State = [...]string{"", "passing", "failing"}[in.probe]
}

// acts reports whether a report with this status is of the kind that currently takes its instance out.
func acts(out upstream.Reason, status string) bool {
	return out == upstream.Draining && status == event.StatusDraining || out == upstream.Reported && status == event.StatusUnhealthy
}

func (k *Keeper) heard(s *service, iv *InstanceView, key member, now int64) {
	if sc, ok := k.scores[key]; ok {
		copied := sc.HealthScore
		iv.Score, iv.ScoreAge = &copied, time.Duration(now-sc.asOf)
	}
	iv.ReportedWeight = k.weight(key, now)
	for by, r := range k.reports[key] {
		iv.Reports = append(iv.Reports, ReportView{Sender: by.name, Signed: by.signed, Acts: acts(s.reported[iv.Live], r.status), Status: r.status, Age: time.Duration(now - r.at), Holds: r.holds(now)})
	}
	slices.SortFunc(iv.Reports, func(a, b ReportView) int { return strings.Compare(a.Sender, b.Sender) })
}

func wallOf(t, now int64, wall time.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return wall.Add(time.Duration(t - now))
}

// Configured reports whether an instance is in the configuration.
func (k *Keeper) Configured(service, instance string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known(member{service, instance})
}

// Panicking lists the services in panic.
func (k *Keeper) Panicking() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for id, s := range k.services {
		if s.upstream.Pool().Panic {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// EachLive calls f for every configured instance. It holds no lock of the keeper while f runs.
func (k *Keeper) EachLive(f func(l *upstream.Live, tags map[string]string)) {
	type tagged struct {
		live *upstream.Live
		tags map[string]string
	}
	k.mu.Lock()
	var all []tagged
	for _, s := range k.services {
		for i, e := range s.spec.Entries {
			all = append(all, tagged{e.Live, s.config.Instances[i].Tags})
		}
	}
	k.mu.Unlock()
	for _, t := range all {
		f(t.live, t.tags)
	}
}

// EachCost calls f for every member of every pool with the current cost of a request to it and the parts of that cost.
// It holds no lock of the keeper while f runs. f must not keep m.
func (k *Keeper) EachCost(f func(m *upstream.Member, c upstream.Candidate)) {
	k.mu.Lock()
	pools := make([]*upstream.Pool, 0, len(k.services))
	for _, s := range k.services {
		pools = append(pools, s.upstream.Pool())
	}
	k.mu.Unlock()
	now := k.cfg.Now()
	for _, p := range pools {
		for i := range p.Members {
			f(&p.Members[i], picker.Cost(p, i, now))
		}
	}
}
