package analysis

import (
	"maps"
	"slices"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// A health-status message holds for three intervals of its sender, or this long when it was the sender's only one.
const (
	singleHolds  = 30 * time.Second
	intervalHold = 3
)

// sender is who checks an instance's health: a proxy's probe, or anything else.
type sender struct {
	status   string
	at       time.Time     // timestamp of the newest message
	heard    time.Time     // our clock then
	interval time.Duration // longest of the recent gaps by its clock, 0 after a single message
	arrived  time.Duration // and by ours
}

// holds asks the sender's clock for its interval, because messages that are read in one go arrive together; it cannot
// make two messages hold longer than one.
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
		if gap <= maxLate { // a longer one is a pause, not an interval
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

// checked is what those who check an instance say together.
type checked struct {
	known     bool
	status    string
	unhealthy int // senders that say UNHEALTHY
	senders   int
}

// checks joins the senders whose last message still holds: UNHEALTHY when at least half of them say so (one proxy
// may have lost its own network), DRAINING when anyone does, DEGRADED when anyone says less than HEALTHY.
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

// gate returns what the checks allow of a score; without checks, all.
func (c checked) gate() float64 {
	switch c.status {
	case event.StatusUnhealthy, event.StatusDraining:
		return 0
	case event.StatusDegraded:
		return 0.5
	}
	return 1
}
