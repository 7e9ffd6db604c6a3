package grouping

import (
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

// Config are the settings of Groups.
type Config struct {
	By          []string      // labels that make a group
	Wait        time.Duration // from a change of an alert to the message about it
	Interval    time.Duration // shortest time between two messages about a group
	Repeat      time.Duration // after which a message about alerts that still fire is repeated
	MinSeverity string        // alerts below it are ignored
	Resolved    bool          // send messages about alerts that ended
}

// Groups is the state of a receiver that people read. Its rules:
//
//   - A change of an alert (it fires, it ends) is due Wait after the change, and Interval after the last message about its
//     group, whichever is later. A message has all alerts of its group that fire, and those that ended since.
//   - While an alert of a group fires and nothing changes, the message is repeated after Repeat.
//   - The end of an alert is reported only if the receiver knows the alert, or may know it, because a message failed
//     after it was sent, or was due and could not be sent.
//   - No message mentions an alert that is silenced. Once the silence ends, the state at that time counts as a change if
//     the receiver knows another state.
type Groups struct {
	c       Config
	entries map[string]*entry // by fingerprint
	groups  map[string]*group // by key
	mutes   mutes
	dropped uint64
	missed  uint64
}

type entry struct {
	alert   event.Alert
	changed time.Time // when its status changed, by this node's clock
	since   time.Time // date of the first change that the receiver did not acknowledge; zero: it knows the state
	acked   string    // status that the receiver acknowledged; empty: none
	ackedID string    // alertId of it
	tried   bool      // the receiver may know that it fires, without an acknowledgement
	muted   time.Time // end of its silence; zero: not silenced
	group   *group
}

type group struct {
	key      string
	labels   map[string]string
	entries  map[string]*entry
	last     time.Time // last message that was delivered; zero: none
	retryAt  time.Time // after a failure
	inFlight bool
}

var _ Machine = (*Groups)(nil)

// New returns the state of a receiver that knows no alert.
func New(c Config) *Groups {
	return &Groups{c: c, entries: map[string]*entry{}, groups: map[string]*group{}}
}

// Apply takes the new state of an alert.
func (m *Groups) Apply(a event.Alert, now time.Time) {
	if a.Status == event.AlertPending || !atLeast(a, m.c.MinSeverity) {
		return
	}
	e := m.entries[a.Fingerprint]
	if e == nil {
		if a.Status == event.AlertFiring {
			m.add(a, now)
		}
		return
	}
	same := e.alert.AlertID == a.AlertID
	if same && a.Seq < e.alert.Seq || !same && a.StartsAt.Before(e.alert.StartsAt) {
		return // repeated by an analyzer that took over
	}
	if same && a.Status == e.alert.Status {
		e.alert = a
		return
	}
	if a.Status == event.AlertResolved && m.overdue(e, now) {
		e.tried = true // the message about it is late: the receiver gets to know both, beginning and end
	}
	m.update(e, a, now)
	if a.Status == event.AlertResolved && !m.needs(e) {
		if e.tried && e.acked != event.AlertFiring && !e.group.inFlight {
			m.missed++
		}
		m.remove(e)
	}
}

// add begins with an alert that is not known. It returns nil if there are too many.
func (m *Groups) add(a event.Alert, now time.Time) *entry {
	if len(m.entries) >= maxAlerts {
		m.dropped++
		return nil
	}
	e := &entry{group: m.groupOf(a)}
	m.update(e, a, now)
	m.entries[a.Fingerprint], e.group.entries[a.Fingerprint] = e, e
	return e
}

// update takes another status of an alert.
func (m *Groups) update(e *entry, a event.Alert, now time.Time) {
	e.alert, e.changed, e.muted = a, earlier(changed(a), now), m.mutes.until(a, now)
	if e.since.IsZero() {
		e.since = changed(a)
	}
}

// groupOf returns the group of an alert. Beyond maxGroups, alerts share one more group: the labels of alerts may come
// from any client of Kafka.
func (m *Groups) groupOf(a event.Alert) *group {
	key, labels := keyOf(a, m.c.By)
	if m.groups[key] == nil && len(m.groups) >= maxGroups {
		key, labels = otherGroups, map[string]string{}
	}
	g := m.groups[key]
	if g == nil {
		g = &group{key: key, labels: labels, entries: map[string]*entry{}}
		m.groups[key] = g
	}
	return g
}

// otherGroups is the key of the group of all alerts beyond maxGroups.
const otherGroups = "{}:{} others"

func (m *Groups) remove(e *entry) {
	delete(m.entries, e.alert.Fingerprint)
	delete(e.group.entries, e.alert.Fingerprint)
}

// needs reports whether the receiver does not know the state of an alert.
func (m *Groups) needs(e *entry) bool {
	if e.alert.Status == event.AlertFiring {
		return e.acked != event.AlertFiring || e.ackedID != e.alert.AlertID
	}
	return m.c.Resolved && (e.acked == event.AlertFiring || e.tried)
}

// due returns when a change is due, without regard to failures and silences.
func (m *Groups) due(e *entry) time.Time {
	at := e.changed.Add(m.c.Wait)
	if g := e.group; !g.last.IsZero() {
		at = later(at, g.last.Add(m.c.Interval))
	}
	return at
}

// overdue reports whether an alert fires, and the message that says so should have been delivered by now.
func (m *Groups) overdue(e *entry, now time.Time) bool {
	return e.alert.Status == event.AlertFiring && m.needs(e) && !e.silenced(now) && !m.due(e).After(now)
}

func (e *entry) silenced(now time.Time) bool { return now.Before(e.muted) }

// Silence replaces the silences.
func (m *Groups) Silence(silences []configlog.Silence, now time.Time) {
	m.mutes = silences
	for _, e := range m.entries {
		e.muted = m.mutes.until(e.alert, now)
	}
}

// Take returns the message that is due for the longest time.
func (m *Groups) Take(now time.Time) (Message, bool) {
	var next *group
	var when time.Time
	for key, g := range m.groups {
		if len(g.entries) == 0 && !g.inFlight && !now.Before(g.last.Add(m.c.Interval)) {
			delete(m.groups, key)
			continue
		}
		at, ok := m.dueOf(g, now)
		if ok && !at.After(now) && (next == nil || at.Before(when) || at.Equal(when) && g.key < next.key) {
			next, when = g, at
		}
	}
	if next == nil {
		return Message{}, false
	}
	return m.message(next, now), true
}

// dueOf returns when the next message about a group is due.
func (m *Groups) dueOf(g *group, now time.Time) (at time.Time, ok bool) {
	if g.inFlight {
		return at, false
	}
	for _, e := range g.entries {
		switch {
		case e.alert.Status == event.AlertFiring && now.Sub(e.alert.UpdatedAt) >= staleTime:
			m.remove(e)
		case e.silenced(now):
		case m.needs(e):
			if d := m.due(e); !ok || d.Before(at) {
				at, ok = d, true
			}
		default:
			if d := g.last.Add(m.c.Repeat); !ok || d.Before(at) {
				at, ok = d, true
			}
		}
	}
	return later(at, g.retryAt), ok
}

func (m *Groups) message(g *group, now time.Time) Message {
	out := Message{Key: g.key, Labels: g.labels, At: now, group: g}
	for _, e := range g.entries {
		if e.silenced(now) || e.alert.Status == event.AlertResolved && !m.needs(e) {
			continue
		}
		if e.alert.Status == event.AlertFiring && m.needs(e) {
			e.tried = true
		}
		out.Alerts = append(out.Alerts, e.alert)
		out.taken = append(out.taken, taken{e.alert.Fingerprint, e.alert.AlertID, e.alert.Status})
	}
	order(out.Alerts)
	g.inFlight = true
	return out
}

// Settle tells the result of a message.
func (m *Groups) Settle(msg Message, now time.Time, delivered bool, retryAt time.Time) {
	g := msg.group
	g.inFlight = false
	if !delivered {
		g.retryAt = retryAt
		return
	}
	g.last, g.retryAt = now, time.Time{}
	for _, t := range msg.taken {
		e := m.entries[t.fingerprint]
		if e == nil {
			continue // it ended in the meantime, and the receiver does not want to know
		}
		e.acked, e.ackedID, e.tried = t.status, t.alertID, false
		if m.needs(e) {
			continue
		}
		if e.since = (time.Time{}); e.alert.Status == event.AlertResolved {
			m.remove(e)
		}
	}
}

// Mark returns what the next sender must know.
func (m *Groups) Mark(now time.Time) Mark {
	out := Mark{At: now}
	for _, e := range m.entries {
		if !m.needs(e) {
			continue
		}
		since := &out.Since
		if e.silenced(now) {
			since = &out.Silenced
		}
		*since = earliest(*since, e.since)
	}
	return out
}

// Stats returns counts for operators.
func (m *Groups) Stats() Stats {
	return Stats{Alerts: len(m.entries), Dropped: m.dropped, Missed: m.missed}
}

// Recall takes a state of an alert from before mark, in the order of the log. The receiver knows that state, unless the
// mark says that it may not: the message is then sent, perhaps for the second time.
func (m *Groups) Recall(a event.Alert, mark Mark, now time.Time) {
	if a.Status == event.AlertPending || !atLeast(a, m.c.MinSeverity) {
		return
	}
	e := m.entries[a.Fingerprint]
	if e != nil && (e.alert.AlertID != a.AlertID && a.StartsAt.Before(e.alert.StartsAt) || e.alert.AlertID == a.AlertID && a.Seq < e.alert.Seq) {
		return
	}
	if a.Status == event.AlertResolved {
		m.recallEnd(e, a, mark, now)
		return
	}
	switch {
	case e == nil:
		if e = m.add(a, now); e == nil {
			return
		}
	case e.alert.AlertID == a.AlertID && e.alert.Status == a.Status:
		e.alert = a // published again
		return
	default:
		m.update(e, a, now)
	}
	switch {
	case mark.At.IsZero():
	case m.unsettled(a, mark):
		// A message about another alert of the group may have mentioned it, before it was due itself.
		e.tried = e.tried || !m.mutes.throughout(a, Began(a), mark.At)
	default:
		e.acked, e.ackedID, e.tried, e.since = event.AlertFiring, a.AlertID, false, time.Time{}
		e.group.last = later(e.group.last, phase(Began(a).Add(m.c.Wait), m.c.Repeat, mark.At))
	}
}

// recallEnd takes the end of an alert.
func (m *Groups) recallEnd(e *entry, a event.Alert, mark Mark, now time.Time) {
	if e == nil {
		return
	}
	m.update(e, a, now)
	if mark.At.IsZero() || !m.unsettled(a, mark) || !m.needs(e) {
		m.remove(e)
	}
}

// unsettled reports whether the receiver may not know the state of an alert.
func (m *Groups) unsettled(a event.Alert, mark Mark) bool {
	since := mark.Since
	if m.mutes.covered(a, mark.At) {
		since = earliest(mark.Since, mark.Silenced)
	}
	return !since.IsZero() && !changed(a).Before(since)
}

// covered reports whether a silence covered an alert at a time before now, or may have, because nodes learn of silences
// at different times.
func (m mutes) covered(a event.Alert, t time.Time) bool {
	const margin = time.Minute
	for _, s := range m {
		if !s.Since.After(t) && s.EndsAt.Add(margin).After(t) && s.Covers(a) {
			return true
		}
	}
	return false
}

// throughout reports whether one silence covered an alert from one time to the other.
func (m mutes) throughout(a event.Alert, from, to time.Time) bool {
	for _, s := range m {
		if !s.Since.After(from) && s.EndsAt.After(to) && s.Covers(a) {
			return true
		}
	}
	return false
}

// phase returns the last of the times first, first + step, first + 2 step ... that is not after now. Repeated messages
// keep their rhythm by it when another node takes over.
func phase(first time.Time, step time.Duration, now time.Time) time.Time {
	if passed := now.Sub(first); passed > 0 {
		return first.Add(passed / step * step)
	}
	return now
}

// earliest returns the earlier time. Zero is no time.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
