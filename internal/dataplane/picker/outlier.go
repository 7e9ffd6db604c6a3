package picker

import (
	"fmt"
	"math"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/upstream"
)

// Ejection says when the outcomes of requests take an instance out of rotation, and for how long. The zero value ejects
// nothing.
//
// Ejection complements the error term of the cost. The rules and the growing times follow Envoy's outlier detection. The
// default limit is higher than Envoy's 10 % because small pools are common. The last member is never ejected.
//
// The last outcome counts, however long ago it was. An instance that returns after an ejection and fails again is ejected
// again at once, for a longer time, until a request succeeds. An instance in rotation whose latest requests failed gets
// one request at a time (tryFailing).
type Ejection struct {
	Consecutive uint32        // failures in a row that eject; 0: no number does
	Rate        float64       // share of failed requests of a window that ejects, above 0 to 1; 0: no share does
	MinRequests uint64        // requests of a window from which Rate counts
	Window      time.Duration // of Rate
	Time        time.Duration // of the first ejection
	Growth      float64       // factor from one ejection to the next, 1 and above
	MaxTime     time.Duration // of any ejection
	MaxShare    float64       // part of the members that may be out at once, 0..1. If it is above 0, at least one member
}

// DefaultEjection is the ejection of a service that sets none.
func DefaultEjection() Ejection {
	return Ejection{
		Consecutive: 5, MinRequests: 20, Window: 10 * time.Second,
		Time: 5 * time.Second, Growth: 2, MaxTime: time.Minute, MaxShare: .3,
	}
}

const (
	ejectJitter = .1
	calm        = 60e9 // ns in rotation without ejection: the ejection count restarts
)

// Most returns how many of n members may be ejected at once.
func (e Ejection) Most(n int) int {
	if e.MaxShare <= 0 {
		return 0
	}
	return max(1, int(e.MaxShare*float64(n)))
}

// After returns the nanoseconds of an ejection after n earlier ejections.
func (e Ejection) After(n int) float64 {
	return math.Min(float64(e.Time)*math.Pow(e.Growth, float64(n)), float64(e.MaxTime))
}

// eject ejects the members that the rules name, worst first, within the limit: first those with the most consecutive
// failures, then those with the highest failure rate, then those that asked for a rest. A rest is no failure, so it does
// not make further ejections longer.
func (e Ejection) eject(p *upstream.Pool, now int64, jitter func() float64) {
	ejected, in := 0, 0
	for i := range p.Members {
		e.window(&p.Members[i], now)
		switch p.Members[i].Out {
		case upstream.Ejected:
			ejected++
		case upstream.In:
			in++
		}
	}
	for most := e.Most(len(p.Members)); ejected < most && in > 1; ejected, in = ejected+1, in-1 {
		m, cause := e.failingInARow(p)
		if m == nil {
			m, cause = e.failingOften(p)
		}
		if m == nil {
			if m = resting(p, now); m == nil {
				return
			}
			m.Out, m.Since, m.Cause, m.Until = upstream.Ejected, now, "it answered 503 and asked for no requests for a time (Retry-After)", m.RestsUntil()
			continue
		}
		m.Out, m.Since, m.Cause, m.WindowFrom = upstream.Ejected, now, cause, 0
		m.Until = now + int64(e.After(m.Ejections)*(1+ejectJitter*jitter()))
		m.Ejections++
	}
}

func (e Ejection) failingInARow(p *upstream.Pool) (worst *upstream.Member, cause string) {
	if e.Consecutive == 0 {
		return nil, ""
	}
	fails := e.Consecutive - 1
	for i := range p.Members {
		m := &p.Members[i]
		if f := m.Fails.Load(); m.Out == upstream.In && f > m.Excused && f > fails {
			worst, fails = m, f
		}
	}
	if worst == nil {
		return nil, ""
	}
	return worst, fmt.Sprintf("%d consecutive failures", fails)
}

func (e Ejection) failingOften(p *upstream.Pool) (worst *upstream.Member, cause string) {
	highest := 0.
	for i := range p.Members {
		m := &p.Members[i]
		requests, failed := e.counted(m)
		if m.Out != upstream.In || requests < max(e.MinRequests, 1) {
			continue
		}
		if rate := float64(failed) / float64(requests); rate >= e.Rate && rate > highest {
			worst, highest = m, rate
			cause = fmt.Sprintf("%.0f %% of %d requests in less than %s failed", 100*rate, requests, e.Window)
		}
	}
	return worst, cause
}

// resting returns the member in rotation with the longest rest, nil if there is none.
func resting(p *upstream.Pool, now int64) (m *upstream.Member) {
	until := now
	for i := range p.Members {
		if r := p.Members[i].RestsUntil(); p.Members[i].Out == upstream.In && r > until {
			m, until = &p.Members[i], r
		}
	}
	return m
}

// counted returns the requests of the current window of a member, and how many of them failed; 0 if Rate is off.
func (e Ejection) counted(m *upstream.Member) (requests, failed uint64) {
	if e.Rate <= 0 || m.WindowFrom == 0 {
		return 0, 0
	}
	requests = m.Requests.Load() - m.WindowRequests
	return requests, min(m.Failed.Load()-m.WindowFailed, requests) // a body may break in a later window than its head
}

// window begins a new window of a member whose window is over, or that is not in rotation: what happened before its return
// does not count.
func (e Ejection) window(m *upstream.Member, now int64) {
	if e.Rate > 0 && (m.WindowFrom == 0 || m.Out != upstream.In || now-m.WindowFrom >= int64(e.Window)) {
		m.WindowFrom, m.WindowRequests, m.WindowFailed = now, m.Requests.Load(), m.Failed.Load()
	}
}

// tryFailing puts members in rotation whose latest requests failed on trial, worst first. Ejected members and members on
// trial together are as many as may be ejected, and one member stays that is neither.
func (e Ejection) tryFailing(p *upstream.Pool) {
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
	for most := e.Most(len(p.Members)); held < most && in > 1; held, in = held+1, in-1 {
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
	}
}
