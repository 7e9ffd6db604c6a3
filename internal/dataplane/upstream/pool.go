package upstream

import (
	"crypto/tls"
	"math/rand/v2"
	"sync/atomic"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
)

// Reason says why a member takes no new requests.
type Reason uint8

// The reasons, strongest first if several apply.
const (
	In        Reason = iota // the member takes requests
	Draining                // an operator or a DRAINING message drains it
	Unhealthy               // its probe fails
	Reported                // a health-status message says UNHEALTHY and no probe of this proxy passes
	Ejected                 // requests failed (Cause); returns at Until
	Backup                  // the other members suffice
	OtherZone               // the members of nearer zones suffice
	Reasons
)

var reasonWords = [Reasons]string{"in", "draining", "unhealthy", "reported-unhealthy", "ejected", "backup", "other-zone"}

func (r Reason) String() string { return reasonWords[r] }

// StandsBy reports whether the member could take requests, and others suffice.
func (r Reason) StandsBy() bool { return r == Backup || r == OtherZone }

// Distance says how far an instance is from this node.
type Distance uint8

// The distances, nearest first.
const (
	Near        Distance = iota // in the zone of this node, or not known to be elsewhere
	CrossZone                   // in another zone, and not known to be in another region
	CrossRegion                 // in another region
	Distances
)

var distanceWords = [Distances]string{"", "zone", "region"}

// String returns what differs between node and instance: "zone", "region", or "" for neither.
func (d Distance) String() string { return distanceWords[d] }

// Member is one instance as one Pool sees it. The factors are computed when the Pool is built. A pick only multiplies
// them with values that change per request.
type Member struct {
	*Live
	Weight      float64 // configured or an operator's override; in another zone times what nearer ones leave, or divided by the cost
	Capacity    float64 // c^k: share of the pool's mean capacity, faded by trust; 1 is unknown
	Veto        float64 // 1, or towards .5 if the instance reports utilization >= .95
	FleetErr    float64 // .7·E·k: error rate that all proxies see, faded
	SlowStart   float64 // .1..1
	SampleFloor float64 // least weight of a sample in the average of Latency; 0: LatencyFloor
	Trust       float64 // k: 1 fresh .. 0 ignored
	Utilization float64 // as reported, 0 unknown
	AsOf        int64   // when the latest fact about it was received, on the process clock; 0 never
	PeriodNs    int64   // interval between facts about it
	Distance    Distance
	Unlisted    bool // no source lists it any more: it takes no retries if another member can
	Out         Reason
	Since       int64  // when Out last changed
	Until       int64  // Ejected: when it may return
	SlowFrom    int64  // when the ramp of SlowStart began; 0: no ramp
	Ejections   int    // ejections without a calm minute between them: each doubles the next ejection
	Cause       string // Ejected: why, for people
	Excused     uint32 // consecutive failures before it last entered rotation: it is ejected for further failures only
	OnTrial     bool   // in rotation and failing: it gets one request at a time until one succeeds

	// The window in which failures are compared with requests: when it began, and the counters at that time. WindowFrom is 0
	// if there is none.
	WindowFrom                   int64
	WindowRequests, WindowFailed uint64
}

// Pool is an immutable snapshot of a service's members. Policy holds its own tables (ring, maglev, round-robin
// sequence) and is built for exactly this set of live members.
type Pool struct {
	Rev      uint64
	Members  []Member
	Live     []int32            // indices of the members that may be picked; in panic including unhealthy and ejected members
	Reserve  [Distances][]int32 // of other zones, by distance: members for requests that no member of Live can take, and for their sessions
	Policy   Policy
	Name     string  // of the policy
	MedianNs float64 // median work-normalised latency, 0 unknown
	Spread   float64 // 0..1, how strongly differences in latency move requests
	// limit of the load of a member with ring_hash and maglev, times its share of the requests in flight; 0: none
	HashBalance   float64
	InstanceLimit int64 // requests in flight on each member; 0: no limit
	Panic         bool  // too few members are healthy: all members that do not drain are used

	EjectAfter uint32 // consecutive failures that eject a member; 0: no number does
}

// Finder returns a function that finds the member of an instance, nil if there is none. It is fast for calls in about the
// order of the members. The function is not safe for concurrent use.
func (p *Pool) Finder() func(l *Live) *Member {
	next := 0
	var all map[*Live]int
	return func(l *Live) *Member {
		for i := next; i < min(next+2, len(p.Members)); i++ {
			if p.Members[i].Live == l {
				next = i + 1
				return &p.Members[i]
			}
		}
		if all == nil {
			all = make(map[*Live]int, len(p.Members))
			for i := range p.Members {
				all[p.Members[i].Live] = i
			}
		}
		i, ok := all[l]
		if !ok {
			return nil
		}
		next = i + 1
		return &p.Members[i]
	}
}

