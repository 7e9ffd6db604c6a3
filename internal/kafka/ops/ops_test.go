package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/broker"
)

// cluster starts an embedded broker and returns a configuration for it.
func cluster(t *testing.T) (kafka.Config, *kafka.Admin) {
	t.Helper()
	bc := broker.Default()
	bc.Dir, bc.External, bc.Internal = t.TempDir(), "127.0.0.1:0", ""
	b, err := broker.New(bc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{b.Addr()}, 0
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	return cfg, admin
}

func catalog(t *testing.T) topic.Catalog {
	t.Helper()
	c, err := topic.Parse(deployment.Topics)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, cfg kafka.Config, topic string, values ...string) {
	t.Helper()
	p, err := kafka.NewProducer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	began := time.Now().Add(-time.Hour)
	for i, v := range values {
		// another key each, so that the values spread over the partitions
		if _, err := p.SendSync(t.Context(), kafka.Record{Topic: topic, Key: fmt.Append(nil, i), Value: []byte(v), Timestamp: began.Add(time.Duration(i) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnsureTopicsCreatesTheCatalogOnceAndInOrder(t *testing.T) {
	_, admin := cluster(t)
	got, err := ops.EnsureTopics(t.Context(), admin, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(catalog(t).Names(), got.Created); diff != "" || len(got.Existed)+len(got.Missing)+len(got.Drift) > 0 {
		t.Errorf("first: %+v\n%s", got, diff)
	}
	got, err = ops.EnsureTopics(t.Context(), admin, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(catalog(t).Names(), got.Existed); diff != "" || len(got.Created)+len(got.Missing)+len(got.Drift) > 0 {
		t.Errorf("second: %+v\n%s", got, diff)
	}
	listed, err := ops.ListTopics(t.Context(), admin, catalog(t), false)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range listed {
		names = append(names, l.Name)
	}
	if diff := cmp.Diff(catalog(t).Names(), names); diff != "" {
		t.Error(diff)
	}
	actual, err := ops.Actual(t.Context(), admin, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if plan := topic.Diff(catalog(t), actual); len(plan) > 0 {
		t.Errorf("the cluster differs from the catalog: %v", plan)
	}
}

func TestEnsureTopicsLeavesExistingTopicsAloneAndSaysSo(t *testing.T) {
	_, admin := cluster(t)
	if err := ops.CreateTopic(t.Context(), admin, ops.NewTopic{Name: "alerts", Partitions: 2, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	got, err := ops.EnsureTopics(t.Context(), admin, catalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(got.Drift, func(s topic.Step) bool { return s.Topic == "alerts" && s.Kind == topic.Impossible }) {
		t.Errorf("drift %v does not say that alerts has too many partitions", got.Drift)
	}
	d, err := ops.DescribeTopic(t.Context(), admin, catalog(t), "alerts")
	if err != nil || len(d.Partitions) != 2 {
		t.Errorf("alerts has %d partitions, %v; want its own 2", len(d.Partitions), err)
	}
}

func TestEnsureTopicsWaitsForABroker(t *testing.T) {
	cfg := kafka.Default()
	cfg.Brokers = []string{"127.0.0.1:1"}
	cfg.RequestTimeout = 100 * time.Millisecond
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := ops.EnsureTopics(ctx, admin, catalog(t)); err == nil {
		t.Error("topics exist although there is no broker")
	}
}

func TestConsumePrintsTheLastRecordsOldestFirstAndEnds(t *testing.T) {
	cfg, admin := cluster(t)
	if err := ops.CreateTopic(t.Context(), admin, ops.NewTopic{Name: "t", Partitions: 3, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	read := func(spec ops.ConsumeSpec) string {
		t.Helper()
		spec.Topic = "t"
		var got []string
		if err := ops.Consume(t.Context(), cfg, spec, func(r kafka.Record) error {
			got = append(got, string(r.Value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, "")
	}
	if got := read(ops.ConsumeSpec{Limit: 5}); got != "" {
		t.Errorf("an empty topic gives %q", got)
	}
	send(t, cfg, "t", strings.Split("abcdefghij", "")...)
	if got := read(ops.ConsumeSpec{Limit: 4}); got != "ghij" {
		t.Errorf("the last four are %q", got)
	}
	if got := read(ops.ConsumeSpec{Limit: 40}); got != "abcdefghij" {
		t.Errorf("the last forty are %q", got)
	}
	if got := read(ops.ConsumeSpec{Beginning: true}); len(got) != 10 {
		t.Errorf("from the beginning there are %q", got)
	}
	if got := read(ops.ConsumeSpec{Beginning: true, Limit: 3}); len(got) != 3 {
		t.Errorf("the first three are %q", got)
	}
}

func TestConsumeFollowsUntilItIsStopped(t *testing.T) {
	cfg, admin := cluster(t)
	if err := ops.CreateTopic(t.Context(), admin, ops.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	send(t, cfg, "t", "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := ""
	err := ops.Consume(ctx, cfg, ops.ConsumeSpec{Topic: "t", Limit: 1, Follow: true}, func(r kafka.Record) error {
		if got += string(r.Value); got == "b" {
			send(t, cfg, "t", "c")
		}
		if got == "bc" {
			cancel()
		}
		return nil
	})
	if got != "bc" || !errors.Is(err, context.Canceled) {
		t.Errorf("read %q and %v, want bc and the end of the context", got, err)
	}
}

func TestConsumeNamesATopicThatDoesNotExist(t *testing.T) {
	cfg, admin := cluster(t)
	err := ops.Consume(t.Context(), cfg, ops.ConsumeSpec{Topic: "nope", Limit: 1}, nil)
	if !errors.Is(err, ops.ErrNoTopic) || !strings.Contains(err.Error(), "nope") {
		t.Errorf("got %v", err)
	}
	if _, err := ops.DescribeTopic(t.Context(), admin, nil, "nope"); !errors.Is(err, ops.ErrNoTopic) {
		t.Errorf("describe gives %v", err)
	}
	if _, err := ops.DescribeGroup(t.Context(), admin, "nope"); !errors.Is(err, ops.ErrNoGroup) {
		t.Errorf("group gives %v", err)
	}
	if err := ops.CreateTopic(t.Context(), admin, ops.NewTopic{Name: "t", Partitions: 1, Replicas: 5}, false); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("five replicas on one broker give %v", err)
	}
}

func TestGroupsAreDescribedWithTheirLagInBothProtocols(t *testing.T) {
	cfg, admin := cluster(t)
	if err := ops.CreateTopic(t.Context(), admin, ops.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	send(t, cfg, "t", "a", "b", "c")
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
		if err := kadm.NewClient(admin.Client()).CommitAllOffsets(t.Context(), "empty-"+row.group, kadm.Offsets{"t": {0: {Topic: "t", At: 1, LeaderEpoch: -1}}}); err != nil {
			t.Fatal(err)
		}
		d, err := ops.DescribeGroup(t.Context(), admin, row.group)
		if err != nil {
			t.Fatal(err)
		}
		if d.Type != row.kind || d.Members != 1 || len(d.Rows) != 1 || d.Rows[0].Client != "me" || d.Rows[0].Current != -1 || d.Rows[0].End != 3 {
			t.Errorf("%s is %+v", row.group, d)
		}
		e, err := ops.DescribeGroup(t.Context(), admin, "empty-"+row.group)
		if err != nil || e.Lag != 2 || e.Rows[0].Consumer != "" {
			t.Errorf("a group without members is %+v, %v; want a lag of 2", e, err)
		}
		cl.Close()
	}
	groups, err := ops.ListGroups(t.Context(), admin)
	if err != nil || len(groups) != 4 {
		t.Errorf("groups %v, %v; want four", groups, err)
	}
}

func TestHealthNamesWhatIsMissing(t *testing.T) {
	_, admin := cluster(t)
	h := ops.CheckHealth(t.Context(), admin, catalog(t))
	if !h.Healthy || h.Brokers != 1 || len(h.Missing) != 12 {
		t.Errorf("health is %+v", h)
	}
}

func TestMessagesSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }))
		r := kafka.Record{Topic: "t", Key: bytes.Draw(t, "key"), Value: bytes.Draw(t, "value"), Timestamp: time.UnixMilli(rapid.Int64Range(0, 1<<40).Draw(t, "ms")).UTC()}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, kafka.Header{Key: rapid.String().Draw(t, "hk"), Value: bytes.Draw(t, "hv")})
		}
		b, err := json.Marshal(ops.MessageOf(r))
		if err != nil {
			t.Fatal(err)
		}
		m, err := ops.ParseMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Record()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("%s\n%s", b, diff)
		}
	})
}
