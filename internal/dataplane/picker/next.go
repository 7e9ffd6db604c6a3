package picker

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Spec is the configuration of a pool.
type Spec struct {
	Policy    string
	SlowStart time.Duration // 0: none
	Spread    float64       // 0..1, how strongly differences in latency move requests; adaptive
	Balance   int           // percent of its share that limits the load of an instance; 0: no limit; ring_hash and maglev
	Limits    Limits
	Ejection  Ejection // by the outcomes of requests
	Panic     float64  // share of the members that do not drain, below which backups or, without them, all are used; 0: never
	Spillover float64  // share of a zone's instances, above which requests stay in the zone; 0: all zones take requests
	Costs     Costs    // of requests to other zones; used if Spillover is 0
	Entries   []Entry
}

// DefaultSpread is the spread of a service that sets none.
const DefaultSpread = .75

// DefaultPanic is the panic threshold of a service that sets none.
const DefaultPanic = .5

// Costs are factors, 0 for 1: how much a request to an instance of another zone or region costs, compared with a request to an
// instance near this node.
type Costs struct{ CrossZone, CrossRegion float64 }

// Of returns the factor for a distance.
func (c Costs) Of(d upstream.Distance) float64 {
	return cmp.Or([upstream.Distances]float64{1, c.CrossZone, c.CrossRegion}[d], 1)
}

// Entry is one configured instance.
type Entry struct {
	Live     *upstream.Live
	Weight   float64 // > 0
	Backup   bool    // takes requests only if the others do not suffice
	Unlisted bool    // no source lists it any more: it may be gone, so it takes no retries
	Distance upstream.Distance
}

// Probe is the result of this proxy's active health checks.
type Probe uint8

// The states of a probe. An instance without probes, or an instance not probed yet, is Unknown and takes requests.
const (
	Unknown Probe = iota
	Passing
	Failing
)

// Fact is all information about one instance except its own counters.
type Fact struct {
	Probe     Probe
	Draining  bool // by an override, or by a DRAINING message that is still valid
	Unhealthy bool // an UNHEALTHY message of another sender still holds
	Telemetry Telemetry
	Reported  Reported
	Weight    float64 // share of its configured weight that the instance asks for; 0: all of it
}

// Reported is the utilization that the instance reported with its latest response. The zero value means that there is none.
type Reported struct {
	Utilization float64 // 0..1
	At          int64   // process clock; 0 never
}

// Telemetry is the information from health-scores. The zero value means unknown.
type Telemetry struct {
	Capacity    float64 // requests per second at full utilization; 0 unknown
	ErrorRate   float64 // 0..1, over all proxies
	Samples     float64 // requests behind ErrorRate
	Utilization float64 // 0..1; 0 unknown
	AsOf        int64   // process clock, when the latest input was made; 0 never
	PeriodNs    int64   // interval between such facts
}

// Facts returns the fact of an instance. It must return the same fact for an instance during one Next.
type Facts func(l *upstream.Live) Fact

// Bounds and thresholds of telemetry.
const (
	minCapacity   = .1 // of the pool's mean
	maxCapacity   = 4
	vetoAt        = .95 // utilization from which the weight is halved
	veto          = .5
	maxFloor      = .1 // least weight of a sample in the average latency of the lightest members: 10 requests
	fleetDiscount = .7 // the error rate of all proxies counts less than this proxy's own
	fleetSamples  = 10 // below this number of samples it does not count at all
	trustPeriods  = 3
	trustTau      = 5e9 // ns
	minPeriod     = 1e9
	maxPeriod     = 60e9
	slowStartMin  = .1
	leastWeight   = .1  // of the configured weight that an instance may ask for: a forged message cannot do more
	mostWeight    = 2   // the same
	reportPeriod  = 1e9 // ns; a busy instance reports with every response, so its report counts fully for three seconds
)

