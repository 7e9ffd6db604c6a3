package topic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/base/nearest"
)

// Form is the type of a configuration's value.
type Form string

// Forms.
const (
	FormBoolean  Form = "boolean"  // true or false
	FormChoice   Form = "choice"   // one of Allowed
	FormList     Form = "list"     // any of Allowed, separated by commas
	FormTime     Form = "time"     // milliseconds
	FormSize     Form = "size"     // bytes
	FormWhole    Form = "whole"    // a number without unit
	FormFraction Form = "fraction" // 0 to 1
	FormText     Form = "text"     // any text
)

// Rule describes the permitted values of a configuration.
type Rule struct {
	Form    Form     `json:"form"`
	Allowed []string `json:"allowed,omitempty"` // of a choice or list
	Min     int64    `json:"min,omitempty"`     // of a time, size or whole number
	Max     int64    `json:"max,omitempty"`
}

// Bounds of Kafka's types.
const (
	maxInt  = 1<<31 - 1
	maxLong = 1<<63 - 1
)

// rules returns the topic configurations of Apache Kafka 3.9 to 4.3 with their types and bounds
// (org.apache.kafka.storage.internals.log.LogConfig).
func rules() map[string]Rule {
	boolean, anything := Rule{Form: FormBoolean, Allowed: []string{"true", "false"}}, Rule{Form: FormText}
	choice := func(allowed ...string) Rule { return Rule{Form: FormChoice, Allowed: allowed} }
	whole := func(low, high int64) Rule { return Rule{Form: FormWhole, Min: low, Max: high} }
	all := map[string]Rule{
		"cleanup.policy":                          {Form: FormList, Allowed: []string{"delete", "compact"}},
		"compression.gzip.level":                  whole(-1, 9),
		"compression.lz4.level":                   whole(1, 17),
		"compression.type":                        choice("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
		"compression.zstd.level":                  whole(-131072, 22),
		"delete.retention.ms":                     whole(0, maxLong),
		"file.delete.delay.ms":                    whole(0, maxLong),
		"flush.messages":                          whole(1, maxLong),
		"flush.ms":                                whole(0, maxLong),
		"follower.replication.throttled.replicas": anything,
		"index.interval.bytes":                    whole(0, maxInt),
		"leader.replication.throttled.replicas":   anything,
		"local.retention.bytes":                   whole(-2, maxLong),
		"local.retention.ms":                      whole(-2, maxLong),
		"max.compaction.lag.ms":                   whole(1, maxLong),
		"max.message.bytes":                       whole(0, maxInt),
		"message.downconversion.enable":           boolean,
		"message.format.version":                  anything,
		"message.timestamp.after.max.ms":          whole(0, maxLong),
		"message.timestamp.before.max.ms":         whole(0, maxLong),
		"message.timestamp.difference.max.ms":     whole(0, maxLong),
		"message.timestamp.type":                  choice("CreateTime", "LogAppendTime"),
		"min.cleanable.dirty.ratio":               {Form: FormFraction},
		"min.compaction.lag.ms":                   whole(0, maxLong),
		"min.insync.replicas":                     whole(1, maxInt),
		"preallocate":                             boolean,
		"remote.copy.disable":                     boolean,
		"remote.log.copy.disable":                 boolean,
		"remote.log.delete.on.disable":            boolean,
		"remote.storage.enable":                   boolean,
		"retention.bytes":                         whole(-1<<63, maxLong),
		"retention.ms":                            whole(-1, maxLong),
		"segment.bytes":                           whole(14, maxInt),
		"segment.index.bytes":                     whole(4, maxInt),
		"segment.jitter.ms":                       whole(0, maxLong),
		"segment.ms":                              whole(1, maxLong),
		"unclean.leader.election.enable":          boolean,
	}
	for key, r := range all {
		switch {
		case r.Form != FormWhole:
		case strings.HasSuffix(key, ".ms"):
			r.Form = FormTime
		case strings.HasSuffix(key, ".bytes"):
			r.Form = FormSize
		}
		all[key] = r
	}
	return all
}

// ConfigRules returns the permitted values of every known topic configuration.
func ConfigRules() map[string]Rule { return rules() }

// ConfigNames lists the known topic configurations, sorted by name.
func ConfigNames() []string { return slices.Sorted(maps.Keys(rules())) }

// CheckConfig returns an error for a name that Kafka does not know, or a value of the wrong type or out of bounds. It
// leaves vendors' names (confluent.*, redpanda.*) to the broker.
func CheckConfig(key, value string) error {
	if strings.HasPrefix(key, "confluent.") || strings.HasPrefix(key, "redpanda.") {
		return nil
	}
	rule, known := rules()[key]
	if !known {
		hint := ""
		if near := nearest.Name(key, ConfigNames()); near != "" {
			hint = fmt.Sprintf(" (did you mean %s?)", near)
		}
		return fmt.Errorf("%q is no topic configuration%s", key, hint)
	}
	if err := rule.check(value); err != nil {
		return fmt.Errorf("%s: %q %w", key, value, err)
	}
	return nil
}

// check returns an error for a value that is not permitted.
func (r Rule) check(v string) error {
	switch r.Form {
	case FormBoolean, FormChoice:
		return r.has(v)
	case FormList:
		for item := range strings.SplitSeq(v, ",") {
			if err := r.has(strings.TrimSpace(item)); err != nil {
				return err
			}
		}
	case FormTime, FormSize, FormWhole:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err != nil {
			return errors.New("is no whole number")
		}
		if n < r.Min || n > r.Max {
			return fmt.Errorf("is not between %d and %d", r.Min, r.Max)
		}
	case FormFraction:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return errors.New("is not between 0 and 1")
		}
	}
	return nil
}

