package rule

import (
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
)

// Rule defines the id of an alert and how long its cause must last.
type Rule struct {
	ID        string
	Severity  string
	For       time.Duration // from the first bad judgement to firing
	Keep      time.Duration // from the first good judgement to resolved, without a bad judgement between
	Threshold event.Optional
	Unit      string
}

// The rules. Their judgements come from analysis, which describes the cause of each.
var (
	// InstanceDown: at least half of the senders of an instance's health checks report UNHEALTHY.
	InstanceDown = Rule{ID: "instance-down", Severity: event.SeverityCritical, For: 3 * time.Second, Keep: 5 * time.Second}
	// FastFailing: an instance answers, and at least half of its responses are errors.
	FastFailing = Rule{ID: "fast-failing", Severity: event.SeverityCritical, For: 2 * time.Second, Keep: 10 * time.Second, Threshold: event.Some(0.5), Unit: "ratio"}
	// Panic: a proxy has so few usable instances of a service that it uses all of them.
	Panic = Rule{ID: "panic", Severity: event.SeverityCritical, For: 2 * time.Second, Keep: 10 * time.Second}
	// MassDrain: health-status messages report that many instances of a service drain or are unhealthy, more than such
	// messages may take out of rotation.
	MassDrain = Rule{ID: "mass-drain", Severity: event.SeverityCritical, For: 0, Keep: 10 * time.Second}
	// DiscoveryStale: a source of instances has given a proxy no good answer for too long. The instances stay as they were.
	DiscoveryStale = Rule{ID: "discovery-stale", Severity: event.SeverityWarning, For: 0, Keep: 0}
	// TelemetryStale: an instance that reports about itself stopped reporting while it still serves requests.
	TelemetryStale = Rule{ID: "telemetry-stale", Severity: event.SeverityWarning, For: 10 * time.Second, Keep: 0, Unit: "s"}
	// TopicRecreated: a topic was deleted and created again, or its log ends before the offset that was already read.
	TopicRecreated = Rule{ID: "topic-recreated", Severity: event.SeverityWarning, For: 0, Keep: 0}
	// NodeShortage: a proxy lacks file descriptors, memory, local ports or an answer of its name server; its instances
	// are not the cause.
	NodeShortage = Rule{ID: "node-shortage", Severity: event.SeverityCritical, For: 0, Keep: 10 * time.Second}
	// CertificateExpires: a certificate that a listener serves expires soon or has expired.
	CertificateExpires = Rule{ID: "certificate-expires", Severity: event.SeverityWarning, For: 0, Keep: 0}
	// CertificateRefused: a node cannot use the changed files of a TLS listener and continues with the files before. It
	// waits, because a certificate and its key do not change in the same moment.
	CertificateRefused = Rule{ID: "certificate-refused", Severity: event.SeverityWarning, For: 10 * time.Second, Keep: 0}
	// CertificateOrderFailed: a node did not obtain an automatic certificate. The order is repeated.
	CertificateOrderFailed = Rule{ID: "certificate-order-failed", Severity: event.SeverityWarning, For: 0, Keep: 0}
	// FileRefused: a node refused its changed configuration file and serves the configuration before.
	FileRefused = Rule{ID: "config-file-refused", Severity: event.SeverityWarning, For: 0, Keep: 0}
	// UpgradeFailed: the new binary of a node did not become ready, and the old process continues.
	UpgradeFailed = Rule{ID: "upgrade-failed", Severity: event.SeverityWarning, For: 0, Keep: 0}
	// ReceiverFailing: the node that sends alerts cannot deliver them to a receiver of its configuration. It retries.
	ReceiverFailing = Rule{ID: "alert-receiver-failing", Severity: event.SeverityWarning, For: time.Minute, Keep: 0}
	// TelemetryQuota: reports about unconfigured instances are refused, because there are too many.
	TelemetryQuota = Rule{ID: "telemetry-quota", Severity: event.SeverityWarning, For: 0, Keep: 30 * time.Second}
	// Unsigned: nodes refuse records of a reserved topic, because they are not signed with a known key.
	Unsigned = Rule{ID: "unsigned-records", Severity: event.SeverityCritical, For: 0, Keep: 0}
)

// All returns every rule.
func All() []Rule {
	return []Rule{InstanceDown, FastFailing, Panic, MassDrain, DiscoveryStale, TelemetryStale, TopicRecreated, NodeShortage, CertificateExpires, CertificateRefused, CertificateOrderFailed, FileRefused, UpgradeFailed, ReceiverFailing, TelemetryQuota, Unsigned}
}

// Known reports whether this program has a rule with the id.
func Known(id string) bool {
	return slices.ContainsFunc(All(), func(r Rule) bool { return r.ID == id })
}

// How far an alert's dates and sequence number may be ahead of a reader's clock.
const (
	maxAhead    = time.Minute
	maxSeqAhead = time.Hour
)

// Limits of the texts of an alert. Some texts list data from unknown producers, and readers keep thousands of alerts.
const (
	maxSummary     = 1 << 10
	maxDescription = 4 << 10
	maxText        = 16 << 10 // all texts and labels of one alert
)

// Believable reports whether an analyzer may have written an alert before now. An alert that is dated ahead, or has a
// sequence number of a later year, would override every later state of the same alert. An alert with more text than an
// analyzer writes would use too much memory of its readers.
func Believable(a event.Alert, now time.Time) bool {
	latest := now.Add(maxAhead)
	size := len(a.Annotations.Summary) + len(a.Annotations.Description) + len(a.Unit)
	for k, v := range a.Labels {
		size += len(k) + len(v)
	}
	return size <= maxText && !a.UpdatedAt.After(latest) && !a.StartsAt.After(latest) && a.Seq <= uint64(max(now.Add(maxSeqAhead).UnixMilli(), 0))
}

// Verdict is the result of one judgement.
type Verdict int

// The verdicts. Unsure covers both missing data and values between the thresholds: nothing changes.
const (
	Unsure Verdict = iota
	Bad
	Good
)

// Judgement is one evaluation of the cause of one alert.
type Judgement struct {
	Rule        Rule
	Labels      map[string]string
	Verdict     Verdict
	Value       event.Optional
	Summary     string
	Description string
}

// cut shortens a text of an alert.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
