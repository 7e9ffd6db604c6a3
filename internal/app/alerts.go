package app

import (
	"context"
	"time"

	"github.com/smartlb/smartlb/internal/console/api"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/alerts"
)

// silenced adds the silence in effect to each alert.
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

// listAlerts returns the alerts for the API. The silences come from the log that this node follows. A node that follows
// no log reads the silences on demand.
func (a *App) listAlerts(ctx context.Context, past bool) ([]api.Alert, error) {
	all := a.alerts.Active()
	if past {
		all = append(all, a.alerts.Past()...)
	}
	if a.control != nil {
		return silenced(all, a.control.Status().Silences), nil
	}
	s, err := a.configLog.State(ctx)
	return silenced(all, s.Silences), err
}

// unsigned reports whether a record must be refused because no known key signed it; without keys it returns false.
// Refused records are counted, and the node's status names their topic.
func (a *App) unsigned(r kafka.Record) bool {
	by := a.kafka.Verify(r)
	if !by.Refused() {
		return false
	}
	a.kafka.Skips.Add(r, by.State.String(), a.o.Log)
	a.alerts.Forged(r.Topic)
	return true
}

// followAlerts keeps the alert book equal to the topic until ctx ends.
func (a *App) followAlerts(ctx context.Context) error {
	tail, err := kafka.NewTail(a.kafka, kafka.TailConfig{
		Topics: []string{event.TopicAlerts}, From: kafka.FromAgo(alerts.Kept),
		OnReset: func(topic string, why kafka.ResetReason) { a.alerts.Recreated(topic) },
	}, a.o.Log)
	if err != nil {
		return err
	}
	a.following.Store(tail)
	return tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			if alert, err := event.DecodeAlert(r.Value); err == nil && !a.unsigned(r) {
				a.alerts.Take(alert)
			}
		}
	})
}