// Next computes a service's pool at time now. It reads the members' counters and writes nothing: the same inputs give
// the same pool. jitter returns values in [-1, 1). It spreads the return of instances that are ejected together.
func Next(old *upstream.Pool, spec Spec, facts Facts, now int64, jitter func() float64) *upstream.Pool {
	p := &upstream.Pool{Rev: old.Rev + 1, Name: spec.Policy, Spread: spec.Spread, EjectAfter: spec.Ejection.Consecutive, HashBalance: float64(spec.Balance) / 100, InstanceLimit: int64(spec.Limits.PerInstance), Members: make([]upstream.Member, len(spec.Entries))}
	previous := old.Finder()
	telemetry, reported, stood := make([]Telemetry, len(spec.Entries)), make([]Reported, len(spec.Entries)), make([]upstream.Reason, len(spec.Entries))
	for i, e := range spec.Entries {
		m := &p.Members[i]
		f := facts(e.Live)
		telemetry[i], reported[i] = f.Telemetry, f.Reported
		if was := previous(e.Live); was != nil {
			*m = *was
		} else {
			m.Live, m.Since = e.Live, now
			if len(old.Members) > 0 { // not at process start: all instances would ramp up
				m.SlowFrom = now
			}
		}
		m.Weight = e.Weight
		if f.Weight > 0 {
			m.Weight *= min(max(f.Weight, leastWeight), mostWeight)
		}
		m.Unlisted = e.Unlisted
		if m.Distance = e.Distance; spec.Spillover == 0 {
			m.Weight /= spec.Costs.Of(e.Distance)
		}
		stood[i] = wake(m)
		m.Excused = min(m.Excused, m.Fails.Load())
		settle(m, wanted(f), now)
	}
	spec.Ejection.eject(p, now, jitter)
	spec.Ejection.tryFailing(p)
	p.Live, p.Panic = live(p, spec.Entries, spec.Panic)
	p.Reserve = stayNear(p, spec.Entries, spec.Spillover)
	rest(p, spec, stood, now)
	for i := range p.Members {
		m := &p.Members[i]
		m.SlowStart = 1
		if RampsUp(spec.Policy) {
			m.SlowStart = ramp(m, spec.SlowStart, now)
		}
		trust(m, telemetry[i], now)
		believe(m, reported[i], now)
	}
	capacities(p, telemetry)
	equalMemory(p)
	p.MedianNs = median(p, now)
	if len(p.Live) == 0 {
		return p
	}
	if reusable(old, p) {
		p.Policy = old.Policy
	} else {
		p.Policy = build(spec.Policy, p, now)
	}
	return p
}

// wanted returns the strongest reason in the facts to take the instance out of rotation.
func wanted(f Fact) upstream.Reason {
	switch {
	case f.Draining:
		return upstream.Draining
	case f.Probe == Failing:
		return upstream.Unhealthy
	case f.Unhealthy && f.Probe != Passing:
		return upstream.Reported
	}
	return upstream.In
}

// settle moves a member to the state that the facts require. An ejection overrides In until its time has passed. A
// passing probe alone does not end it, because the probe's path may work while requests fail.
func settle(m *upstream.Member, want upstream.Reason, now int64) {
	if m.Out == upstream.Ejected && want == upstream.In && now < m.Until {
		return
	}
	if m.Out == want {
		if want == upstream.In && m.Ejections > 0 && now-m.Since > calm && m.Fails.Load() < upstream.FailingAfter {
			m.Ejections = 0
		}
		return
	}
	if want == upstream.In {
		m.SlowFrom, m.Excused = now, m.Fails.Load()
	}
	m.Out, m.Since, m.Until, m.Cause = want, now, 0, ""
}

// ramp returns the slow start factor, which grows linearly from .1 to 1.
func ramp(m *upstream.Member, window time.Duration, now int64) float64 {
	if m.SlowFrom == 0 || window <= 0 {
		return 1
	}
	return min(1, max(slowStartMin, float64(now-m.SlowFrom)/float64(window)))
}

// RampsUp reports whether a policy has slow start. ring_hash and maglev have none: a growing share would move keys
// between instances.
func RampsUp(policy string) bool { return policy != "ring_hash" && policy != "maglev" }

// rampedWeight is the weight that the tables of all policies except adaptive use: the configured weight times slow
// start in steps of a tenth. A table is therefore built ten times during a ramp and not every 100 ms.
func rampedWeight(m *upstream.Member) float64 { return m.Weight * math.Ceil(m.SlowStart*10) / 10 }

