package admin_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/test/brokertest"
)

func TestEnsureTopicsCreatesTheCatalogOnceAndInOrder(t *testing.T) {
	_, client := brokertest.New(t)
	got, err := admin.EnsureTopics(t.Context(), client, brokertest.Catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(brokertest.Catalog(t).Names(), got.Created); diff != "" || len(got.Existed)+len(got.Missing)+len(got.Drift) > 0 {
		t.Errorf("first: %+v\n%s", got, diff)
	}
	got, err = admin.EnsureTopics(t.Context(), client, brokertest.Catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(brokertest.Catalog(t).Names(), got.Existed); diff != "" || len(got.Created)+len(got.Missing)+len(got.Drift) > 0 {
		t.Errorf("second: %+v\n%s", got, diff)
	}
	listed, err := admin.ListTopics(t.Context(), client, brokertest.Catalog(t), false)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range listed {
		names = append(names, l.Name)
	}
	if diff := cmp.Diff(brokertest.Catalog(t).Names(), names); diff != "" {
		t.Error(diff)
	}
	actual, err := admin.Actual(t.Context(), client, brokertest.Catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if plan := topic.Diff(brokertest.Catalog(t), actual); len(plan) > 0 {
		t.Errorf("the cluster differs from the catalog: %v", plan)
	}
}

func TestEnsureTopicsLeavesExistingTopicsAloneAndSaysSo(t *testing.T) {
	_, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "alerts", Partitions: 2, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	got, err := admin.EnsureTopics(t.Context(), client, brokertest.Catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(got.Drift, func(s topic.Step) bool { return s.Topic == "alerts" && s.Kind == topic.Impossible }) {
		t.Errorf("drift %v does not say that alerts has too many partitions", got.Drift)
	}
	d, err := admin.DescribeTopic(t.Context(), client, brokertest.Catalog(t), "alerts")
	if err != nil || len(d.Partitions) != 2 {
		t.Errorf("alerts has %d partitions, %v; want its own 2", len(d.Partitions), err)
	}
}

func TestEnsureTopicsWaitsForABroker(t *testing.T) {
	cfg := kafka.Default()
	cfg.Brokers = []string{"127.0.0.1:1"}
	cfg.RequestTimeout = 100 * time.Millisecond
	client, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := admin.EnsureTopics(ctx, client, brokertest.Catalog(t)); err == nil {
		t.Error("topics exist although there is no broker")
	}
}

func TestConsumeNamesATopicThatDoesNotExist(t *testing.T) {
	cfg, client := brokertest.New(t)
	for chunk, err := range records.Consume(t.Context(), cfg, records.ConsumeSpec{Topic: "nope", Limit: 1}) {
		if !errors.Is(err, admin.ErrNoTopic) || !strings.Contains(err.Error(), "nope") {
			t.Errorf("got %+v, %v", chunk, err)
		}
	}
	if _, err := admin.DescribeTopic(t.Context(), client, nil, "nope"); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("describe gives %v", err)
	}
	if _, err := admin.DescribeGroup(t.Context(), client, "nope"); !errors.Is(err, admin.ErrNoGroup) {
		t.Errorf("group gives %v", err)
	}
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 1, Replicas: 5}, false); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("five replicas on one broker give %v", err)
	}
}

func TestGroupsAreDescribedWithTheirLagInBothProtocols(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	brokertest.Send(t, cfg, "t", "a", "b", "c")
	for _, row := range []struct {
		group, kind string
		opts        []kgo.Opt
	}{
		{"old", "classic", []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())}},
		{"new", "consumer", []kgo.Opt{kgo.ServerSideBalancer()}},
	} {
		cl, err := kgo.NewClient(append(row.opts, kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumerGroup(row.group), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit(), kgo.ClientID("me"))...)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 3; {
			n += cl.PollFetches(t.Context()).NumRecords()
		}
		if err := kadm.NewClient(client.Client()).CommitAllOffsets(t.Context(), "empty-"+row.group, kadm.Offsets{"t": {0: {Topic: "t", At: 1, LeaderEpoch: -1}}}); err != nil {
			t.Fatal(err)
		}
		d, err := admin.DescribeGroup(t.Context(), client, row.group)
		if err != nil {
			t.Fatal(err)
		}
		if d.Type != row.kind || d.Members != 1 || len(d.Rows) != 1 || d.Rows[0].Client != "me" || d.Rows[0].Current != -1 || d.Rows[0].End != 3 {
			t.Errorf("%s is %+v", row.group, d)
		}
		e, err := admin.DescribeGroup(t.Context(), client, "empty-"+row.group)
		if err != nil || e.Lag != 2 || e.Rows[0].Consumer != "" {
			t.Errorf("a group without members is %+v, %v; want a lag of 2", e, err)
		}
		cl.Close()
	}
	groups, err := admin.ListGroups(t.Context(), client)
	if err != nil || len(groups) != 4 {
		t.Errorf("groups %v, %v; want four", groups, err)
	}
}

func TestHealthNamesWhatIsMissing(t *testing.T) {
	_, client := brokertest.New(t)
	h := admin.CheckHealth(t.Context(), client, brokertest.Catalog(t))
	if !h.Healthy || h.Brokers != 1 || len(h.Missing) != 14 {
		t.Errorf("health is %+v", h)
	}
}
