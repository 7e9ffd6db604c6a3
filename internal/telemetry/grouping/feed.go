package grouping

import (
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

// Times of a Feed, as Prometheus has them.
const (
	feedAgain = time.Minute      // how often every alert is sent again
	FeedValid = 4 * feedAgain    // how long an Alertmanager believes an alert that is not sent again
	feedEnded = 15 * time.Minute // how long the end of an alert is sent again
)

// Feed is the state of an Alertmanager: a change is due at once, and every alert is sent again each minute. A silenced
// alert is not sent, so an Alertmanager resolves it. Feed needs no mark: a message twice has no effect.
type Feed struct {
	least   string
	entries map[string]*entry
	mutes   mutes
	last    time.Time // last time that every alert was delivered
	retryAt time.Time
	all     bool // the message in flight has every alert
	dropped uint64
}

var _ Machine = (*Feed)(nil)

// NewFeed returns the state of an Alertmanager that knows no alert. Alerts below the severity least are ignored.
func NewFeed(least string) *Feed { return &Feed{least: least, entries: map[string]*entry{}} }

// Apply takes the new state of an alert.
func (f *Feed) Apply(a event.Alert, now time.Time) {
	if a.Status == event.AlertPending || !atLeast(a, f.least) {
		return
	}
	e := f.entries[a.Fingerprint]
	if e == nil {
		if a.Status == event.AlertResolved {
			return
		}
		f.add(a, now)
		return
	}
	same := e.alert.AlertID == a.AlertID
	if same && a.Seq < e.alert.Seq || !same && a.StartsAt.Before(e.alert.StartsAt) {
		return
	}
	e.alert, e.muted = a, f.mutes.until(a, now)
}

func (f *Feed) add(a event.Alert, now time.Time) {
	if len(f.entries) >= maxAlerts {
		f.dropped++
		return
	}
	f.entries[a.Fingerprint] = &entry{alert: a, muted: f.mutes.until(a, now)}
}

// Recall takes a state of an alert from before mark, in the order of the log.
func (f *Feed) Recall(a event.Alert, mark Mark, now time.Time) {
	f.Apply(a, now)
	if e := f.entries[a.Fingerprint]; e != nil && e.alert.Status == event.AlertResolved && (mark.At.IsZero() || now.Sub(a.EndsAt) >= feedEnded) {
		delete(f.entries, a.Fingerprint)
	}
}

// Silence replaces the silences.
func (f *Feed) Silence(silences []configlog.Silence, now time.Time) {
	f.mutes = silences
	for _, e := range f.entries {
		e.muted = f.mutes.until(e.alert, now)
	}
}

// Take returns the alerts that changed, or each minute every alert.
func (f *Feed) Take(now time.Time) (Message, bool) {
	if now.Before(f.retryAt) {
		return Message{}, false
	}
	out := Message{At: now}
	f.all = now.Sub(f.last) >= feedAgain
	for fingerprint, e := range f.entries {
		switch {
		case e.alert.Status == event.AlertResolved && now.Sub(e.alert.EndsAt) >= feedEnded,
			e.alert.Status == event.AlertFiring && now.Sub(e.alert.UpdatedAt) >= staleTime:
			delete(f.entries, fingerprint)
		case e.silenced(now):
			e.acked = "" // after the silence it is sent at once
		case f.all || e.acked != e.alert.Status || e.ackedID != e.alert.AlertID:
			out.Alerts = append(out.Alerts, e.alert)
			out.taken = append(out.taken, taken{e.alert.Fingerprint, e.alert.AlertID, e.alert.Status})
		}
	}
	order(out.Alerts)
	return out, len(out.Alerts) > 0
}

// Settle tells the result of a message.
func (f *Feed) Settle(m Message, now time.Time, delivered bool, retryAt time.Time) {
	if !delivered {
		f.retryAt = retryAt
		return
	}
	f.retryAt = time.Time{}
	if f.all {
		f.last = now
	}
	for _, t := range m.taken {
		if e := f.entries[t.fingerprint]; e != nil {
			e.acked, e.ackedID = t.status, t.alertID
		}
	}
}

// Mark says that the receiver is known: the next sender sends every alert.
func (f *Feed) Mark(now time.Time) Mark { return Mark{At: now} }

// Stats returns counts for operators.
func (f *Feed) Stats() Stats { return Stats{Alerts: len(f.entries), Dropped: f.dropped} }
