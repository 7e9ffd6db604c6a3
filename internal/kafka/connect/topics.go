package connect

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Settings with which a source connector permits the worker to create topics. The worker ignores topic.creation.enable
// without the first two (KIP-158).
const (
	creationPrefix     = "topic.creation."
	creationPartitions = "topic.creation.default.partitions"
	creationReplicas   = "topic.creation.default.replication.factor"
	brokerDefault      = "-1" // the broker's default for partitions and replicas
)

// topicName matches names that Kafka accepts for topics; templates such as ${table} do not match.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// TopicsNamed lists the topics that a connector's settings name: topics that a sink reads, and topics that a source
// writes if its class uses the usual settings. Sources with transformations may write to other topics; for them the
// list is empty.
func TopicsNamed(kind string, config map[string]string) []string {
	var keys []string
	switch {
	case kind == "sink":
		keys = []string{"topics"}
	case kind == "source" && strings.TrimSpace(config["transforms"]) == "":
		keys = []string{"topic", "topics", "kafka.topic"}
	}
	var names []string
	for _, key := range keys {
		for name := range strings.SplitSeq(config[key], ",") {
			if name = strings.TrimSpace(name); topicName.MatchString(name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// CreatesTopics reports whether the worker creates the topics that a source
// connector writes to.
func CreatesTopics(config map[string]string) bool {
	return config[creationPartitions] != "" && config[creationReplicas] != ""
}

// MissingTopics lists the topics without which a connector waits: it is RUNNING but transfers nothing. Topics that the
// worker will create are not missing.
func MissingTopics(kind string, config map[string]string, exists func(topic string) bool) []string {
	if kind == "source" && CreatesTopics(config) {
		return nil
	}
	return slices.DeleteFunc(TopicsNamed(kind, config), exists)
}

// WithTopicCreation returns a source connector's settings, extended so that the worker creates its topics with the
// broker's defaults. now holds the present settings, nil for a new connector. Settings about topic creation stay as
// they are. So do the settings of an existing connector without them: a file that was applied before changes nothing.
func WithTopicCreation(kind string, config, now map[string]string) map[string]string {
	if kind != "source" || mentionsCreation(config) || now != nil && !mentionsCreation(now) {
		return config
	}
	out := maps.Clone(config)
	out[creationPartitions], out[creationReplicas] = brokerDefault, brokerDefault
	return out
}

func mentionsCreation(config map[string]string) bool {
	for key := range config {
		if strings.HasPrefix(key, creationPrefix) {
			return true
		}
	}
	return false
}
