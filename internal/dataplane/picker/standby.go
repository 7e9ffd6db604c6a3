package picker

import (
	"slices"

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

// stayNear keeps requests in the zone of this node, and what that cannot carry in its region, as long as enough of the instances
// there are live: spillover, by weight. It changes the weights of members that are farther away so that, with h the live
// share of the instances at a distance,
//
//	requests to a distance = min(what nearer ones leave, h / spillover)
//
// and the farthest live ones get all that is left. It returns the live members that get no requests, by distance. They are for
// requests that no other member can take.
//
// Source: the priority levels of Envoy, where 1/spillover is the overprovisioning factor.
func stayNear(p *upstream.Pool, entries []Entry, spillover float64) (reserve [upstream.Distances][]int32) {
	if spillover <= 0 || p.Panic {
		return reserve
	}
	var levels [upstream.Distances]level
	for i, e := range entries {
		if !e.Backup {
			levels[e.Distance].all += p.Members[i].Weight
		}
	}
	for _, at := range p.Live {
		e := entries[at]
		if e.Backup { // the primaries do not suffice
			return reserve
		}
		l := &levels[e.Distance]
		l.members, l.live = append(l.members, at), l.live+p.Members[at].Weight
	}
	p.Live = p.Live[:0]
	rest, unit := 1.0, 0.0 // unit: requests for a weight of 1, as the nearest live members get them
	for d, l := range levels {
		switch {
		case len(l.members) == 0:
			continue
		case rest == 0:
			reserve[d] = l.members
			continue
		}
		share := min(rest, l.live/(l.all*spillover))
		if !slices.ContainsFunc(levels[d+1:], func(l level) bool { return len(l.members) > 0 }) {
			share = rest
		}
		rest -= share
		if unit == 0 {
			unit = share / l.live
		}
		for _, at := range l.members {
			p.Members[at].Weight *= share / l.live / unit
		}
		p.Live = append(p.Live, l.members...)
	}
	slices.Sort(p.Live)
	return reserve
}

// level is what a service has at one distance.
type level struct {
	members   []int32 // live ones
	live, all float64 // weights
}
