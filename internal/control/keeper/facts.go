package keeper

import (
	"cmp"
	"maps"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/dataplane/picker"
	"github.com/smartlb/smartlb/internal/dataplane/probe"
	"github.com/smartlb/smartlb/internal/dataplane/proxyproto"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// score is the latest health-score of an instance and the time of its facts.
type score struct {
	event.HealthScore
	asOf int64 // process clock
}

type probeView struct {
	at     time.Time
	ok     bool
	status int
	body   string
	reason string // what is wrong with the body
	took   time.Duration
}

// fact collects the input of picker.Next for an instance. The caller holds the lock.
func (k *Keeper) fact(s *service, l *upstream.Live) picker.Fact {
	key := member{l.Service, l.Instance}
	f := picker.Fact{Draining: k.overrides[key].draining}
	if in := s.instances[l.Instance]; in != nil {
		f.Probe = in.probe
		f.Draining = f.Draining || in.going
	}
	switch s.reported[l] {
	case upstream.Draining:
		f.Draining = true
	case upstream.Reported:
		f.Unhealthy = true
	}
	if sc, ok := k.scores[key]; ok {
		f.Telemetry = picker.Telemetry{
			Capacity: sc.Capacity.Or(0), ErrorRate: sc.ErrorRate.Or(0), Samples: sc.Samples,
			Utilization: sc.Utilization.Or(0), AsOf: sc.asOf, PeriodNs: int64(sc.PeriodMs * 1e6),
		}
	}
	if len(k.reports[key]) > 0 {
		f.Weight = k.weight(key, k.cfg.Now())
	}
	if r, at := l.Load.Latest(); at > 0 {
		if u, ok := r.Utilization(); ok {
			f.Reported = picker.Reported{Utilization: u, At: at}
		}
	}
	return f
}

// ObserveProbe records a result of this proxy's probes.
func (k *Keeper) ObserveProbe(r probe.Result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.services[r.Service]
	if s == nil || s.instances[r.Instance] == nil || s.instances[r.Instance].live.Generation != r.Generation {
		return
	}
	in := s.instances[r.Instance]
	in.last = probeView{at: r.At, ok: r.OK, status: r.StatusCode, body: r.Body, reason: r.Reason, took: r.Took}
	if r.OK {
		s.probes[1]++
	} else {
		s.probes[0]++
	}
	in.probe = picker.Failing
	if r.Up {
		in.probe = picker.Passing
	}
	if r.Changed {
		k.Wake()
	}
}

// AllowDown reports whether a single failed event check may take an instance out. It may if more than one member is
// live and fewer members are out than may be ejected. One network failure therefore cannot take out a whole pool.
func (k *Keeper) AllowDown(t probe.Target) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.services[t.Service]
	if s == nil {
		return false
	}
	p := s.upstream.Pool()
	out := 0
	for i := range p.Members {
		if o := p.Members[i].Out; o != upstream.In && o != upstream.Draining && !o.StandsBy() {
			out++
		}
	}
	return out < s.spec.Ejection.Most(len(p.Members)) && len(p.Live) > 1
}

// Standings returns the ids of the instances of a service that have answered a request or a health check, and of those that have
// failed their health check or are ejected. One can be both.
func (k *Keeper) Standings(service string) (working, down map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.services[service]
	working, down = map[string]bool{}, map[string]bool{}
	if s == nil {
		return working, down
	}
	for id, in := range s.instances {
		working[id] = in.probe == picker.Passing || in.live.Successes.Load() > 0
		down[id] = in.probe == picker.Failing
	}
	members := s.upstream.Pool().Members
	for i := range members {
		if members[i].Out == upstream.Ejected {
			down[members[i].Instance] = true
		}
	}
	return working, down
}

func (k *Keeper) known(key member) bool {
	s := k.services[key.service]
	return s != nil && s.instances[key.instance] != nil
}

// ObserveScore records a health-score. A score older than the recorded score is ignored.
func (k *Keeper) ObserveScore(h event.HealthScore) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := member{h.ServiceID, h.InstanceID}
	if !k.known(key) {
		return
	}
	// A score with a time in the future must not outdate later scores.
	wall := k.cfg.Wall()
	if h.AsOf.After(wall) {
		h.AsOf = wall
	}
	if h.AsOf.Before(k.services[key.service].instances[key.instance].joined) {
		return // it is about an earlier instance of this id
	}
	if have, ok := k.scores[key]; ok && have.Seq >= h.Seq && !h.AsOf.After(have.AsOf) {
		return
	}
	// From here on the age is measured with the local clock. The delay of the record is added. If the sender's clock is
	// ahead of the local clock, the delay counts as 0.
	delay := wall.Sub(h.AsOf)
	k.scores[key] = score{HealthScore: h, asOf: max(1, k.cfg.Now()-int64(delay))}
}

// SetOverrides replaces all overrides of operators. They stay in effect until they are removed, also for instances that
// do not exist yet. No pool is built between the old and the new set: an instance that drains in both never takes a
// request.
func (k *Keeper) SetOverrides(all []event.Override) {
	next := map[member]override{}
	for _, o := range all {
		key := member{o.ServiceID, o.InstanceID}
		current := next[key]
		switch o.Action {
		case event.ActionDrain:
			current.draining, current.drain = true, o
		case event.ActionUndrain:
			current.draining, current.drain = false, event.Override{}
		case event.ActionWeight:
			current.weight = o.Weight.Or(0)
		}
		if next[key] = current; current == (override{}) {
			delete(next, key)
		}
	}
	defer k.tell()
	k.mu.Lock()
	defer k.mu.Unlock()
	if maps.Equal(k.overrides, next) {
		return
	}
	k.overrides = next
	for _, s := range k.services {
		k.reweigh(s)
	}
	k.rebuildAll(k.cfg.Now())
}

func (k *Keeper) reweigh(s *service) {
	for i, in := range s.config.Instances {
		s.spec.Entries[i].Weight = in.Weight
		if o := k.overrides[member{s.config.ID, in.ID}]; o.weight > 0 {
			s.spec.Entries[i].Weight = o.weight
		}
	}
}

// Targets returns the instances to probe.
func (k *Keeper) Targets() []probe.Target {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []probe.Target
	for _, s := range k.services {
		h := s.config.HealthCheck
		if h == nil {
			continue
		}
		for _, in := range s.config.Instances {
			out = append(out, s.target(in))
		}
	}
	return out
}

// target returns what is checked of an instance of a service with a health check.
func (s *service) target(in config.Instance) probe.Target {
	h := s.config.HealthCheck
	t := probe.Target{
		Service: s.config.ID, Instance: in.ID, Addr: in.Address, Generation: s.instances[in.ID].live.Generation,
		Check: h.Type, ProxyProtocol: s.config.ProxyHeader(), Path: cmp.Or(h.Path, h.Service), Host: h.Host,
		Method: h.Method, Headers: h.HeaderLines(), Expect: probe.Expect{Statuses: h.StatusSet(), Text: h.Body.Contains, Regex: h.Body.Regex},
		Interval: h.Interval, Timeout: h.Timeout, Rise: h.HealthyThreshold, Fall: h.UnhealthyThreshold,
	}
	var secure bool
	if t.HTTP2, secure = s.config.CheckProtocol(); secure {
		t.TLS = s.upstream.TLS()
	}
	if h.Port > 0 {
		t.Addr = upstream.WithPort(in.Address, h.Port)
	}
	if t.Addr != in.Address {
		t.ProxyProtocol = proxyproto.None
	}
	return t
}