func (r Rule) has(v string) error {
	if !slices.Contains(r.Allowed, v) {
		return fmt.Errorf("is not one of %s", strings.Join(r.Allowed, ", "))
	}
	return nil
}

// SameConfig reports whether two values of a setting are equivalent: the order of a list does not matter.
func SameConfig(key, a, b string) bool {
	if a == b {
		return true
	}
	if key != "cleanup.policy" && key != "log.cleanup.policy" {
		return false
	}
	parts := func(s string) []string {
		list := strings.Split(strings.ReplaceAll(s, " ", ""), ",")
		slices.Sort(list)
		return slices.Compact(list)
	}
	return slices.Equal(parts(a), parts(b))
}

// BrokerDanger is Danger for a broker's setting, which applies to every topic without its own value. from is the
// current value, to the new one.
func BrokerDanger(key, from, to string) string {
	of := map[string]string{
		"log.retention.ms": "retention.ms", "log.retention.bytes": "retention.bytes", "log.cleanup.policy": "cleanup.policy",
		"log.local.retention.ms": "local.retention.ms", "log.local.retention.bytes": "local.retention.bytes",
		"message.max.bytes": "max.message.bytes", "min.insync.replicas": "min.insync.replicas", "unclean.leader.election.enable": "unclean.leader.election.enable",
		"log.cleaner.delete.retention.ms":         "delete.retention.ms",
		"log.message.timestamp.before.max.ms":     "message.timestamp.before.max.ms",
		"log.message.timestamp.after.max.ms":      "message.timestamp.after.max.ms",
		"log.message.timestamp.difference.max.ms": "message.timestamp.difference.max.ms",
	}
	unit := map[string]int64{"log.retention.minutes": 60_000, "log.retention.hours": 3_600_000}
	switch {
	case SameConfig(key, from, to):
		return ""
	case key == "offsets.retention.minutes" && (to == "" || less(from, to)):
		return "committed offsets of groups without members are deleted " + after(to, 60_000)
	case (key == "transactional.id.expiration.ms" || key == "producer.id.expiration.ms") && (to == "" || less(from, to)):
		return "idle producers are forgotten " + after(to, 1) + ": what they send again may be stored twice"
	}
	topicKey := of[key]
	if ms, timed := unit[key]; timed {
		topicKey, from, to = "retention.ms", inMs(from, ms), inMs(to, ms)
	}
	if topicKey == "" {
		return ""
	}
	danger := Danger(topicKey, from, to)
	if danger == "" {
		return ""
	}
	return "in every topic without a setting of its own: " + danger
}

