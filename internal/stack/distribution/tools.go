package distribution

import (
	"archive/zip"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tool is a command of Apache Kafka: the one that bin/NAME.sh runs in a full distribution.
type Tool struct {
	Name    string
	Classes []string // in order of preference; versions differ
	Brokers string   // flag for the brokers; empty: not needed
	Client  string   // flag for a file of client settings; empty: none
}

const (
	bootstrap = "--bootstrap-server"
	command   = "--command-config"
)

// Tools lists the tools by name.
func Tools() []Tool {
	tools := "org.apache.kafka.tools."
	all := []Tool{
		{"kafka-acls", []string{tools + "AclCommand", "kafka.admin.AclCommand"}, bootstrap, command},
		{"kafka-broker-api-versions", []string{tools + "BrokerApiVersionsCommand", "kafka.admin.BrokerApiVersionsCommand"}, bootstrap, command},
		{"kafka-client-metrics", []string{tools + "ClientMetricsCommand"}, bootstrap, command},
		{"kafka-cluster", []string{tools + "ClusterTool", "kafka.tools.ClusterTool"}, "", ""},
		{"kafka-configs", []string{tools + "ConfigCommand", "kafka.admin.ConfigCommand"}, bootstrap, command},
		{"kafka-console-consumer", []string{tools + "consumer.ConsoleConsumer"}, bootstrap, "--consumer.config"},
		{"kafka-console-producer", []string{tools + "ConsoleProducer", "kafka.tools.ConsoleProducer"}, bootstrap, "--producer.config"},
		{"kafka-consumer-groups", []string{tools + "consumer.group.ConsumerGroupCommand"}, bootstrap, command},
		{"kafka-consumer-perf-test", []string{tools + "ConsumerPerformance"}, bootstrap, "--consumer.config"},
		{"kafka-delegation-tokens", []string{tools + "DelegationTokenCommand"}, bootstrap, command},
		{"kafka-delete-records", []string{tools + "DeleteRecordsCommand"}, bootstrap, command},
		{"kafka-dump-log", []string{tools + "DumpLogSegments", "kafka.tools.DumpLogSegments"}, "", ""},
		{"kafka-features", []string{tools + "FeatureCommand", "kafka.admin.FeatureCommand"}, bootstrap, command},
		{"kafka-get-offsets", []string{tools + "GetOffsetShell"}, bootstrap, command},
		{"kafka-groups", []string{tools + "GroupsCommand"}, bootstrap, command},
		{"kafka-jmx", []string{tools + "JmxTool", "kafka.tools.JmxTool"}, "", ""},
		{"kafka-leader-election", []string{tools + "LeaderElectionCommand"}, bootstrap, "--admin.config"},
		{"kafka-log-dirs", []string{tools + "LogDirsCommand"}, bootstrap, command},
		{"kafka-metadata-quorum", []string{tools + "MetadataQuorumCommand"}, bootstrap, command},
		{"kafka-producer-perf-test", []string{tools + "ProducerPerformance"}, "", "--producer.config"},
		{"kafka-reassign-partitions", []string{tools + "reassign.ReassignPartitionsCommand"}, bootstrap, command},
		{"kafka-replica-verification", []string{tools + "ReplicaVerificationTool"}, "--broker-list", ""},
		{"kafka-share-groups", []string{tools + "consumer.group.ShareGroupCommand"}, bootstrap, command},
		{"kafka-storage", []string{tools + "StorageTool", "kafka.tools.StorageTool"}, "", ""},
		{"kafka-streams-application-reset", []string{tools + "StreamsResetter", "kafka.tools.StreamsResetter"}, bootstrap, "--config-file"},
		{"kafka-streams-groups", []string{tools + "streams.StreamsGroupCommand"}, bootstrap, command},
		{"kafka-topics", []string{tools + "TopicCommand"}, bootstrap, command},
		{"kafka-transactions", []string{tools + "TransactionsCommand"}, bootstrap, command},
		{"kafka-verifiable-consumer", []string{tools + "VerifiableConsumer"}, bootstrap, command},
		{"kafka-verifiable-producer", []string{tools + "VerifiableProducer"}, bootstrap, command},
		{"connect-plugin-path", []string{tools + "ConnectPluginPath"}, "", ""},
		{"zookeeper-shell", []string{"org.apache.zookeeper.ZooKeeperMain"}, "", ""},
	}
	return all
}

// FindTool returns the tool with a name, with or without .sh.
func FindTool(name string) (Tool, bool) {
	name = strings.TrimSuffix(name, ".sh")
	all := Tools()
	i := slices.IndexFunc(all, func(t Tool) bool { return t.Name == name })
	if i < 0 {
		return Tool{}, false
	}
	return all[i], true
}

// Class returns the tool's class that the distribution contains. It opens each jar.
func (h Home) Class(t Tool) (string, error) {
	have := map[string]bool{}
	for _, class := range t.Classes {
		have[strings.ReplaceAll(class, ".", "/")+".class"] = false
	}
	for _, jar := range h.Jars {
		r, err := zip.OpenReader(jar)
		if err != nil {
			return "", fmt.Errorf("%s: %w", jar, err)
		}
		for _, f := range r.File {
			if _, wanted := have[f.Name]; wanted {
				have[f.Name] = true
			}
		}
		r.Close()
	}
	for _, class := range t.Classes {
		if have[strings.ReplaceAll(class, ".", "/")+".class"] {
			return class, nil
		}
	}
	return "", fmt.Errorf("Kafka %s in %s has no %s (looked for %s)", h.Kafka, h.Dir, t.Name, strings.Join(slices.Sorted(maps.Keys(have)), ", "))
}

// ArgumentFile is the class path as an argument file of java: otherwise a hundred jars would fill every process
// listing.
func (h Home) ArgumentFile() string {
	list := strings.Join(h.Jars, ":")
	return "-cp\n\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(list) + "\"\n"
}
