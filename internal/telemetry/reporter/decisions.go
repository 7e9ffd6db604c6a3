package reporter

import (
	"bytes"
	"time"

	"github.com/smartlb/smartlb/internal/control/keeper"
	"github.com/smartlb/smartlb/internal/dataplane/dispatch"
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
	"github.com/smartlb/smartlb/internal/event"
)

// slot is a decision's copy; slots are reused.
type slot struct {
	id                  [128]byte
	idLen, attempts     int
	service, route, rev string
	why                 string
	at, duration        int64
	tries               [upstream.MaxTries]dispatch.Attempt
}

// Record implements dispatch.Recorder: it copies and returns.
func (r *Reporter) Record(d *dispatch.Decision) {
	if !r.admit(d.At, d.Why == event.WhySample) {
		r.stats.rateCapped.Add(1)
		return
	}
	var s *slot
	select {
	case s = <-r.free:
	default:
		if len(r.ring) == cap(r.ring) {
			r.stats.ringFull.Add(1)
			return
		}
		s = &slot{}
	}
	s.idLen = copy(s.id[:], d.ID)
	s.service, s.route, s.rev, s.why, s.at, s.duration = d.Service, d.Route, d.Revision, d.Why, d.At, d.DurationNs
	s.attempts = copy(s.tries[:], d.Attempts)
	select {
	case r.ring <- s:
	default:
		r.stats.ringFull.Add(1)
		return
	}
	if len(r.ring) > ringSlots/2 {
		select {
		case r.crowded <- struct{}{}:
		default:
		}
	}
}

// admit limits decisions per second of the process clock. at is when the request began: a long request counts with
// requests that began later.
func (r *Reporter) admit(at int64, sample bool) bool {
	second := at / 1e9
	if have := r.second.Load(); second > have && r.second.CompareAndSwap(have, second) {
		r.taken.Store(0)
		r.sampled.Store(0)
	}
	if sample && r.cfg.SampleRate > 0 && r.sampled.Add(1) > int64(r.cfg.SampleRate) {
		return false
	}
	return r.taken.Add(1) <= int64(r.cfg.DecisionRate)
}

// Changed queues a change of an instance's standing.
func (r *Reporter) Changed(c keeper.Change) {
	select {
	case r.changes <- c:
	default:
		r.stats.changesLost.Add(1)
	}
}

// publishDecisions publishes all waiting decisions.
func (r *Reporter) publishDecisions() {
	for n := len(r.ring); n > 0; n-- {
		r.publish(<-r.ring)
	}
}

func (r *Reporter) publish(s *slot) {
	for i := range s.tries[:s.attempts] {
		r.write(s, i)
		r.text = r.draft.AppendJSON(r.text[:0])
		r.send(event.TopicRoutingDecisions, s.service, bytes.Clone(r.text), nil, &r.stats.decisions)
	}
	for i := range s.tries {
		s.tries[i].Pool = nil // release old pools
	}
	select {
	case r.free <- s:
	default:
	}
}

// write fills the draft with the message about attempt i.
func (r *Reporter) write(s *slot, i int) {
	a := &s.tries[i]
	p := a.Pool
	chosen := &p.Members[a.Chosen]
	d := &r.draft
	*d = event.RoutingDecision{
		Candidates: d.Candidates[:0], Excluded: d.Excluded[:0],
		Timestamp: r.wall(a.At), Node: r.cfg.Node, Kind: event.KindDecision, RequestID: string(s.id[:s.idLen]),
		ServiceID: s.service, Route: s.route, Policy: p.Name, ConfigRevision: s.rev, PoolRevision: p.Rev, Panic: p.Panic,
		Attempt: i + 1, Why: s.why, InstanceID: chosen.Instance, Reason: a.Trace.Reason,
		Outcome: event.Outcome{
			Status: a.Status, Failure: a.Failure.String(), Sent: a.Sent || a.Status != 0,
			HeadMs: event.Some(round(float64(a.HeadNs)/1e6, 1e3)), Retried: a.Retried,
		},
	}
	if i == s.attempts-1 {
		d.Outcome.TotalMs = event.Some(round(float64(s.duration)/1e6, 1e3))
	}
	for _, c := range a.Trace.Candidates[:a.Trace.N] {
		d.Candidates = append(d.Candidates, candidate(p, c, a.At))
	}
	for j := range p.Members {
		m := &p.Members[j]
		if m.Out == upstream.In {
			continue
		}
		e := event.Exclusion{InstanceID: m.Instance, Reason: m.Out.String()}
		if m.Until > 0 {
			e.Until = r.wall(m.Until)
		}
		d.Excluded = append(d.Excluded, e)
	}
}

func candidate(p *upstream.Pool, c upstream.Candidate, at int64) event.Candidate {
	m := &p.Members[c.Index]
	out := event.Candidate{
		InstanceID: m.Instance, Cost: digits(float64(c.Cost)), InFlight: int64(c.InFlight), LatencyFactor: digits(float64(c.Latency)),
		ErrorRate: digits(float64(c.Err)), Weight: digits(m.Weight), Distance: m.Distance.String(), SlowStart: digits(m.SlowStart), Silence: digits(float64(c.Silence)), Trust: digits(m.Trust),
	}
	if m.AsOf > 0 {
		out.AgeMs = event.Some(round(float64(at-m.AsOf)/1e6, 1))
		out.FleetErrorRate = event.Some(digits(m.FleetErr))
		out.Capacity = event.Some(digits(m.Capacity))
	}
	if l, _, ok := m.Latency.Load(at); ok {
		out.LatencyMs = event.Some(round(l/1e6, 1e3))
	}
	return out
}

func (r *Reporter) publishChange(c keeper.Change) {
	d := event.RoutingDecision{
		Timestamp: c.At.UTC(), Node: r.cfg.Node, Kind: event.KindChange, ServiceID: c.Service,
		Why: event.WhyEjection, Panic: c.To == "panic",
		Change: event.StandingChange{InstanceID: c.Instance, From: c.From, To: c.To, Reason: c.Reason, Until: c.Until.UTC()},
	}
	if c.Instance == "" {
		d.Why, d.Change.InstanceID = event.WhyPanic, event.InstanceAll
	}
	if c.Until.IsZero() {
		d.Change.Until = time.Time{}
	}
	r.send(event.TopicRoutingDecisions, c.Service, d.AppendJSON(nil), nil, &r.stats.decisions)
}
