package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Again is how often an active alert is published again. The topic keeps 30 days; a reader that starts one day back
// must find all problems that persist.
const Again = 24 * time.Hour

// maxRestored limits the alerts that an engine restores from a full topic.
const maxRestored = 20_000

// Engine holds the active alerts. The zero value has none. It is not safe for concurrent use.
type Engine struct {
	alerts map[string]*active
	seq    uint64
}

type active struct {
	event.Alert
	wait      time.Duration // the rule's For
	keep      time.Duration
	goodSince time.Time // first good judgement after the last bad one
	published time.Time
}

// Judge processes one judgement. It returns the alert and true if the alert changed its status.
func (e *Engine) Judge(j Judgement, now time.Time) (event.Alert, bool) {
	fingerprint := Fingerprint(j.Rule.ID, j.Labels)
	a := e.alerts[fingerprint]
	switch {
	case a == nil && j.Verdict == Bad:
		return e.begin(fingerprint, j, now), true
	case a == nil:
		return event.Alert{}, false
	}
	a.wait, a.keep = j.Rule.For, j.Rule.Keep // a restored alert does not have them
	switch j.Verdict {
	case Bad:
		a.goodSince = time.Time{}
		a.Value = j.Value
		a.Annotations = event.Annotations{Summary: cut(j.Summary, maxSummary), Description: cut(j.Description, maxDescription)}
		if a.Status == event.AlertPending && now.Sub(a.StartsAt) >= a.wait {
			return e.move(a, event.AlertFiring, now), true
		}
	case Good:
		if a.goodSince.IsZero() {
			a.goodSince = now
		}
		if a.Status == event.AlertPending || now.Sub(a.goodSince) >= a.keep {
			return e.move(a, event.AlertResolved, now), true
		}
	case Unsure:
		// A cause that was seen and not refuted persists: the waiting time ends without new data too. A good judgement
		// followed by missing data resolves nothing.
		a.goodSince = time.Time{}
		if a.Status == event.AlertPending && now.Sub(a.StartsAt) >= a.wait {
			return e.move(a, event.AlertFiring, now), true
		}
	}
	return event.Alert{}, false
}

// Due returns the active alerts that were not published for a day.
func (e *Engine) Due(now time.Time) []event.Alert {
	var out []event.Alert
	for _, fingerprint := range slices.Sorted(maps.Keys(e.alerts)) {
		if a := e.alerts[fingerprint]; now.Sub(a.published) >= Again {
			out = append(out, e.publish(a, now))
		}
	}
	return out
}

// Len is the number of active alerts.
func (e *Engine) Len() int { return len(e.alerts) }

// Has reports whether the alert of a judgement is active.
func (e *Engine) Has(j Judgement) bool { return e.alerts[Fingerprint(j.Rule.ID, j.Labels)] != nil }

// Active returns the active alerts, sorted by fingerprint.
func (e *Engine) Active() []event.Alert {
	var out []event.Alert
	for _, fingerprint := range slices.Sorted(maps.Keys(e.alerts)) {
		out = append(out, e.alerts[fingerprint].Alert)
	}
	return out
}

// Restore processes a message of the alerts topic, in any order: the highest seq of a fingerprint counts. Later
// sequence numbers are above all of them.
func (e *Engine) Restore(a event.Alert) {
	if e.alerts[a.Fingerprint] == nil && len(e.alerts) >= maxRestored {
		return
	}
	e.seq = max(e.seq, a.Seq)
	have := e.alerts[a.Fingerprint]
	if have != nil && have.Seq > a.Seq {
		return
	}
	// A resolved alert is kept as a mark until Settle, so that an older message does not activate it again.
	e.put(&active{Alert: a, published: a.UpdatedAt})
}

// Settle ends a restoration: it drops the marks of resolved alerts.
func (e *Engine) Settle() {
	maps.DeleteFunc(e.alerts, func(_ string, a *active) bool { return a.Status == event.AlertResolved })
}

func (e *Engine) put(a *active) {
	if e.alerts == nil {
		e.alerts = map[string]*active{}
	}
	e.alerts[a.Fingerprint] = a
}

func (e *Engine) begin(fingerprint string, j Judgement, now time.Time) event.Alert {
	a := &active{
		Alert: event.Alert{
			Fingerprint: fingerprint, AlertID: fingerprint + "-" + strconv.FormatInt(now.UnixMilli(), 10),
			RuleID: j.Rule.ID, Status: event.AlertPending, Severity: j.Rule.Severity, Labels: maps.Clone(j.Labels),
			Annotations: event.Annotations{Summary: cut(j.Summary, maxSummary), Description: cut(j.Description, maxDescription)},
			Value:       j.Value, Threshold: j.Rule.Threshold, Unit: j.Rule.Unit, StartsAt: now.UTC(),
		},
		wait: j.Rule.For, keep: j.Rule.Keep,
	}
	e.put(a)
	if j.Rule.For == 0 {
		return e.move(a, event.AlertFiring, now)
	}
	return e.publish(a, now)
}

func (e *Engine) move(a *active, status string, now time.Time) event.Alert {
	a.Status = status
	switch status {
	case event.AlertFiring:
		a.FiredAt = now.UTC()
	case event.AlertResolved:
		a.EndsAt = now.UTC()
		delete(e.alerts, a.Fingerprint)
	}
	return e.publish(a, now)
}

// publish sets the alert's time and sequence number. Sequence numbers are milliseconds, or one more than the last
// number if that is higher, so that they also increase across takeovers.
func (e *Engine) publish(a *active, now time.Time) event.Alert {
	e.seq = max(e.seq+1, uint64(max(now.UnixMilli(), 0)))
	a.Seq, a.UpdatedAt, a.published = e.seq, now.UTC(), now
	return a.Alert
}

// Fingerprint identifies an alert: the same rule and labels, in any order, give the same fingerprint.
func Fingerprint(ruleID string, labels map[string]string) string {
	h := sha256.New()
	write := func(s string) {
		h.Write([]byte(strconv.Itoa(len(s)))) // lengths separate neighbouring fields
		h.Write([]byte{':'})
		h.Write([]byte(s))
	}
	write(ruleID)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		write(k)
		write(labels[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
