package app

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

const (
	maxAlerts   = 10_000              // about configured instances that are remembered, and
	maxOthers   = 1000                // about anything else, which a topic full of nonsense can fill
	maxListed   = 1000                // active ones that a page or the API gets, firing ones first
	maxResolved = 1000                // newest resolved ones that are remembered
	alertsKept  = 30 * 24 * time.Hour // the topic's retention: what is read at the start
	alertsLive  = 26 * time.Hour      // active ones are repeated each day; one that is not is of an analyzer that is gone
)

// alertBook holds the newest state of every alert, the newest resolved ones,
// and the topics that were recreated while we watched.
type alertBook struct {
	configured func(service, instance string) bool // nil: nothing is

	mu       sync.Mutex
	alerts   map[string]event.Alert // about configured instances
	others   map[string]event.Alert
	resolved []event.Alert // as they come, oldest first
	topics   map[string]time.Time
	unsigned map[string]time.Time // topics with records that were refused for their signature
}

func newAlertBook() *alertBook {
	return &alertBook{alerts: map[string]event.Alert{}, others: map[string]event.Alert{}, topics: map[string]time.Time{}, unsigned: map[string]time.Time{}}
}

// take remembers an alert. One that no analyzer can have written, by its dates
// or its fingerprint, is left out.
func (b *alertBook) take(a event.Alert) {
	now := time.Now()
	if !rule.Believable(a, now) || a.Fingerprint != rule.Fingerprint(a.RuleID, a.Labels) {
		return
	}
	about := b.configured != nil && rule.Known(a.RuleID) && len(a.Labels) == 2 && b.configured(a.Labels["service"], a.Labels["instance"])
	b.mu.Lock()
	defer b.mu.Unlock()
	room, most := b.others, maxOthers
	if about {
		room, most = b.alerts, maxAlerts
	}
	was, known := room[a.Fingerprint]
	if known && was.AlertID == a.AlertID && was.Seq > a.Seq {
		return // repeated by an analyzer that took over
	}
	delete(b.alerts, a.Fingerprint) // the configuration may have changed
	delete(b.others, a.Fingerprint)
	if a.Status == event.AlertResolved {
		b.resolve(a)
		return
	}
	if !known && len(room) >= most {
		maps.DeleteFunc(room, func(_ string, a event.Alert) bool { return now.Sub(a.UpdatedAt) >= alertsLive })
	}
	if known || len(room) < most {
		room[a.Fingerprint] = a
	}
}

// resolve remembers an alert that is over, once.
func (b *alertBook) resolve(a event.Alert) {
	for i := len(b.resolved) - 1; i >= max(0, len(b.resolved)-50); i-- {
		if b.resolved[i].AlertID == a.AlertID {
			b.resolved[i] = a
			return
		}
	}
	if len(b.resolved) >= maxResolved {
		b.resolved = append(b.resolved[:0], b.resolved[1:]...)
	}
	b.resolved = append(b.resolved, a)
}

// active lists pending and firing alerts, firing first.
func (b *alertBook) active() []event.Alert {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]event.Alert, 0, len(b.alerts)+len(b.others))
	for _, room := range []map[string]event.Alert{b.alerts, b.others} {
		for _, a := range room {
			if time.Since(a.UpdatedAt) < alertsLive {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, func(x, y event.Alert) int {
		if (x.Status == event.AlertFiring) != (y.Status == event.AlertFiring) {
			if x.Status == event.AlertFiring {
				return -1
			}
			return 1
		}
		return y.StartsAt.Compare(x.StartsAt)
	})
	return out[:min(len(out), maxListed)]
}

// past lists the resolved ones, newest first.
func (b *alertBook) past() []event.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.resolved)
	slices.SortStableFunc(out, func(x, y event.Alert) int { return y.UpdatedAt.Compare(x.UpdatedAt) })
	return out
}

// silenced adds the silence that holds for each alert.
func silenced(alerts []event.Alert, silences []configlog.Silence) []api.Alert {
	now := time.Now()
	out := make([]api.Alert, 0, len(alerts))
	for _, a := range alerts {
		v := api.Alert{Alert: a}
		if s, ok := configlog.Silenced(silences, a, now); ok && a.Status != event.AlertResolved {
			v.Silence = &s
		}
		out = append(out, v)
	}
	return out
}

// listAlerts answers the API. Silences come from the log that this node
// follows, else from the one that is read while somebody looks.
func (a *App) listAlerts(ctx context.Context, past bool) ([]api.Alert, error) {
	all := a.alerts.active()
	if past {
		all = append(all, a.alerts.past()...)
	}
	if a.control != nil {
		return silenced(all, a.control.Status().Silences), nil
	}
	s, err := a.configLog.State(ctx)
	return silenced(all, s.Silences), err
}

// unsigned tells of a record that no known key signed, where there are keys: it
// is counted, and the node's status names its topic.
func (a *App) unsigned(r kafka.Record) bool {
	by := a.kafka.Verify(r)
	if !by.Refused() {
		return false
	}
	a.kafka.Skips.Add(r, by.State.String(), a.o.Log)
	a.alerts.forged(r.Topic)
	return true
}

// recreatedHold is how long a recreated topic stays in the node's status, so
// that the alert has time to fire.
const recreatedHold = 5 * time.Minute

func (b *alertBook) recreated(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics[topic] = time.Now()
}

func (b *alertBook) recreatedTopics() []string { return b.lately(b.topics) }

// forged remembers a topic with a record that was refused for its signature.
func (b *alertBook) forged(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsigned[topic] = time.Now()
}

func (b *alertBook) unsignedTopics() []string { return b.lately(b.unsigned) }

func (b *alertBook) lately(topics map[string]time.Time) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for t, at := range topics {
		if time.Since(at) < recreatedHold {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

// followAlerts keeps the alert book equal to the topic.
func (a *App) followAlerts(ctx context.Context) error {
	tail, err := kafka.NewTail(a.kafka, kafka.TailConfig{
		Topics: []string{event.TopicAlerts}, From: kafka.FromAgo(alertsKept),
		OnReset: func(topic string, why kafka.ResetReason) { a.alerts.recreated(topic) },
	}, a.o.Log)
	if err != nil {
		return err
	}
	a.following.Store(tail)
	return tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			if alert, err := event.DecodeAlert(r.Value); err == nil && !a.unsigned(r) {
				a.alerts.take(alert)
			}
		}
	})
}
