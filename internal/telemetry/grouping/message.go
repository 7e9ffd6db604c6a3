package grouping

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
)

// Names of labels that every alert has in messages. They replace labels of the same name.
const (
	LabelRule     = "alertname"
	LabelSeverity = "severity"
)

// Labels returns the labels of an alert in messages: its own, the rule and the severity.
func Labels(a event.Alert) map[string]string {
	out := make(map[string]string, len(a.Labels)+2)
	maps.Copy(out, a.Labels)
	out[LabelRule], out[LabelSeverity] = a.RuleID, a.Severity
	return out
}

// Message is what a receiver gets about a group of alerts.
type Message struct {
	Key    string            // identifies the group
	Labels map[string]string // labels that all alerts of the group have, because the group is made by them
	Alerts []event.Alert     // firing and resolved, the firing first, then by severity and age
	At     time.Time         // time of the message

	group *group
	taken []taken
}

// taken is the state of an alert in a message, in the notation of the machine.
type taken struct {
	fingerprint, alertID, status string
}

// Firing returns the number of alerts that fire.
func (m Message) Firing() int {
	n := 0
	for _, a := range m.Alerts {
		if a.Status == event.AlertFiring {
			n++
		}
	}
	return n
}

// Machine is the state of one receiver. It is not safe for concurrent use.
type Machine interface {
	// Apply takes the new state of an alert.
	Apply(a event.Alert, now time.Time)
	// Recall takes a state of an alert from before mark, which another sender wrote, in the order of the log. It is called
	// before the first Apply, and after the first Silence.
	Recall(a event.Alert, mark Mark, now time.Time)
	// Silence replaces the silences.
	Silence(silences []configlog.Silence, now time.Time)
	// Take returns the message that is due. The caller settles each message before it takes the next one.
	Take(now time.Time) (Message, bool)
	// Settle tells the result of a message. After a failure, the group waits until retryAt.
	Settle(m Message, now time.Time, delivered bool, retryAt time.Time)
	// Mark returns what the next sender must know.
	Mark(now time.Time) Mark
	// Stats returns counts for operators.
	Stats() Stats
}

// Stats are counts of a machine.
type Stats struct {
	Alerts  int    // alerts that the machine holds
	Dropped uint64 // changes of alerts that were ignored because there were too many alerts
	Missed  uint64 // alerts that ended before a message about them was delivered, and that no message reports
}

// Mark is what the next sender must know about a receiver. The zero value means that no sender ever had the receiver.
type Mark struct {
	At       time.Time // when the mark was written
	Since    time.Time // date of the oldest change that the receiver did not acknowledge; zero: it knows every change
	Silenced time.Time // the same of the alerts that were silenced at that time
}

// Limits of one receiver.
const (
	maxAlerts = 10_000         // alerts that a machine holds
	maxGroups = 200            // groups with a message of their own; all other alerts share one more group
	staleTime = 26 * time.Hour // an active alert is published each day; one that is not is from an analyzer that no longer runs
)

// severities orders the severities of alerts.
var severities = map[string]int{event.SeverityInfo: 1, event.SeverityWarning: 2, event.SeverityCritical: 3}

// atLeast reports whether an alert is as severe as least.
func atLeast(a event.Alert, least string) bool { return severities[a.Severity] >= severities[least] }

// changed returns when an alert began to fire or ended.
func changed(a event.Alert) time.Time {
	switch {
	case a.Status == event.AlertResolved && !a.EndsAt.IsZero():
		return a.EndsAt
	case a.Status == event.AlertFiring:
		return Began(a)
	}
	return a.UpdatedAt
}

// Began returns when an alert began to fire.
func Began(a event.Alert) time.Time {
	if !a.FiredAt.IsZero() {
		return a.FiredAt
	}
	return a.StartsAt
}

// keyOf returns the group of an alert: its labels, and their text as Alertmanager writes it.
func keyOf(a event.Alert, by []string) (string, map[string]string) {
	all, labels := Labels(a), map[string]string{}
	for _, name := range by {
		if v, ok := all[name]; ok {
			labels[name] = v
		}
	}
	parts := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, name+"="+strconv.Quote(labels[name]))
	}
	key := "{}:{" + strings.Join(parts, ", ") + "}"
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		key = "{}:{" + hex.EncodeToString(sum[:]) + "}"
	}
	return key, labels
}

// maxKey limits the key of a group, in bytes. A longer key becomes its hash.
const maxKey = 512

// order sorts the alerts of a message.
func order(alerts []event.Alert) {
	slices.SortFunc(alerts, func(x, y event.Alert) int {
		if (x.Status == event.AlertFiring) != (y.Status == event.AlertFiring) {
			if x.Status == event.AlertFiring {
				return -1
			}
			return 1
		}
		if c := severities[y.Severity] - severities[x.Severity]; c != 0 {
			return c
		}
		if c := Began(x).Compare(Began(y)); c != 0 {
			return c
		}
		return strings.Compare(x.Fingerprint, y.Fingerprint)
	})
}

// mutes are the silences in effect. The zero value has none.
type mutes []configlog.Silence

// until returns when the silence of an alert ends; zero if none covers it.
func (m mutes) until(a event.Alert, now time.Time) time.Time {
	s, ok := configlog.Silenced(m, a, now)
	if !ok {
		return time.Time{}
	}
	return s.EndsAt
}