// less reports whether a number becomes smaller, or may become smaller because from is unknown.
func less(from, to string) bool {
	a, errA := strconv.ParseInt(from, 10, 64)
	b, errB := strconv.ParseInt(to, 10, 64)
	return errB == nil && b >= 0 && (errA != nil || a < 0 || b < a)
}

// after returns the time that a value in units of ms stands for.
func after(value string, unit int64) string {
	if value == "" {
		return "after the broker's default time"
	}
	return "after " + Human("retention.ms", inMs(value, unit))
}

// inMs multiplies a whole number; other text and -1 stay as they are.
func inMs(value string, unit int64) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return value
	}
	return strconv.FormatInt(n*unit, 10)
}

// Danger returns what may be lost when a topic's configuration changes from one value to another; empty if nothing is
// lost. An empty value is an unknown default.
func Danger(key, from, to string) string {
	if SameConfig(key, from, to) {
		return ""
	}
	if to == "" && slices.Contains([]string{"retention.ms", "retention.bytes", "local.retention.ms", "local.retention.bytes", "max.message.bytes", "cleanup.policy"}, key) {
		return "the broker's default holds then, which it does not tell and which may keep less"
	}
	lower := func() bool {
		a, errA := strconv.ParseInt(from, 10, 64)
		b, errB := strconv.ParseInt(to, 10, 64)
		return errA == nil && errB == nil && b >= 0 && (a < 0 || b < a)
	}
	switch key {
	case "retention.ms", "local.retention.ms":
		if lower() {
			return fmt.Sprintf("records older than %s are deleted", Human(key, to))
		}
	case "retention.bytes", "local.retention.bytes":
		if lower() {
			return fmt.Sprintf("the oldest records beyond %s of a partition are deleted", Human(key, to))
		}
	case "max.message.bytes":
		if lower() {
			return fmt.Sprintf("batches larger than %s are refused from then on", Human(key, to))
		}
	case "delete.retention.ms":
		if lower() {
			return fmt.Sprintf("after a compaction, consumers that are more than %s behind do not learn of deleted keys", Human(key, to))
		}
	case "message.timestamp.before.max.ms":
		if less(from, to) {
			return fmt.Sprintf("records with a time more than %s ago are refused from then on", Human(key, to))
		}
	case "message.timestamp.after.max.ms":
		if less(from, to) {
			return fmt.Sprintf("records with a time more than %s ahead are refused from then on", Human(key, to))
		}
	case "message.timestamp.difference.max.ms":
		if less(from, to) {
			return fmt.Sprintf("records with a time more than %s ago or ahead are refused from then on", Human(key, to))
		}
	case "remote.log.delete.on.disable":
		if to == "true" {
			return "records in remote storage are deleted when remote storage is switched off"
		}
	case "remote.storage.enable":
		if from == "true" {
			return "records in remote storage cannot be read any more, and with remote.log.delete.on.disable they are deleted"
		}
	case "cleanup.policy":
		switch {
		case strings.Contains(to, "compact") && !strings.Contains(from, "compact"):
			return "compaction keeps only the last record of each key"
		case strings.Contains(to, "delete") && !strings.Contains(from, "delete"):
			return "records beyond the retention are deleted"
		}
	case "unclean.leader.election.enable":
		if to == "true" {
			return "a replica that lags may become leader, and acknowledged records are lost"
		}
	case "min.insync.replicas":
		if lower() {
			return "writes are acknowledged with fewer copies"
		}
	}
	return ""
}
