package broker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/kafka/topic"
)

// problem is an error for a reply.
type problem struct {
	code    int16
	message string
}

// checkName checks the name of a new topic.
func checkName(name string) *problem {
	if err := topic.CheckName(name); err != nil {
		return &problem{kerr.InvalidTopicException.Code, "Topic name is invalid: " + err.Error()}
	}
	return nil
}

// isConfig reports whether Apache Kafka has a topic configuration of this name.
func isConfig(key string) bool { return slices.Contains(topic.ConfigNames(), key) }

// checkConfig checks one topic configuration.
func checkConfig(key string, value *string) *problem {
	bad := func(format string, args ...any) *problem {
		return &problem{kerr.InvalidConfig.Code, fmt.Sprintf(format, args...)}
	}
	switch {
	case !isConfig(key):
		return bad("Unknown topic config name: %s", key)
	case value == nil:
		return bad("Null value not supported for topic configs: %s", key)
	case key == "message.timestamp.type" && *value == "LogAppendTime":
		return bad("Invalid value %s for configuration %s: the embedded broker keeps the time that the producer gave a record, and no other", *value, key)
	case key == "remote.storage.enable" && *value == "true":
		return bad("Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.")
	}
	if err := topic.CheckConfig(key, *value); err != nil {
		return bad("Invalid value for configuration %v", err)
	}
	return nil
}

// Limits of partitions. kfake creates them all at once, in memory, so a request for two billion would end the process.
const (
	maxPartitions        = 1000 // of one topic
	maxRequestPartitions = 2000 // of all topics that one request creates
)

// checkPartitions checks the requested number of partitions of a topic.
func checkPartitions(n int32) *problem {
	if n == 0 || n < -1 {
		return &problem{kerr.InvalidPartitions.Code, "Number of partitions must be larger than 0"}
	}
	if n > maxPartitions {
		return &problem{kerr.InvalidPartitions.Code, fmt.Sprintf("%d partitions are more than the %d that this broker makes", n, maxPartitions)}
	}
	return nil
}

// checkNew checks a topic to be created.
func checkNew(t kmsg.CreateTopicsRequestTopic) *problem {
	if p := checkName(t.Topic); p != nil {
		return p
	}
	partitions := t.NumPartitions
	if len(t.ReplicaAssignment) > 0 {
		partitions = int32(len(t.ReplicaAssignment))
	}
	if p := checkPartitions(partitions); p != nil {
		return p
	}
	if t.ReplicationFactor == 0 || t.ReplicationFactor < -1 {
		return &problem{kerr.InvalidReplicationFactor.Code, "Replication factor must be larger than 0"}
	}
	for _, c := range t.Configs {
		if p := checkConfig(c.Name, c.Value); p != nil {
			return p
		}
	}
	for _, a := range t.ReplicaAssignment {
		if p := checkAssignment(a.Replicas); p != nil {
			return p
		}
	}
	return nil
}

// topicResource is the resource type of topics in configuration requests.
const topicResource = kmsg.ConfigResourceTypeTopic

// fixed refuses the broker configurations that clients must not change: they would start kfake's cleaner, which loses
// records when it is killed.
func fixed(key string) *problem {
	switch key {
	case "log.cleaner.backoff.ms", "log.cleaner.enable", "log.retention.check.interval.ms", "state.log.compact.bytes", "log.segment.bytes":
		return &problem{kerr.InvalidRequest.Code, "Cannot update these configs dynamically: Set(" + key + ")"}
	}
	return nil
}

// checkAltered checks the new configurations of a resource that replace the old ones.
func checkAltered(res kmsg.AlterConfigsRequestResource) *problem {
	for _, c := range res.Configs {
		if p := checkSetting(res.ResourceType, c.Name, c.Value); p != nil {
			return p
		}
	}
	return nil
}

func checkSetting(kind kmsg.ConfigResourceType, key string, value *string) *problem {
	if kind != topicResource {
		return fixed(key)
	}
	return checkConfig(key, value)
}

// isList reports whether a topic configuration holds several values.
func isList(key string) bool {
	return key == "cleanup.policy" || strings.HasSuffix(key, ".replication.throttled.replicas")
}

// checkIncrementallyAltered checks single changes to the configurations of a resource.
func checkIncrementallyAltered(res kmsg.IncrementalAlterConfigsRequestResource) *problem {
	for _, c := range res.Configs {
		p := checkSetting(res.ResourceType, c.Name, c.Value)
		if res.ResourceType == topicResource {
			switch c.Op {
			case kmsg.IncrementalAlterConfigOpDelete:
				p = nil
				if !isConfig(c.Name) {
					p = &problem{kerr.InvalidConfig.Code, "Unknown topic config name: " + c.Name}
				}
			case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
				if !isList(c.Name) {
					p = &problem{kerr.InvalidConfig.Code, "Can't append to or subtract from the config key " + c.Name + ", which is no list"}
				}
			}
		}
		if p != nil {
			return p
		}
	}
	return nil
}
