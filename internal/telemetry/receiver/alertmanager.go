package receiver

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
)

// alertmanager posts alerts to the API of an Alertmanager.
type alertmanager struct {
	web
	links links
}

// alertsPath is the call of Alertmanager's API that takes alerts.
const alertsPath = "/api/v2/alerts"

// maxPosted limits the alerts of one request, as Prometheus does.
const maxPosted = 64

// postableAlert is an alert as Alertmanager takes it.
type postableAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// send posts the alerts in parts. A part that failed fails the message, which may be sent again as a whole.
func (am *alertmanager) send(ctx context.Context, m grouping.Message, s *secrets) error {
	for part := range slices.Chunk(m.Alerts, maxPosted) {
		out := make([]postableAlert, len(part))
		for i, a := range part {
			out[i] = am.postable(a, m.At)
		}
		if _, err := am.post(ctx, alertsPath, out, s); err != nil {
			return err
		}
	}
	return nil
}

func (am *alertmanager) postable(a event.Alert, now time.Time) postableAlert {
	out := postableAlert{
		Labels: prometheusLabels(grouping.Labels(a)), Annotations: annotations(a, am.links), StartsAt: grouping.Began(a),
		EndsAt: now.Add(grouping.FeedValid), GeneratorURL: am.links.alert(a),
	}
	if a.Status == event.AlertResolved {
		out.EndsAt = a.EndsAt
	}
	return out
}

// prometheusLabels returns labels with names that Prometheus permits and values that are not empty. Of two names that
// become equal, the first in the order of the alphabet stays.
func prometheusLabels(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := cut(strings.ToValidUTF8(labels[name], "?"), maxValue)
		valid := labelName(name)
		if _, taken := out[valid]; taken && valid != name {
			continue
		}
		if value != "" {
			out[valid] = value
		}
	}
	return out
}

// labelName replaces characters that the name of a label must not have. Names with two underscores at the beginning are
// reserved.
func labelName(s string) string {
	var b strings.Builder
	for i, r := range cut(s, 100) {
		switch {
		case r == '_', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', i > 0 && r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= '0' && r <= '9':
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	name := b.String()
	if name == "" || strings.HasPrefix(name, "__") {
		return "label_" + strings.TrimLeft(name, "_")
	}
	return name
}