// Policy chooses an instance. Choose is pure and allocates nothing. It returns an index into p.Members that is in
// p.Live and not in a.Tried, or -1.
type Policy interface {
	Choose(p *Pool, a *Ask) int
}

// MaxTries is the maximum number of instances to which one request may be sent.
const MaxTries = 4

// Ask is the input of one pick. It is part of the reused exchange of a connection and is not safe for concurrent use.
type Ask struct {
	Now    int64
	Rand   *rand.PCG
	Hash   uint64 // of the affinity key; ring_hash and maglev
	Active int64  // requests of the service in flight, this one included; set only if the pool has HashBalance
	Seq    uint64 // sequence number; set only if the policy wants it
	Tried  [MaxTries]*Live
	NTried int
	Trace  Trace
}

// WasTried reports whether this request was already sent to l.
func (a *Ask) WasTried(l *Live) bool {
	for _, t := range a.Tried[:a.NTried] {
		if t == l {
			return true
		}
	}
	return false
}

// MaxCandidates is how many instances a policy may compare for one request.
const MaxCandidates = 8

// Trace records what a policy compared, for the decision record.
type Trace struct {
	N          int
	Candidates [MaxCandidates]Candidate
	Reason     string // constant: lowest-cost, only, turn, random, hash, pinned, session, other-zone
}

// Candidate is one compared instance and the parts of its cost.
type Candidate struct {
	Index    int32   // into Pool.Members
	InFlight int32   // q
	Cost     float32 // the compared value
	Latency  float32 // factor from latency, to the power 2·Pool.Spread: 1 is the pool's median
	Err      float32 // error estimate that was used
	Penalty  float32 // factor from Err
	Silence  float32 // s: 1, or more while no head arrives
}

// Add records one compared instance. It drops the instance if the trace is full.
func (t *Trace) Add(c Candidate) {
	if t.N < MaxCandidates {
		t.Candidates[t.N] = c
		t.N++
	}
}

// Sequencer is implemented by policies that need Ask.Seq.
type Sequencer interface{ WantsSeq() }

// Service is the destination of routes. Only the keeper replaces its pool.
type Service struct {
	ID     string
	Active atomic.Int64 // requests in flight, without those that wait at Gate
	Retry  atomic.Int64 // of those: retries and hedges in flight
	Slow   SlowAfter    // of requests on routes that hedge
	pool   atomic.Pointer[Pool]
	seq    atomic.Uint64
	tls    atomic.Pointer[TLS]

	Gate      guard.Gate      // limits the requests in flight
	Latencies guard.Latencies // of tries that are let in at Gate, if its limit adapts to them
	Queued    *Histogram      // waits at Gate of requests that were let in after a wait
	Sessions  Sessions        // counts requests by the result of their session; 0 without sessions
	traffic   traffics
}

// TLS secures the connections to the instances of a service. Two services never share one; a change of the settings makes a
// new one, so that no connection with other settings is used.
type TLS struct {
	Config func(host string) *tls.Config // for a connection to a host; the caller owns the result
}

// Scheme returns the scheme of requests over such connections; t may be nil.
func (t *TLS) Scheme() string {
	if t == nil {
		return "http"
	}
	return "https"
}

// TLS returns how connections to the instances are secured, nil if they are not.
func (s *Service) TLS() *TLS { return s.tls.Load() }

// SetTLS replaces the security of new connections.
func (s *Service) SetTLS(t *TLS) { s.tls.Store(t) }

// NewService returns a service with an empty pool.
func NewService(id string) *Service {
	s := &Service{ID: id, Queued: NewHistogram()}
	s.pool.Store(&Pool{})
	return s
}

// Pool returns the current snapshot.
func (s *Service) Pool() *Pool { return s.pool.Load() }

// Swap replaces the snapshot. Only the keeper calls it.
func (s *Service) Swap(p *Pool) { s.pool.Store(p) }

// Pick picks an instance with the pool's policy and fills t. It returns the pool that was used (for the record), and
// false if there is no instance. It does the accounting of a pick for all policies.
func (s *Service) Pick(a *Ask, t *Ticket) (*Pool, bool) {
	p := s.pool.Load()
	a.Trace.N, a.Trace.Reason = 0, ""
	if len(p.Live) == 0 || p.Policy == nil {
		return p, false
	}
	if _, ok := p.Policy.(Sequencer); ok {
		a.Seq = s.seq.Add(1)
	}
	if p.HashBalance > 0 {
		a.Active = s.Active.Load()
	}
	i, trial := p.choose(a)
	if i < 0 {
		return p, takeReserve(p, a, t)
	}
	if take(p, i, a, t) {
		t.trial = trial
		return p, true
	}
	if trial {
		p.Members[i].endTrial()
	}
	return p, takeOther(p, i, a, t) || takeReserve(p, a, t)
}

