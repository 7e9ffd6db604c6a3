package receiver

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/telemetry/grouping"
	"github.com/smartlb/smartlb/internal/telemetry/rule"
)

// maxListed limits the alerts that one message describes; it counts the others.
const maxListed = 100

// maxValue limits a label or an annotation in a message, in bytes. Alerts on Kafka may have longer ones.
const maxValue = 1 << 10

// links makes the addresses in messages.
type links struct{ console, runbook string }

// alert returns the page of the console that shows an alert; empty without a console.
func (l links) alert(a event.Alert) string {
	if l.console == "" {
		return ""
	}
	words := []string{a.RuleID}
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		words = append(words, k+"="+a.Labels[k])
	}
	return l.alerts() + "?q=" + url.QueryEscape(cut(strings.Join(words, " "), 200))
}

// alerts returns the page of the console with all alerts; empty without a console.
func (l links) alerts() string {
	if l.console == "" {
		return ""
	}
	return strings.TrimRight(l.console, "/") + "/alerts"
}

// runbookOf returns the page about the rule of an alert; empty for rules of others.
func (l links) runbookOf(a event.Alert) string {
	if l.runbook == "" || !rule.Known(a.RuleID) {
		return ""
	}
	return l.runbook + "#" + a.RuleID
}

// subject returns one line about a message: what fires, what ended, where.
func subject(m grouping.Message) string {
	firing := m.Firing()
	var state []string
	if firing > 0 {
		state = append(state, fmt.Sprintf("FIRING:%d", firing))
	}
	if n := len(m.Alerts) - firing; n > 0 {
		state = append(state, fmt.Sprintf("RESOLVED:%d", n))
	}
	return clean("["+strings.Join(state, ", ")+"] "+about(m), 200)
}

// about names the alerts of a message.
func about(m grouping.Message) string {
	if len(m.Alerts) == 1 {
		a := m.Alerts[0]
		return a.Severity + " " + a.RuleID + ": " + summaryOf(a)
	}
	names := m.Labels
	if len(names) == 0 {
		return summaryOf(m.Alerts[0]) + fmt.Sprintf(", and %d more", len(m.Alerts)-1)
	}
	out := []string{}
	if r := names[grouping.LabelRule]; r != "" {
		out = append(out, r)
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if k != grouping.LabelRule {
			out = append(out, k+"="+names[k])
		}
	}
	return strings.Join(out, " ")
}

// summaryOf returns the text of an alert in one line.
func summaryOf(a event.Alert) string {
	if a.Annotations.Summary != "" {
		return clean(a.Annotations.Summary, maxValue)
	}
	return clean(a.RuleID+" "+labelText(a), maxValue)
}

// labelText returns the labels of an alert as name=value.
func labelText(a event.Alert) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		out = append(out, k+"="+a.Labels[k])
	}
	return strings.Join(out, " ")
}

// period returns since when an alert fires, or when it began and ended.
func period(a event.Alert) string {
	since := readable.Time(grouping.Began(a))
	if a.Status == event.AlertResolved {
		return "fired from " + since + " until " + readable.Time(a.EndsAt)
	}
	return "fires since " + since
}
