package keeper

import (
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/dataplane/guard"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// ServiceCounts is what was counted of a service since it exists, and its state at this moment. Its counts never decrease:
// they include instances that left.
type ServiceCounts struct {
	ID               string
	Requests, Errors uint64 // tries that were answered or failed
	Ejections        uint64
	ProbesFailed     uint64
	ProbesPassed     uint64
	LoadsTaken       uint64 // load reports in responses that were read
	LoadsRefused     uint64 // load reports in responses that were invalid
	InFlight         int64  // requests of clients
	Gate             guard.GateCounts
	Queued           upstream.Distribution           // waits in the queue
	Sessions         [upstream.SessionResults]uint64 // requests by the result of their session
	Panic, Insecure  bool
	Limited          bool                  // it has limits of requests in flight
	Checked          bool                  // it has health checks
	ReadsLoads       bool                  // load reports in its responses are read
	States           [upstream.Reasons]int // number of instances, by upstream.Reason
	Routes           []*upstream.Traffic   // by route
	Instances        []InstanceCounts
}

// InstanceCounts is what was counted of an instance since it belongs to its service, at all its addresses.
type InstanceCounts struct {
	Counted
	ID       string
	State    upstream.Reason
	InFlight int64 // tries
}

// Counts returns the counts of all services, sorted by id. They are not one consistent snapshot.
func (k *Keeper) Counts() []ServiceCounts {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]ServiceCounts, 0, len(k.services))
	for _, s := range k.services {
		if s.config.ID != "" {
			out = append(out, s.counts())
		}
	}
	slices.SortFunc(out, func(a, b ServiceCounts) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// counts copies the counters of a service. The caller holds the lock.
func (s *service) counts() ServiceCounts {
	left, p := s.left.total(), s.upstream.Pool()
	c := ServiceCounts{
		ID: s.config.ID, Requests: left.Requests, Errors: left.Errors, Ejections: s.ejections, ProbesFailed: s.probes[0], ProbesPassed: s.probes[1],
		InFlight: s.upstream.Active.Load(), Panic: p.Panic, Limited: s.config.Concurrency != nil, Insecure: s.config.TLS != nil && s.config.TLS.Insecure, Checked: s.config.HealthCheck != nil,
		LoadsTaken: left.LoadsTaken, LoadsRefused: left.LoadsRefused, ReadsLoads: s.config.LoadReports != nil && s.config.LoadReports.ORCA != nil,
		Routes: s.upstream.Traffics(), Instances: make([]InstanceCounts, 0, len(p.Members)),
	}
	c.Gate, c.Queued = s.upstream.Gate.Counts(), s.upstream.Queued.Load()
	for i := range c.Sessions {
		c.Sessions[i] = s.upstream.Sessions[i].Load()
	}
	for i := range p.Members {
		m := &p.Members[i]
		in := s.instances[m.Instance]
		if in == nil {
			continue
		}
		n := InstanceCounts{Counted: in.former.total(), ID: m.Instance, State: m.Out, InFlight: m.InFlight.Load()}
		n.add(in.live)
		c.Requests += n.Requests
		c.Errors += n.Errors
		c.LoadsTaken += n.LoadsTaken
		c.LoadsRefused += n.LoadsRefused
		c.States[m.Out]++
		c.Instances = append(c.Instances, n)
	}
	return c
}
