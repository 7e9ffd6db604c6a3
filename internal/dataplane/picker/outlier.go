package picker

import (
	"math"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Ejection complements the error term of the cost. The threshold and the doubling follow Envoy's consecutive-5xx
// outlier detection. The limit is higher than Envoy's 10 % because small pools are common. The last member is never
// ejected.
//
// The last outcome counts, however long ago it was. An instance that returns after an ejection and fails again is ejected
// again at once, for twice the time, until a request succeeds. An instance in rotation whose latest requests failed gets
// one request at a time (tryFailing).
const (
	ejectBase   = 5e9  // ns, doubled per ejection
	ejectMax    = 60e9 // ns
	ejectJitter = .1
	ejectShare  = .3
	calm        = 60e9 // ns in rotation without ejection: the ejection count restarts
)

// MaxEjected returns how many of n members may be ejected at once.
func MaxEjected(n int) int { return max(1, int(ejectShare*float64(n))) }

// ejectFailing ejects members with too many consecutive failures, worst first, within the limit.
func ejectFailing(p *upstream.Pool, now int64, jitter func() float64) {
	ejected, in := 0, 0
	for i := range p.Members {
		switch p.Members[i].Out {
		case upstream.Ejected:
			ejected++
		case upstream.In:
			in++
		}
	}
	for ejected < MaxEjected(len(p.Members)) && in > 1 {
		worst, fails := -1, uint32(upstream.EjectAfter-1)
		for i := range p.Members {
			m := &p.Members[i]
			if f := m.Fails.Load(); m.Out == upstream.In && f > m.Excused && f > fails {
				worst, fails = i, f
			}
		}
		if worst < 0 {
			return
		}
		eject(&p.Members[worst], now, jitter())
		ejected, in = ejected+1, in-1
	}
}

func eject(m *upstream.Member, now int64, jitter float64) {
	m.Out, m.Since = upstream.Ejected, now
	m.Until = now + int64(EjectionTime(m.Ejections)*(1+ejectJitter*jitter))
	m.Ejections++
}

// tryFailing puts members in rotation whose latest requests failed on trial, worst first. Ejected members and members on
// trial together are as many as may be ejected, and one member stays that is neither.
func tryFailing(p *upstream.Pool) {
	held, in := 0, 0
	for i := range p.Members {
		m := &p.Members[i]
		m.OnTrial = false
		switch m.Out {
		case upstream.Ejected:
			held++
		case upstream.In:
			in++
		}
	}
	for held < MaxEjected(len(p.Members)) && in > 1 {
		worst, fails := -1, uint32(upstream.FailingAfter-1)
		for i := range p.Members {
			m := &p.Members[i]
			if f := m.Fails.Load(); m.Out == upstream.In && !m.OnTrial && f > fails {
				worst, fails = i, f
			}
		}
		if worst < 0 {
			return
		}
		p.Members[worst].OnTrial = true
		held, in = held+1, in-1
	}
}

// EjectionTime returns the nanoseconds of an ejection after n earlier ejections.
func EjectionTime(n int) float64 { return math.Min(ejectBase*math.Exp2(float64(n)), ejectMax) }
