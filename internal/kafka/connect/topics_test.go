package connect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// A source connector with a topic that does not exist was RUNNING and silent.
func TestTopicsThatAConnectorWaitsForAreMissing(t *testing.T) {
	creation := map[string]string{"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "-1"}
	for _, row := range []struct {
		story  string
		kind   string
		config map[string]string
		want   []string
	}{
		{"a source names its topic", "source", map[string]string{"topic": "new"}, []string{"new"}},
		{"the topic exists", "source", map[string]string{"topic": "there"}, nil},
		{"another usual setting", "source", map[string]string{"kafka.topic": "new"}, []string{"new"}},
		{"the worker creates it", "source", with(creation, "topic", "new"), nil},
		{"half of what the worker needs creates nothing", "source", map[string]string{"topic": "new", "topic.creation.default.partitions": "1"}, []string{"new"}},
		{"a template is no name", "source", map[string]string{"topic": "db-${table}"}, nil},
		{"a transformation may rename the topic", "source", map[string]string{"topic": "new", "transforms": "route"}, nil},
		{"a sink reads several topics", "sink", map[string]string{"topics": "b, there ,a,b,"}, []string{"a", "b"}},
		{"a sink with transformations reads them all the same", "sink", map[string]string{"topics": "a", "transforms": "x"}, []string{"a"}},
		{"a worker does not create topics for a sink", "sink", with(creation, "topics", "a"), []string{"a"}},
		{"a pattern names no topic", "sink", map[string]string{"topics.regex": "a.*"}, nil},
		{"a kind that is not known", "", map[string]string{"topic": "new"}, nil},
	} {
		got := connect.MissingTopics(row.kind, row.config, func(topic string) bool { return topic == "there" })
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %s", row.story, diff)
		}
	}
}

func with(config map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range config {
		out[k] = v
	}
	return out
}

func TestNewSourceConnectorsLetTheWorkerCreateTopics(t *testing.T) {
	plain := map[string]string{"topic": "t"}
	created := connect.WithTopicCreation("source", plain, nil)
	if !connect.CreatesTopics(created) || len(plain) != 1 {
		t.Errorf("a new source gets %v, and the settings given are %v", created, plain)
	}
	again := connect.WithTopicCreation("source", plain, created)
	if diff := cmp.Diff(created, again); diff != "" {
		t.Errorf("the same file again gives other settings:\n%s", diff)
	}
	for story, got := range map[string]map[string]string{
		"a sink":                          connect.WithTopicCreation("sink", plain, nil),
		"a connector that exists without": connect.WithTopicCreation("source", plain, map[string]string{"topic": "t"}),
	} {
		if diff := cmp.Diff(plain, got); diff != "" {
			t.Errorf("%s is changed:\n%s", story, diff)
		}
	}
	own := map[string]string{"topic": "t", "topic.creation.groups": "g"}
	if diff := cmp.Diff(own, connect.WithTopicCreation("source", own, nil)); diff != "" {
		t.Errorf("settings about the creation of topics are changed:\n%s", diff)
	}
}
