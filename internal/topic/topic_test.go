package topic_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/smartlb/smartlb/api"
	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/topic"
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
		topic.Rekey, topic.NodeStatus, topic.ServiceMetricsDLQ, topic.HealthStatusDLQ,
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
		event.TopicRekey, event.TopicNodeStatus, event.TopicServiceMetricsDLQ, event.TopicHealthStatusDLQ,
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

func TestParseReportsEveryMistake(t *testing.T) {
	_, err := topic.Parse([]byte(`
topics:
  - {name: "bad name", description: d, owner: o, key: k, partitions: 1, configs: {}}
  - {name: a.b, description: d, owner: o, key: k, partitions: 0, configs: {}}
support:
  - {name: a_b, description: "", owner: o, key: k, partitions: 1, configs: {}}
`))
	for _, want := range []string{"[0].name", "[1].partitions", "[2].name", "[2].description"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %s", err, want)
		}
	}
	if _, err := topic.Parse([]byte("topics: [{nam: x}]")); err == nil {
		t.Error("an unknown field passes")
	}
}

func TestDiffSaysWhatToDo(t *testing.T) {
	desired := topic.Catalog{
		{Name: "new", Partitions: 3},
		{Name: "small", Partitions: 3},
		{Name: "big", Partitions: 1},
		{Name: "other", Partitions: 1, Configs: map[string]string{"retention.ms": "7", "cleanup.policy": "delete"}},
	}
	actual := map[string]topic.Actual{
		"small":   {Partitions: 1},
		"big":     {Partitions: 2},
		"other":   {Partitions: 1, Configs: map[string]string{"retention.ms": "5", "cleanup.policy": "delete", "segment.ms": "9"}},
		"foreign": {Partitions: 1},
	}
	var got []string
	for _, s := range topic.Diff(desired, actual) {
		got = append(got, s.String())
	}
	want := []string{
		"+ new (3 partitions)",
		"~ small partitions 1 -> 3: records of one key move to another partition from then on",
		"! big has 2 partitions instead of 1, and Kafka cannot take partitions away",
		"~ other retention.ms 5 -> 7",
		"? other segment.ms=9 is not in the catalog",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAPlanThatWasCarriedOutLeavesNothingToDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configs := rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"1", "2"}))
		names := []string{"x", "y", "z"}
		var desired topic.Catalog
		actual := map[string]topic.Actual{}
		for _, n := range names {
			desired = append(desired, topic.Spec{Name: n, Partitions: int32(rapid.IntRange(1, 3).Draw(t, "want")), Configs: configs.Draw(t, "wantConfigs")})
			if rapid.Bool().Draw(t, "exists") {
				actual[n] = topic.Actual{Name: n, Partitions: int32(rapid.IntRange(1, 3).Draw(t, "have")), Configs: configs.Draw(t, "haveConfigs")}
			}
		}
		for _, s := range topic.Diff(desired, actual) {
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
			}
			actual[s.Topic] = a
		}
		rest := topic.Diff(desired, actual)
		if rest.Changes() {
			t.Fatalf("still to do: %v", rest)
		}
		if slices.ContainsFunc(rest, func(s topic.Step) bool { return s.Kind == topic.Create }) {
			t.Fatal("a topic was not created")
		}
	})
}
