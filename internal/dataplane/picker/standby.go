package picker

import (
	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// DefaultSpillover is the spillover of a service that sets none.
const DefaultSpillover = .7

// wake lets a member that stood by take part in the decisions of this round. It returns why the member stood by, In if it
// did not.
func wake(m *upstream.Member) (stood upstream.Reason) {
	if !m.Out.StandsBy() {
		return upstream.In
	}
	stood, m.Out = m.Out, upstream.In
	return stood
}

// rest sets the state of the members that could take requests and are not live: they stand by. stood has the results of wake.
// A member that no longer stands by begins with slow start.
func rest(p *upstream.Pool, spec Spec, stood []upstream.Reason, now int64) {
	live := make([]bool, len(p.Members))
	for _, at := range p.Live {
		live[at] = true
	}
	for i := range p.Members {
		m := &p.Members[i]
		switch {
		case m.Out != upstream.In:
		case live[i] && stood[i] != upstream.In:
			m.Since, m.SlowFrom, m.Excused = now, now, m.Fails.Load()
		case live[i]:
		default:
			m.Out = upstream.OtherZone
			if spec.Entries[i].Backup {
				m.Out = upstream.Backup
			}
			if m.Out != stood[i] {
				m.Since, m.Until, m.Cause = now, 0, ""
			}
		}
	}
}

// live returns the members that may be picked. If less than the share threshold of the members that do not drain is in
// rotation, the few healthy members could not carry the whole load. The backups in rotation then help. Without one, all
// members that do not drain are picked. Backups count for the share only if all others drain.
func live(p *upstream.Pool, entries []Entry, threshold float64) (in []int32, panicking bool) {
	staying, failing := 0, 0 // failing: backups
	var backups []int32
	for i := range p.Members {
		out := p.Members[i].Out
		switch {
		case entries[i].Backup:
			switch out {
			case upstream.In:
				backups = append(backups, int32(i))
			case upstream.Draining:
			default:
				failing++
			}
			continue
		case out == upstream.In:
			in = append(in, int32(i))
		}
		if out != upstream.Draining {
			staying++
		}
	}
	if staying == 0 {
		staying = failing
	}
	enough := float64(len(in)) >= threshold*float64(staying)
	switch {
	case enough && len(in) > 0:
		return in, false
	case len(backups) > 0:
		return append(in, backups...), false
	case enough:
		return in, false
	}
	in = in[:0]
	for i := range p.Members {
		if p.Members[i].Out != upstream.Draining {
			in = append(in, int32(i))
		}
	}
	return in, true
}

// stayInZone keeps requests in the zone of this node as long as enough of its instances are live: spillover, by weight.
// Below that share, other zones get the rest of the requests. Their weights change so that, with h the live share of the
// own zone,
//
//	requests to the own zone = min(1, h / spillover)
//
// It returns the live members of other zones that get no requests. They are for requests that no member of the own zone
// can take.
//
// Source: the priority levels of Envoy, where 1/spillover is the overprovisioning factor.
func stayInZone(p *upstream.Pool, entries []Entry, spillover float64) (reserve []int32) {
	if spillover <= 0 || p.Panic {
		return nil
	}
	all, here, there := 0.0, 0.0, 0.0
	for i := range entries {
		if !entries[i].Away && !entries[i].Backup {
			all += p.Members[i].Weight
		}
	}
	var near, away []int32
	for _, at := range p.Live {
		switch e := entries[at]; {
		case e.Backup: // the primaries do not suffice
			return nil
		case e.Away:
			away, there = append(away, at), there+p.Members[at].Weight
		default:
			near, here = append(near, at), here+p.Members[at].Weight
		}
	}
	if len(near) == 0 || len(away) == 0 {
		return nil
	}
	share := here / (all * spillover)
	if share >= 1 {
		p.Live = near
		return away
	}
	for _, at := range away {
		p.Members[at].Weight *= (1 - share) / share * here / there
	}
	return nil
}
