package stack

import (
	"strings"
	"testing"
)

func TestTheLikelyCauseOfAFailedStartIsNamed(t *testing.T) {
	for _, row := range []struct{ name, log, last, advice string }{
		{"the cluster's id", "INFO x\nERROR Fatal error during KafkaServer startup. (KafkaServer)\nkafka.common.InconsistentClusterIdException: The Cluster ID a doesn't match stored clusterId b\n\tat kafka\nINFO shutting down", "InconsistentClusterIdException", "ZooKeeper's data was lost"},
		{"NodeExists", "ERROR Error while creating ephemeral at /brokers/ids/1, node already exists\norg.apache.zookeeper.KeeperException$NodeExistsException: KeeperErrorCode = NodeExists\n", "NodeExists", "ten seconds"},
		{"a full disk", "ERROR Error while writing to checkpoint file\njava.io.IOException: No space left on device\n", "No space left", "disk is full"},
		{"memory", "Error occurred during initialization of VM\nCould not reserve enough space for 1073741824KB object heap\n", "Could not reserve", "--heap"},
		{"old Java", "Error: LinkageError occurred while loading main class kafka.Kafka\n\tjava.lang.UnsupportedClassVersionError: kafka/Kafka has been compiled by\n", "UnsupportedClassVersionError", "Java 17"},
		{"a port", "ERROR x\nCaused by: java.net.BindException: Address already in use\n", "Address already in use", "port is in use"},
		{"missing jars", "Error: Could not find or load main class kafka.Kafka\n", "Could not find", "install"},
		{"something else", "INFO a\nX ERROR [x] something odd (kafka)\nINFO b\n", "something odd", ""},
		{"nothing", "INFO a\nINFO b\n", "", ""},
	} {
		last, advice := failure(row.log)
		if !strings.Contains(last, row.last) || row.last == "" && last != "" || !strings.Contains(advice, row.advice) || row.advice == "" && advice != "" {
			t.Errorf("%s: %q, %q", row.name, last, advice)
		}
	}
}
