package records_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/brokertest"
)

func TestConsumePrintsTheLastRecordsOldestFirstAndEnds(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 3, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	read := func(spec records.ConsumeSpec) string {
		t.Helper()
		spec.Topic = "t"
		var got []string
		if err := records.Consume(t.Context(), cfg, spec, func(r kafka.Record) error {
			got = append(got, string(r.Value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, "")
	}
	if got := read(records.ConsumeSpec{Limit: 5}); got != "" {
		t.Errorf("an empty topic gives %q", got)
	}
	brokertest.Send(t, cfg, "t", strings.Split("abcdefghij", "")...)
	if got := read(records.ConsumeSpec{Limit: 4}); got != "ghij" {
		t.Errorf("the last four are %q", got)
	}
	if got := read(records.ConsumeSpec{Limit: 40}); got != "abcdefghij" {
		t.Errorf("the last forty are %q", got)
	}
	if got := read(records.ConsumeSpec{Beginning: true}); len(got) != 10 {
		t.Errorf("from the beginning there are %q", got)
	}
	if got := read(records.ConsumeSpec{Beginning: true, Limit: 3}); len(got) != 3 {
		t.Errorf("the first three are %q", got)
	}
}

func TestConsumeFollowsUntilItIsStopped(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	brokertest.Send(t, cfg, "t", "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := ""
	err := records.Consume(ctx, cfg, records.ConsumeSpec{Topic: "t", Limit: 1, Follow: true}, func(r kafka.Record) error {
		if got += string(r.Value); got == "b" {
			brokertest.Send(t, cfg, "t", "c")
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