// takeReserve takes a member of Reserve that has room, a near one first. It returns false if there is none.
func takeReserve(p *Pool, a *Ask, t *Ticket) bool {
	for _, list := range p.Reserve {
		if takeAny(p, list, "other-zone", a, t) {
			return true
		}
	}
	return false
}

// takeOther takes another live member than i, which has no room: first in the order of the policy, then in that of the
// pool. It returns false if no live member has room.
func takeOther(p *Pool, i int, a *Ask, t *Ticket) bool {
	tried := a.NTried
	for n := tried; n < MaxTries; n++ {
		a.Tried[n], a.NTried, a.Trace.N = p.Members[i].Live, n+1, 0
		i = p.Policy.Choose(p, a)
		a.NTried = tried
		if i < 0 {
			break
		}
		if take(p, i, a, t) {
			return true
		}
	}
	return takeAny(p, p.Live, "only", a, t)
}

// takeAny takes a member of a list that was not tried and has room, beginning at a random one. It returns false if there is
// none.
func takeAny(p *Pool, list []int32, reason string, a *Ask, t *Ticket) bool {
	if len(list) == 0 {
		return false
	}
	from := a.Rand.Uint64() % uint64(len(list))
	for k := range list {
		at := list[(uint64(k)+from)%uint64(len(list))]
		if a.WasTried(p.Members[at].Live) {
			continue
		}
		if a.Trace.N, a.Trace.Reason = 0, reason; take(p, int(at), a, t) {
			return true
		}
	}
	return false
}

// choose asks the policy. A member on trial is chosen only for its next trial. Neither it nor an unlisted member is chosen
// for a retry. If there is no other member, it takes the request.
func (p *Pool) choose(a *Ask) (i int, trial bool) {
	retry, tried := a.NTried > 0, a.NTried
	i = p.Policy.Choose(p, a)
	first := i
	for ; i >= 0 && p.aside(i, retry); i = p.Policy.Choose(p, a) {
		live := p.Members[i].Live
		if !retry && live.beginTrial(a.Now) {
			a.NTried = tried
			return i, true
		}
		if a.NTried == MaxTries {
			i = -1
			break
		}
		a.Tried[a.NTried] = live
		a.NTried++
		a.Trace.N = 0
	}
	a.NTried = tried
	if i >= 0 {
		return i, false
	}
	return p.other(a, first, retry), false
}

// other returns a live member that was not tried and is not to be left out, beginning at a random one; first if there is none.
func (p *Pool) other(a *Ask, first int, retry bool) int {
	if first < 0 {
		return first
	}
	n := uint64(len(p.Live))
	from := a.Rand.Uint64() % n
	for k := range n {
		i := int(p.Live[(k+from)%n])
		if !p.aside(i, retry) && !a.WasTried(p.Members[i].Live) {
			a.Trace.N, a.Trace.Reason = 0, "only"
			return i
		}
	}
	return first
}

// aside reports whether a member is left out as long as another one can take the request.
func (p *Pool) aside(i int, retry bool) bool {
	return p.onTrial(i) || retry && p.Members[i].Unlisted && !p.Panic
}

// onTrial reports whether a member is on trial. A success since the pool was built has ended the trial.
func (p *Pool) onTrial(i int) bool {
	m := &p.Members[i]
	return m.OnTrial && !p.Panic && m.Fails.Load() >= FailingAfter
}

// PickLive picks the given instance and fills t. It returns false if the instance may not be picked. Results and
// accounting are those of Pick.
func (s *Service) PickLive(l *Live, a *Ask, t *Ticket) (*Pool, bool) {
	p := s.pool.Load()
	for _, list := range [...][]int32{p.Live, p.Reserve[CrossZone], p.Reserve[CrossRegion]} {
		for _, i := range list {
			if p.Members[i].Live == l {
				a.Trace.N, a.Trace.Reason = 0, "pinned"
				return p, take(p, int(i), a, t)
			}
		}
	}
	return p, false
}

// take accounts for a pick. It returns false, and does nothing, if the member has no room.
func take(p *Pool, i int, a *Ask, t *Ticket) bool {
	live := p.Members[i].Live
	if !live.picked(a.Now, p.InstanceLimit) {
		return false
	}
	if a.NTried < MaxTries {
		a.Tried[a.NTried] = live
		a.NTried++
	}
	*t = Ticket{live: live, index: int32(i), started: a.Now, state: ticketOpen, floor: float32(p.Members[i].SampleFloor)}
	return true
}

// Hasher is implemented by policies that need Ask.Hash.
type Hasher interface{ WantsHash() }

// Hash is FNV-1a followed by the finalizer of MurmurHash3. FNV alone leaves the high bits of short keys nearly equal.
func Hash(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return Mix(h)
}

// Mix is the 64-bit finalizer of MurmurHash3.
func Mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
