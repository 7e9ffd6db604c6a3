package connect

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Settings by which a source connector lets the worker create topics. The
// worker ignores topic.creation.enable without the first two (KIP-158).
const (
	creationPrefix     = "topic.creation."
	creationPartitions = "topic.creation.default.partitions"
	creationReplicas   = "topic.creation.default.replication.factor"
	brokerDefault      = "-1" // partitions and replicas as the broker creates topics
)

// topicName is what Kafka takes as the name of a topic: templates such as
// ${table} are not.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// TopicsNamed lists the topics that the settings of a connector name: topics
// that a sink reads, and topics that a source writes, as far as the class uses
// the usual settings for them. Sources with transformations may write to other
// topics, so nothing is known about them.
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

// MissingTopics lists the topics without which a connector waits: it is RUNNING
// and moves nothing. Topics that the worker will create are not missing.
func MissingTopics(kind string, config map[string]string, exists func(topic string) bool) []string {
	if kind == "source" && CreatesTopics(config) {
		return nil
	}
	return slices.DeleteFunc(TopicsNamed(kind, config), exists)
}

// WithTopicCreation returns the settings of a source connector with those that
// let the worker create its topics as the broker creates topics by default. now
// are the present settings, nil for a new connector. Settings that say anything
// about the creation of topics stay as they are, and so does a connector that
// exists without them: a file that was applied before changes nothing.
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
