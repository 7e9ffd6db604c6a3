package broker

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rules holds what kfake leaves unchecked about topics. Make one with
// newRules.
type rules struct {
	name    *regexp.Regexp
	configs map[string]func(string) error
}

// maxTopicName is Kafka's limit; a partition's folder name must fit a file
// system.
const maxTopicName = 249

// newRules knows the topic configurations of Apache Kafka 3.9 and 4.x with
// their types and bounds (org.apache.kafka.storage.internals.log.LogConfig).
func newRules() *rules {
	boolean := oneOf("true", "false")
	return &rules{
		name: regexp.MustCompile(`^[a-zA-Z0-9._-]+$`),
		configs: map[string]func(string) error{
			"cleanup.policy":                          listOf("delete", "compact"),
			"compression.gzip.level":                  integer(-1, 9),
			"compression.lz4.level":                   integer(1, 17),
			"compression.type":                        oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
			"compression.zstd.level":                  integer(-131072, 22),
			"delete.retention.ms":                     long(0),
			"file.delete.delay.ms":                    long(0),
			"flush.messages":                          long(1),
			"flush.ms":                                long(0),
			"follower.replication.throttled.replicas": anything,
			"index.interval.bytes":                    integer(0, 1<<31-1),
			"leader.replication.throttled.replicas":   anything,
			"local.retention.bytes":                   long(-2),
			"local.retention.ms":                      long(-2),
			"max.compaction.lag.ms":                   long(1),
			"max.message.bytes":                       integer(0, 1<<31-1),
			"message.downconversion.enable":           boolean,
			"message.format.version":                  anything,
			"message.timestamp.after.max.ms":          long(0),
			"message.timestamp.before.max.ms":         long(0),
			"message.timestamp.difference.max.ms":     long(0),
			"message.timestamp.type":                  createTime,
			"min.cleanable.dirty.ratio":               ratio,
			"min.compaction.lag.ms":                   long(0),
			"min.insync.replicas":                     integer(1, 1<<31-1),
			"preallocate":                             boolean,
			"remote.log.copy.disable":                 boolean,
			"remote.log.delete.on.disable":            boolean,
			"remote.storage.enable":                   boolean,
			"retention.bytes":                         long(-1 << 63),
			"retention.ms":                            long(-1),
			"segment.bytes":                           integer(14, 1<<31-1),
			"segment.index.bytes":                     integer(4, 1<<31-1),
			"segment.jitter.ms":                       long(0),
			"segment.ms":                              long(1),
			"unclean.leader.election.enable":          boolean,
		},
	}
}

// createTime is the only kind of timestamp that kfake keeps.
func createTime(v string) error {
	if v == "LogAppendTime" {
		return errors.New("the embedded broker keeps the time that the producer gave a record, and no other")
	}
	return oneOf("CreateTime", "LogAppendTime")(v)
}

func anything(string) error { return nil }

func oneOf(allowed ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("String must be one of: %s", strings.Join(allowed, ", "))
		}
		return nil
	}
}

func listOf(allowed ...string) func(string) error {
	return func(v string) error {
		for item := range strings.SplitSeq(v, ",") {
			if !slices.Contains(allowed, strings.TrimSpace(item)) {
				return fmt.Errorf("String must be one of: %s", strings.Join(allowed, ", "))
			}
		}
		return nil
	}
}

func integer(low, high int64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 32)
		if err != nil {
			return fmt.Errorf("Not a number of type INT")
		}
		if n < low || n > high {
			return fmt.Errorf("Value must be between %d and %d", low, high)
		}
		return nil
	}
}

func long(low int64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err != nil {
			return fmt.Errorf("Not a number of type LONG")
		}
		if n < low {
			return fmt.Errorf("Value must be at least %d", low)
		}
		return nil
	}
}

func ratio(v string) error {
	f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return fmt.Errorf("Value must be between 0 and 1")
	}
	return nil
}

// problem is an error to be told in a reply.
type problem struct {
	code    int16
	message string
}

