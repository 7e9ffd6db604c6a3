package topic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/api"
	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka/topic"
)

func catalog(t *testing.T) topic.Catalog {
	t.Helper()
	c, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheCatalogHasTheNamedTopicsInTheirOrder(t *testing.T) {
	want := []string{
		topic.ServiceMetrics, topic.HealthStatus, topic.RoutingDecisions, topic.ConfigUpdates,
		topic.Alerts, topic.AuditLogs, topic.MetricsAggregated, topic.HealthScores,
		topic.Rekey, topic.NodeStatus, topic.RateLimits, topic.AccessLogs, topic.ServiceMetricsDLQ, topic.HealthStatusDLQ,
	}
	if diff := cmp.Diff(want, catalog(t).Names()); diff != "" {
		t.Error(diff)
	}
	for i, s := range catalog(t) {
		if s.Support != (i >= 8) {
			t.Errorf("%s: support is %v", s.Name, s.Support)
		}
	}
}

func TestTheMessagesAgreeWithTheCatalogOnNames(t *testing.T) {
	want := catalog(t).Names()
	got := []string{
		event.TopicServiceMetrics, event.TopicHealthStatus, event.TopicRoutingDecisions, event.TopicConfigUpdates,
		event.TopicAlerts, event.TopicAuditLogs, event.TopicMetricsAggregated, event.TopicHealthScores,
		event.TopicRekey, event.TopicNodeStatus, event.TopicRateLimits, event.TopicAccessLogs, event.TopicServiceMetricsDLQ, event.TopicHealthStatusDLQ,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheCatalogKeepsItsPromises(t *testing.T) {
	const day = 86_400_000
	for name, want := range map[string]struct {
		partitions int32
		days       int64
		bytes      int
	}{
		"service-metrics":    {3, 7, 11_534_336},
		"health-status":      {3, 7, 11_534_336},
		"routing-decisions":  {3, 7, 11_534_336},
		"config-updates":     {1, -1, 11_534_336},
		"alerts":             {1, 30, 1_048_588},
		"audit-logs":         {1, 30, 1_048_588},
		"metrics-aggregated": {3, 7, 11_534_336},
		"health-scores":      {3, 7, 1_048_588},
	} {
		s, _ := catalog(t).Find(name)
		retention := fmt.Sprint(want.days * day)
		if want.days < 0 {
			retention = "-1"
		}
		if s.Partitions != want.partitions || s.Configs["retention.ms"] != retention || s.Configs["max.message.bytes"] != fmt.Sprint(want.bytes) || s.Configs["cleanup.policy"] != "delete" {
			t.Errorf("%s is %+v, want %+v", name, s, want)
		}
	}
}

func TestEverySchemaOfTheCatalogExists(t *testing.T) {
	for _, s := range catalog(t) {
		if s.Schema == "" {
			continue
		}
		if _, err := api.Schemas.Open("schemas/" + s.Schema); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}

func TestTheCatalogDescribesEveryTopic(t *testing.T) {
	for _, s := range catalog(t) {
		if s.Description == "" || s.Owner == "" || s.Key == "" {
			t.Errorf("%s lacks a description, an owner or a key", s.Name)
		}
	}
}

func TestParseReportsEveryMistake(t *testing.T) {
	_, err := topic.Parse([]byte(`
topics:
  - {name: "bad name", partitions: 1}
  - {name: a.b, partitions: 0, configs: {retention: "1"}}
support:
  - {name: a_b, partitions: 1, replicas: -1, configs: {retention.ms: soon, cleanup.policy: "delete,nonsense"}}
`))
	for _, want := range []string{
		"[0].name", "[1].partitions", "[2].name", "[2].replicas",
		`"retention" is no topic configuration`, `"soon" is no whole number`, `is not one of delete, compact`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %s", err, want)
		}
	}
	if _, err := topic.Parse([]byte("topics: [{nam: x}]")); err == nil {
		t.Error("an unknown field passes")
	}
}

func TestDiffSaysWhatToDo(t *testing.T) {
	no := false
	desired := topic.Catalog{
		{Name: "new", Partitions: 3},
		{Name: "wide", Partitions: 3, Replicas: 3},
		{Name: "small", Partitions: 3},
		{Name: "empty", Partitions: 3},
		{Name: "unkeyed", Partitions: 3, Keyed: &no},
		{Name: "big", Partitions: 1},
		{Name: "copies", Partitions: 1, Replicas: 2},
		{Name: "other", Partitions: 1, Configs: map[string]string{"retention.ms": "604800000", "cleanup.policy": "delete", "max.message.bytes": "1048576"}},
	}
	actual := map[string]topic.Actual{
		"small":              {Partitions: 1, Messages: 5},
		"empty":              {Partitions: 1},
		"unkeyed":            {Partitions: 1, Messages: 5},
		"big":                {Partitions: 2},
		"copies":             {Partitions: 1, Replicas: 1},
		"other":              {Partitions: 1, Messages: 9, Configs: map[string]string{"retention.ms": "2592000000", "cleanup.policy": "delete", "segment.ms": "9"}, Defaults: map[string]string{"max.message.bytes": "11534336"}},
		"foreign":            {Partitions: 1},
		"__consumer_offsets": {Partitions: 50},
	}
	for _, row := range []struct {
		rules topic.Rules
		last  string // of the steps of "other"
	}{
		{topic.Rules{Brokers: 1}, "? other segment.ms=9 ms is not in the catalog"},
		{topic.Rules{Brokers: 1, ResetUnmanaged: true}, "~ other segment.ms 9 ms -> (default)"},
	} {
		var got []string
		for _, s := range row.rules.Diff(desired, actual) {
			got = append(got, s.String())
		}
		want := []string{
			"+ new (3 partitions)",
			"! wide is to have 3 replicas, and the cluster has 1 brokers",
			"~ small partitions 1 -> 3: records of one key move to another partition from then on (needs --allow-repartition)",
			"~ empty partitions 1 -> 3",
			"~ unkeyed partitions 1 -> 3",
			"! big has 2 partitions instead of 1, and Kafka cannot remove partitions",
			"! copies has 1 replicas instead of 2: move them with kafka-reassign-partitions.sh",
			"~ other max.message.bytes (default) -> 1 MiB: batches larger than 1 MiB are refused from then on (needs --allow-loss)",
			"~ other retention.ms 30 d -> 7 d: records older than 7 d are deleted (needs --allow-loss)",
			row.last,
			"? foreign is not in the catalog",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPeopleReadAndWriteUnits(t *testing.T) {
	for _, row := range []struct{ key, value, human string }{
		{"retention.ms", "604800000", "7 d"},
		{"retention.ms", "3600000", "1 h"},
		{"retention.ms", "-1", "unlimited"},
		{"max.message.bytes", "11534336", "11 MiB"},
		{"max.message.bytes", "1048588", "1048588 B"},
		{"segment.ms", "90000", "1.5 min"},
		{"cleanup.policy", "delete", "delete"},
		{"retention.ms", "soon", "soon"},
		{"min.insync.replicas", "1000", "1000"},
		{"retention.ms", "0", "0"},
	} {
		if got := topic.Human(row.key, row.value); got != row.human {
			t.Errorf("%s=%s reads %q, want %q", row.key, row.value, got, row.human)
		}
	}
	for _, row := range []struct{ key, typed, want string }{
		{"retention.ms", "7d", "604800000"}, {"retention.ms", "7 Days", "604800000"}, {"retention.ms", "1.5h", "5400000"},
		{"retention.ms", "unlimited", "-1"}, {"retention.ms", "90m", "5400000"}, {"retention.ms", "250ms", "250"}, {"retention.ms", "32.49 s", "32490"},
		{"max.message.bytes", "11MiB", "11534336"}, {"max.message.bytes", "11 MB", "11534336"}, {"segment.bytes", "1g", "1073741824"},
		{"retention.ms", "7 parsecs", "7 parsecs"}, {"retention.ms", "-3d", "-3d"}, {"cleanup.policy", "1d", "1d"}, {"retention.ms", "9e99d", "9e99d"},
	} {
		if got := topic.FromHuman(row.key, row.typed); got != row.want {
			t.Errorf("%s=%s is %q, want %q", row.key, row.typed, got, row.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom([]string{"retention.ms", "retention.bytes", "segment.bytes"}).Draw(t, "key")
		value := fmt.Sprint(rapid.Int64Range(-1, 1<<50).Draw(t, "value"))
		if got := topic.FromHuman(key, topic.Human(key, value)); got != value {
			t.Fatalf("%s=%s becomes %s and then %s", key, value, topic.Human(key, value), got)
		}
	})
}

// carryOut does to a model of a cluster what Kafka would do.
func carryOut(desired topic.Catalog, actual map[string]topic.Actual, plan topic.Plan) {
	for _, s := range plan {
		want, _ := desired.Find(s.Topic)
		a := actual[s.Topic]
		switch s.Kind {
		case topic.Create:
			a = topic.Actual{Name: s.Topic, Partitions: want.Partitions, Configs: map[string]string{}}
			for k, v := range want.Configs {
				a.Configs[k] = v
			}
		case topic.AddPartitions:
			a.Partitions = want.Partitions
		case topic.SetConfig:
			a.Configs[s.Config] = s.To
		case topic.UnsetConfig:
			delete(a.Configs, s.Config)
		default:
			continue
		}
		actual[s.Topic] = a
	}
}

func TestAPlanThatWasCarriedOutLeavesNothingToDoAndDeletesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configs := rapid.MapOf(rapid.SampledFrom([]string{"retention.ms", "segment.ms", "cleanup.policy"}), rapid.SampledFrom([]string{"1", "2", "compact"}))
		var desired topic.Catalog
		actual := map[string]topic.Actual{}
		for _, n := range []string{"x", "y", "z", "foreign"} {
			if n != "foreign" {
				desired = append(desired, topic.Spec{Name: n, Partitions: int32(rapid.IntRange(1, 3).Draw(t, "want")), Configs: configs.Draw(t, "wantConfigs")})
			}
			if rapid.Bool().Draw(t, "exists") {
				actual[n] = topic.Actual{
					Name: n, Partitions: int32(rapid.IntRange(1, 3).Draw(t, "have")), Messages: rapid.Int64Range(-1, 1).Draw(t, "messages"),
					Configs: configs.Draw(t, "haveConfigs"),
				}
			}
		}
		rules := topic.Rules{ResetUnmanaged: rapid.Bool().Draw(t, "reset"), Brokers: 1}
		before := len(actual)
		plan := rules.Diff(desired, actual)
		for _, s := range plan {
			if s.Kind == topic.AddPartitions && s.Needs == "" && actual[s.Topic].Messages != 0 {
				t.Fatalf("%v asks for nothing although the topic has records", s)
			}
		}
		carryOut(desired, actual, plan)
		rest := rules.Diff(desired, actual)
		if rest.Changes() {
			t.Fatalf("still to do: %v", rest)
		}
		if len(actual) < before {
			t.Fatal("a topic is gone")
		}
	})
}
