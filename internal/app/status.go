package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// statusInterval is how often a node says that it is there.
const statusInterval = 5 * time.Second

// publishStatus writes the node's status until ctx ends.
func (a *App) publishStatus(ctx context.Context) error {
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	soon := time.NewTimer(300 * time.Millisecond) // the first once listeners and configuration are known
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-soon.C:
		case <-ticker.C:
		}
		s := a.status()
		a.producer.Send(kafka.Record{Topic: event.TopicNodeStatus, Key: []byte(a.node), Value: s.AppendJSON(nil)})
	}
}

func (a *App) status() event.NodeStatus {
	s := event.NodeStatus{
		Timestamp: time.Now().UTC(), Node: a.node, Roles: a.o.Roles, Version: a.o.Version, StartedAt: a.started.UTC(),
		AdminURL: a.url("admin"), ConsoleURL: a.url("console"), ConfigState: event.ConfigNone, Drops: a.drops(),
		RecreatedTopics: a.alerts.recreatedTopics(),
	}
	if a.control != nil {
		c := a.control.Status()
		s.ConfigState, s.Revision, s.RefusedRevision, s.Errors, s.Overrides, s.LostLog = c.State, c.Revision, c.RefusedRevision, c.Errors, c.Overrides, c.LostLog
	}
	if a.data != nil {
		s.PanicServices = a.data.keeper.Panicking()
	}
	return s
}

// drops counts what was lost, by queue; only queues that lost something.
func (a *App) drops() map[string]uint64 {
	out := map[string]uint64{}
	add := func(name string, n uint64) {
		if n > 0 {
			out[name] = n
		}
	}
	if a.producer != nil {
		for topic, t := range a.producer.Stats().Topics {
			for reason, n := range t.Dropped {
				add(fmt.Sprintf("kafka %s %s", topic, reason), n)
			}
		}
		add("audit queue full", a.audit.Dropped())
	}
	if a.data != nil {
		add("access log ring full", a.data.proxy.Stats().AccessLogDropped)
		if r := a.data.reporter; r != nil {
			s := r.Stats()
			add("decision ring full", s.RingFull)
			add("decision rate cap", s.RateCapped)
			add("change queue full", s.ChangesLost)
		}
	}
	return out
}

// maxAlerts bounds what a topic full of nonsense can make us remember.
const maxAlerts = 10_000

// alertBook holds the newest state of every alert, and the topics that were
// recreated while we watched.
type alertBook struct {
	mu     sync.Mutex
	alerts map[string]event.Alert
	topics map[string]time.Time
}

func newAlertBook() *alertBook {
	return &alertBook{alerts: map[string]event.Alert{}, topics: map[string]time.Time{}}
}

func (b *alertBook) take(a event.Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Status == event.AlertResolved {
		delete(b.alerts, a.Fingerprint)
		return
	}
	if _, known := b.alerts[a.Fingerprint]; known || len(b.alerts) < maxAlerts {
		b.alerts[a.Fingerprint] = a
	}
}

// active lists pending and firing alerts, firing first.
func (b *alertBook) active() []event.Alert {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]event.Alert, 0, len(b.alerts))
	for _, a := range b.alerts {
		out = append(out, a)
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
	return out
}

// recreatedHold is how long a recreated topic stays in the node's status, so
// that the alert has time to fire.
const recreatedHold = 5 * time.Minute

func (b *alertBook) recreated(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics[topic] = time.Now()
}

func (b *alertBook) recreatedTopics() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for t, at := range b.topics {
		if time.Since(at) < recreatedHold {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

// followAlerts keeps the alert book equal to the topic; active alerts are
// repeated each day, so a day and a bit is enough of the past.
func (a *App) followAlerts(ctx context.Context) error {
	tail, err := kafka.NewTail(a.kafka, kafka.TailConfig{
		Topics: []string{event.TopicAlerts}, From: kafka.FromAgo(26 * time.Hour),
		OnReset: func(topic string, why kafka.ResetReason) { a.alerts.recreated(topic) },
	}, a.o.Log)
	if err != nil {
		return err
	}
	return tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			if alert, err := event.DecodeAlert(r.Value); err == nil {
				a.alerts.take(alert)
			}
		}
	})
}
