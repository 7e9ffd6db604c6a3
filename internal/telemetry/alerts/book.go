package alerts

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// Kept is the retention of the alerts topic: a book is filled with this much at the start.
const Kept = 30 * 24 * time.Hour

const (
	maxAlerts   = 10_000         // limit for alerts about configured instances
	maxOthers   = 1000           // limit for all other alerts, because invalid records could fill the topic
	maxListed   = 1000           // limit of active alerts for a page or the API, firing alerts first
	maxResolved = 1000           // limit of resolved alerts, the latest stay
	alertsLive  = 26 * time.Hour // active alerts are repeated each day; one that is not repeated is from an analyzer that no longer runs
)

// Book holds the latest state of every alert, the latest resolved alerts, and the topics that were recreated since the
// book was made.
type Book struct {
	// Configured reports whether an instance is configured; nil: no instance is. It is set before the first Take.
	Configured func(service, instance string) bool

	tail     atomic.Pointer[kafka.Tail] // of Follow; nil before it
	mu       sync.Mutex
	alerts   map[string]event.Alert // about configured instances
	others   map[string]event.Alert
	resolved []event.Alert // in order of arrival
	topics   map[string]time.Time
	unsigned map[string]time.Time // topics with records that were refused because of their signature
}

// New returns an empty book.
func New() *Book {
	return &Book{alerts: map[string]event.Alert{}, others: map[string]event.Alert{}, topics: map[string]time.Time{}, unsigned: map[string]time.Time{}}
}

// Take stores an alert. It ignores an alert that no analyzer can have written, judged by its dates or its fingerprint.
func (b *Book) Take(a event.Alert) {
	now := time.Now()
	if !rule.Believable(a, now) || a.Fingerprint != rule.Fingerprint(a.RuleID, a.Labels) {
		return
	}
	about := b.Configured != nil && rule.Known(a.RuleID) && len(a.Labels) == 2 && b.Configured(a.Labels["service"], a.Labels["instance"])
	b.mu.Lock()
	defer b.mu.Unlock()
	room, most := b.others, maxOthers
	if about {
		room, most = b.alerts, maxAlerts
	}
	was, known := room[a.Fingerprint]
	if known && was.AlertID == a.AlertID && was.Seq > a.Seq {
		return // repeated by an analyzer that took over the partition
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

// resolve stores a resolved alert, once.
func (b *Book) resolve(a event.Alert) {
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

// Active lists pending and firing alerts, firing first.
func (b *Book) Active() []event.Alert {
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

// Past lists the resolved alerts, latest first.
func (b *Book) Past() []event.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.resolved)
	slices.SortStableFunc(out, func(x, y event.Alert) int { return y.UpdatedAt.Compare(x.UpdatedAt) })
	return out
}

// recreatedHold is how long a recreated topic stays in the node's status, so
// that the alert has time to fire.
const recreatedHold = 5 * time.Minute

// Recreated stores the name of a topic that was created again.
func (b *Book) Recreated(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics[topic] = time.Now()
}

// RecreatedTopics returns the topics that were created again lately.
func (b *Book) RecreatedTopics() []string { return b.lately(b.topics) }

// Forged stores the name of a topic with a record that was refused because of its signature.
func (b *Book) Forged(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsigned[topic] = time.Now()
}

// UnsignedTopics returns the topics with a record that was refused lately because of its signature.
func (b *Book) UnsignedTopics() []string { return b.lately(b.unsigned) }

func (b *Book) lately(topics map[string]time.Time) []string {
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
