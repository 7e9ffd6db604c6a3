package topic

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/nearest"
)

// setting checks one value of a topic configuration.
type setting func(value string) error

// settings are the topic configurations of Apache Kafka 3.9 to 4.3 with their
// types and bounds (org.apache.kafka.storage.internals.log.LogConfig).
func settings() map[string]setting {
	boolean, anything := oneOf("true", "false"), func(string) error { return nil }
	positive := whole(1, 1<<31-1)
	long := whole(0, 1<<63-1)
	return map[string]setting{
		"cleanup.policy":                          everyOf("delete", "compact"),
		"compression.gzip.level":                  whole(-1, 9),
		"compression.lz4.level":                   whole(1, 17),
		"compression.type":                        oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
		"compression.zstd.level":                  whole(-131072, 22),
		"delete.retention.ms":                     long,
		"file.delete.delay.ms":                    long,
		"flush.messages":                          whole(1, 1<<63-1),
		"flush.ms":                                long,
		"follower.replication.throttled.replicas": anything,
		"index.interval.bytes":                    whole(0, 1<<31-1),
		"leader.replication.throttled.replicas":   anything,
		"local.retention.bytes":                   whole(-2, 1<<63-1),
		"local.retention.ms":                      whole(-2, 1<<63-1),
		"max.compaction.lag.ms":                   whole(1, 1<<63-1),
		"max.message.bytes":                       whole(0, 1<<31-1),
		"message.downconversion.enable":           boolean,
		"message.format.version":                  anything,
		"message.timestamp.after.max.ms":          long,
		"message.timestamp.before.max.ms":         long,
		"message.timestamp.difference.max.ms":     long,
		"message.timestamp.type":                  oneOf("CreateTime", "LogAppendTime"),
		"min.cleanable.dirty.ratio":               fraction,
		"min.compaction.lag.ms":                   long,
		"min.insync.replicas":                     positive,
		"preallocate":                             boolean,
		"remote.copy.disable":                     boolean,
		"remote.log.copy.disable":                 boolean,
		"remote.log.delete.on.disable":            boolean,
		"remote.storage.enable":                   boolean,
		"retention.bytes":                         whole(-1<<63, 1<<63-1),
		"retention.ms":                            whole(-1, 1<<63-1),
		"segment.bytes":                           whole(14, 1<<31-1),
		"segment.index.bytes":                     whole(4, 1<<31-1),
		"segment.jitter.ms":                       long,
		"segment.ms":                              whole(1, 1<<63-1),
		"unclean.leader.election.enable":          boolean,
	}
}

// ConfigNames lists the topic configurations that are known, by name.
func ConfigNames() []string { return slices.Sorted(maps.Keys(settings())) }

// CheckConfig says what is wrong with a topic configuration: a name that Kafka
// does not know, or a value of the wrong type or out of bounds. Names of
// vendors (confluent.*, redpanda.*) are left to the broker.
func CheckConfig(key, value string) error {
	if strings.HasPrefix(key, "confluent.") || strings.HasPrefix(key, "redpanda.") {
		return nil
	}
	check, known := settings()[key]
	if !known {
		hint := ""
		if near := nearest.Name(key, ConfigNames()); near != "" {
			hint = fmt.Sprintf(" (did you mean %s?)", near)
		}
		return fmt.Errorf("%q is no topic configuration%s", key, hint)
	}
	if err := check(value); err != nil {
		return fmt.Errorf("%s: %q %w", key, value, err)
	}
	return nil
}

func oneOf(allowed ...string) setting {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("is not one of %s", strings.Join(allowed, ", "))
		}
		return nil
	}
}

func everyOf(allowed ...string) setting {
	one := oneOf(allowed...)
	return func(v string) error {
		for item := range strings.SplitSeq(v, ",") {
			if err := one(strings.TrimSpace(item)); err != nil {
				return err
			}
		}
		return nil
	}
}

func whole(low, high int64) setting {
	return func(v string) error {
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err != nil {
			return errors.New("is no whole number")
		}
		if n < low || n > high {
			return fmt.Errorf("is not between %d and %d", low, high)
		}
		return nil
	}
}

func fraction(v string) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return errors.New("is not between 0 and 1")
	}
	return nil
}

// Danger says what may be lost when a configuration of a topic changes from one
// value to another; empty when nothing is. An empty value is a default that is
// not known.
func Danger(key, from, to string) string {
	if from == to {
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