// Trust is k(age): 1 up to three periods, then it fades with a time constant of 5 s.
func Trust(age, period int64) float64 {
	period = min(max(period, minPeriod), maxPeriod)
	late := age - trustPeriods*period
	if late <= 0 {
		return 1
	}
	return math.Exp(-float64(late) / trustTau)
}

// trust fades facts from Kafka by their age, so that the policy uses only local data if Kafka is down. capacities
// completes Capacity.
func trust(m *upstream.Member, t Telemetry, now int64) {
	m.AsOf, m.PeriodNs, m.Utilization = t.AsOf, t.PeriodNs, t.Utilization
	m.Trust, m.FleetErr, m.Veto = 0, 0, 1
	if t.AsOf == 0 {
		return
	}
	m.Trust = Trust(now-t.AsOf, t.PeriodNs)
	if t.Samples >= fleetSamples {
		m.FleetErr = fleetDiscount * t.ErrorRate * m.Trust
	}
	if t.Utilization >= vetoAt {
		m.Veto = math.Pow(veto, m.Trust)
	}
}

// believe replaces the utilization from Kafka by that of a recent response, which is newer than anything from Kafka. A
// report that fades no longer replaces it.
func believe(m *upstream.Member, r Reported, now int64) {
	age := now - r.At
	if r.At == 0 || age > maxPeriod || m.AsOf > 0 && age > trustPeriods*reportPeriod {
		return
	}
	m.Utilization, m.Veto = r.Utilization, 1
	if r.Utilization >= vetoAt {
		m.Veto = math.Pow(veto, Trust(age, reportPeriod))
	}
}

// capacities sets c^k: each known capacity relative to the mean of the known capacities, clamped and faded. An unknown
// capacity counts as the mean.
func capacities(p *upstream.Pool, telemetry []Telemetry) {
	sum, n := 0.0, 0
	for _, t := range telemetry {
		if t.Capacity > 0 {
			sum, n = sum+t.Capacity, n+1
		}
	}
	for i := range p.Members {
		p.Members[i].Capacity = 1
		if c := telemetry[i].Capacity; c > 0 {
			relative := min(max(c/(sum/float64(n)), minCapacity), maxCapacity)
			p.Members[i].Capacity = math.Pow(relative, p.Members[i].Trust)
		}
	}
}

// equalMemory lets the average latencies of all live members remember about the same time, not the same number of requests.
// Without it, a pause of all instances counts against a light one until it has had as many requests as a heavy one. It gets
// few meanwhile: with weights 5:1:1, light ones lost up to two thirds of their share.
func equalMemory(p *upstream.Pool) {
	most := 0.0
	for _, at := range p.Live {
		most = max(most, p.Members[at].Weight)
	}
	for _, at := range p.Live {
		m := &p.Members[at]
		m.SampleFloor = min(upstream.LatencyFloor*most/m.Weight, maxFloor)
	}
}

// median returns the median of the work-normalised latency over live members with enough samples.
func median(p *upstream.Pool, now int64) float64 {
	values := make([]float64, 0, len(p.Live))
	for _, at := range p.Live {
		m := &p.Members[at]
		if m.Successes.Load() < minSamples {
			continue
		}
		if l, _, ok := m.Latency.Load(now); ok {
			values = append(values, l*m.Capacity)
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 0 {
		return (values[mid-1] + values[mid]) / 2
	}
	return values[mid]
}

// reusable reports whether the old policy object fits the new pool. The tables of all policies except adaptive depend
// only on the live members and on the ramped weights.
func reusable(old, p *upstream.Pool) bool {
	if old.Policy == nil || old.Name != p.Name || p.Name == DefaultPolicy || len(old.Members) != len(p.Members) || !slices.Equal(old.Live, p.Live) {
		return false
	}
	for _, at := range p.Live {
		if old.Members[at].Live != p.Members[at].Live || rampedWeight(&old.Members[at]) != rampedWeight(&p.Members[at]) {
			return false
		}
	}
	return true
}