// topicName checks what a topic is to be called.
func (r *rules) topicName(name string) *problem {
	bad := func(format string, args ...any) *problem {
		return &problem{kerr.InvalidTopicException.Code, fmt.Sprintf(format, args...)}
	}
	switch {
	case name == "":
		return bad("Topic name is invalid: it can't be empty")
	case name == "." || name == "..":
		return bad("Topic name is invalid: it can't be \".\" or \"..\"")
	case len(name) > maxTopicName:
		return bad("Topic name is invalid: the length of %q is longer than the max allowed length %d", name, maxTopicName)
	case !r.name.MatchString(name):
		return bad("Topic name is invalid: %q contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return nil
}

// config checks one topic configuration.
func (r *rules) config(key string, value *string) *problem {
	check, known := r.configs[key]
	if !known {
		return &problem{kerr.InvalidConfig.Code, "Unknown topic config name: " + key}
	}
	if value == nil {
		return &problem{kerr.InvalidConfig.Code, "Null value not supported for topic configs: " + key}
	}
	if err := check(*value); err != nil {
		return &problem{kerr.InvalidConfig.Code, fmt.Sprintf("Invalid value %s for configuration %s: %v", *value, key, err)}
	}
	return nil
}

// Limits of partitions. kfake makes them all at once, in memory, so that a
// request for two billion would end the process.
const (
	maxPartitions        = 1000 // of one topic
	maxRequestPartitions = 2000 // of all topics that one request creates
)

// partitions checks how many partitions a topic is to have.
func (r *rules) partitions(n int32) *problem {
	if n == 0 || n < -1 {
		return &problem{kerr.InvalidPartitions.Code, "Number of partitions must be larger than 0"}
	}
	if n > maxPartitions {
		return &problem{kerr.InvalidPartitions.Code, fmt.Sprintf("%d partitions are more than the %d that this broker makes", n, maxPartitions)}
	}
	return nil
}

// newTopic checks a topic that is to be created.
func (r *rules) newTopic(t kmsg.CreateTopicsRequestTopic) *problem {
	if p := r.topicName(t.Topic); p != nil {
		return p
	}
	partitions := t.NumPartitions
	if len(t.ReplicaAssignment) > 0 {
		partitions = int32(len(t.ReplicaAssignment))
	}
	if p := r.partitions(partitions); p != nil {
		return p
	}
	if t.ReplicationFactor == 0 || t.ReplicationFactor < -1 {
		return &problem{kerr.InvalidReplicationFactor.Code, "Replication factor must be larger than 0"}
	}
	for _, c := range t.Configs {
		if p := r.config(c.Name, c.Value); p != nil {
			return p
		}
	}
	return nil
}

// topicResource is the type of a topic among configuration resources.
const topicResource = kmsg.ConfigResourceTypeTopic

// fixed lists the broker's configurations that nobody may change, because
// kfake's cleaner, which they would wake, loses records when it is killed.
func fixed(key string) *problem {
	switch key {
	case "log.cleaner.backoff.ms", "log.cleaner.enable", "log.retention.check.interval.ms", "state.log.compact.bytes", "log.segment.bytes":
		return &problem{kerr.InvalidRequest.Code, "Cannot update these configs dynamically: Set(" + key + ")"}
	}
	return nil
}

// altered checks the configurations of a topic that are to be replaced.
func (r *rules) altered(res kmsg.AlterConfigsRequestResource) *problem {
	if res.ResourceType != topicResource {
		for _, c := range res.Configs {
			if p := fixed(c.Name); p != nil {
				return p
			}
		}
		return nil
	}
	for _, c := range res.Configs {
		if p := r.config(c.Name, c.Value); p != nil {
			return p
		}
	}
	return nil
}

// isList reports whether a topic configuration holds several values.
func isList(key string) bool {
	return key == "cleanup.policy" || strings.HasSuffix(key, ".replication.throttled.replicas")
}

// incrementallyAltered checks the configurations of a topic that are to be
// changed one by one.
func (r *rules) incrementallyAltered(res kmsg.IncrementalAlterConfigsRequestResource) *problem {
	if res.ResourceType != topicResource {
		for _, c := range res.Configs {
			if p := fixed(c.Name); p != nil {
				return p
			}
		}
		return nil
	}
	for _, c := range res.Configs {
		if c.Op == kmsg.IncrementalAlterConfigOpAppend || c.Op == kmsg.IncrementalAlterConfigOpSubtract {
			if !isList(c.Name) {
				return &problem{kerr.InvalidConfig.Code, "Can't append to or subtract from the config key " + c.Name + ", which is no list"}
			}
		}
		if c.Op == kmsg.IncrementalAlterConfigOpDelete {
			if _, known := r.configs[c.Name]; !known {
				return &problem{kerr.InvalidConfig.Code, "Unknown topic config name: " + c.Name}
			}
			continue
		}
		if p := r.config(c.Name, c.Value); p != nil {
			return p
		}
	}
	return nil
}
