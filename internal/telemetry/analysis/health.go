package analysis

import (
	"maps"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Validity of a health-status message: three intervals of its sender, or singleHolds if it is the sender's only
// message.
const (
	singleHolds  = 30 * time.Second
	intervalHold = 3
)

// sender is a source of an instance's health checks: a proxy's probe, or another program.
type sender struct {
	status   string
	at       time.Time     // timestamp of the latest message
	heard    time.Time     // the analyzer's clock at that message
	interval time.Duration // longest of the recent gaps by the sender's clock, 0 after a single message
	arrived  time.Duration // the same by the analyzer's clock
}

// holds reports whether the latest message is still valid. It uses the interval by the sender's clock, because messages
// that are read together arrive together. By this clock a message holds for at most singleHolds.
func (s *sender) holds(now time.Time) bool {
	if s.interval == 0 {
		return now.Sub(s.heard) <= singleHolds
	}
	return now.Sub(s.heard) <= max(intervalHold*s.arrived, min(intervalHold*s.interval, singleHolds))
}

func (t *Task) applyHealth(in Input, fx *Effects) {
	h, err := event.DecodeHealthStatus(in.Value)
	if err != nil {
		t.refuse(in, err, fx)
		return
	}
	if !t.mine(h.ServiceID) {
		t.forward(in, h.ServiceID, fx)
		return
	}
	i := t.instance(h.ServiceID, h.InstanceID, in.Now)
	if i == nil {
		return
	}
	at, clamped := clampFuture(h.Timestamp, in)
	if clamped {
		i.ignore(event.IgnoredFutureClamped, in.Now)
	}
	s := i.senders[in.Reporter]
	switch {
	case s == nil && in.Appended.Sub(at) > maxLate, s != nil && s.at.Sub(at) > maxLate:
		i.ignore(event.IgnoredLate, in.Now)
		return
	case s == nil && in.Reporter != event.ReporterSelf && len(i.senders) >= maxReporters:
		i.ignore(ignoredReporters, in.Now)
		return
	case s == nil:
		s = &sender{}
		i.senders[in.Reporter] = s
	case !at.After(s.at):
		i.ignore(event.IgnoredDuplicate, in.Now)
		return
	default:
		gap := at.Sub(s.at)
		if gap <= maxLate { // a longer gap is a pause, not an interval
			s.interval = min(max(gap, s.interval*3/4, time.Second), maxLate)
			s.arrived = min(max(in.Now.Sub(s.heard), s.arrived*3/4, time.Second), maxLate)
		}
	}
	s.status, s.at, s.heard = h.Status, at, in.Now
	if h.Status == event.StatusHealthy {
		i.proxied.PassedChecks++
	} else {
		i.proxied.FailedChecks++
	}
}

// checked is the combined result of an instance's senders.
type checked struct {
	known     bool
	status    string
	unhealthy int // senders that report UNHEALTHY
	senders   int
}

// checks combines the senders whose last message still holds. The first of these that applies is the result: DRAINING
// if any sender reports it; UNHEALTHY if at least half report it (one proxy may have lost its own network); DEGRADED if
// any sender reports less than HEALTHY.
func (i *instance) checks(now time.Time) checked {
	var c checked
	draining, lesser := false, false
	for _, name := range slices.Sorted(maps.Keys(i.senders)) {
		s := i.senders[name]
		if !s.holds(now) {
			continue
		}
		c.senders++
		switch s.status {
		case event.StatusUnhealthy:
			c.unhealthy++
			lesser = true
		case event.StatusDraining:
			draining = true
		case event.StatusDegraded:
			lesser = true
		}
	}
	c.known = c.senders > 0
	switch {
	case !c.known:
	case draining:
		c.status = event.StatusDraining
	case 2*c.unhealthy >= c.senders:
		c.status = event.StatusUnhealthy
	case lesser:
		c.status = event.StatusDegraded
	default:
		c.status = event.StatusHealthy
	}
	return c
}

// gate returns the highest score that the checks permit; without checks, the full score.
func (c checked) gate() float64 {
	switch c.status {
	case event.StatusUnhealthy, event.StatusDraining:
		return 0
	case event.StatusDegraded:
		return 0.5
	}
	return 1
}
