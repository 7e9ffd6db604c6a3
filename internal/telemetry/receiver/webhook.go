package receiver

import (
	"context"
	"maps"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
)

// webhook sends the JSON of Alertmanager's webhooks, version 4.
type webhook struct {
	web
	links links
	name  string
}

// hookPayload is what Alertmanager sends to a webhook.
type hookPayload struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []hookAlert       `json:"alerts"`
}

type hookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // year 1 while it fires
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

func (w *webhook) send(ctx context.Context, m grouping.Message, s *secrets) error {
	_, err := w.post(ctx, "", hookOf(m, w.name, w.links), s)
	return err
}

func hookOf(m grouping.Message, receiver string, l links) hookPayload {
	listed := m.Alerts[:min(len(m.Alerts), maxListed)]
	out := hookPayload{
		Version: "4", GroupKey: m.Key, TruncatedAlerts: len(m.Alerts) - len(listed), Status: event.AlertResolved, Receiver: receiver,
		GroupLabels: bounded(maps.Clone(m.Labels)), ExternalURL: l.console,
	}
	if m.Firing() > 0 {
		out.Status = event.AlertFiring
	}
	for _, a := range listed {
		h := hookAlert{
			Status: a.Status, Labels: bounded(grouping.Labels(a)), Annotations: annotations(a, l), StartsAt: grouping.Began(a),
			GeneratorURL: l.alert(a), Fingerprint: a.Fingerprint,
		}
		if a.Status == event.AlertResolved {
			h.EndsAt = a.EndsAt
		}
		out.Alerts = append(out.Alerts, h)
		out.CommonLabels, out.CommonAnnotations = common(out.CommonLabels, h.Labels), common(out.CommonAnnotations, h.Annotations)
	}
	return out
}

// annotations returns the texts of an alert.
func annotations(a event.Alert, l links) map[string]string {
	out := map[string]string{"summary": summaryOf(a)}
	if a.Annotations.Description != "" {
		out["description"] = cut(a.Annotations.Description, 5*maxValue)
	}
	if runbook := l.runbookOf(a); runbook != "" {
		out["runbook_url"] = runbook
	}
	return out
}

// bounded cuts the values of labels.
func bounded(labels map[string]string) map[string]string {
	for k, v := range labels {
		labels[k] = cut(v, maxValue)
	}
	return labels
}

// common returns the pairs that are in both maps; so far is nil before the first.
func common(sofar, next map[string]string) map[string]string {
	if sofar == nil {
		return maps.Clone(next)
	}
	maps.DeleteFunc(sofar, func(k, v string) bool { have, ok := next[k]; return !ok || have != v })
	return sofar
}
