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
		for _, r := range all(t, cfg, spec) {
			got = append(got, string(r.Value))
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
	got, _, err := follow(ctx, cfg, 1, func(values string) error {
		switch values {
		case "b":
			brokertest.Send(t, cfg, "t", "c")
		case "bc":
			cancel()
		}
		return nil
	})
	if got != "bc" || !errors.Is(err, context.Canceled) {
		t.Errorf("read %q and %v, want bc and the end of the context", got, err)
	}
}

// Leaving the loop ends reading, and a filter that fails ends it after the records that it let pass.
func TestConsumeEndsWithItsLoopAndWithItsFilter(t *testing.T) {
	cfg, client := brokertest.New(t)
	brokertest.Create(t, client, "t", 1, nil)
	brokertest.Send(t, cfg, "t", strings.Split("abcdef", "")...)
	for chunk, err := range records.Consume(t.Context(), cfg, records.ConsumeSpec{Topic: "t", Beginning: true, Follow: true}) {
		if err != nil || len(chunk.Records) == 0 {
			t.Fatalf("%+v, %v", chunk, err)
		}
		break
	}
	broken := errors.New("broken")
	spec := records.ConsumeSpec{Topic: "t", Beginning: true, Where: func(r kafka.Record) (bool, error) {
		if string(r.Value) == "d" {
			return false, broken
		}
		return string(r.Value) != "b", nil
	}}
	got, read, last := "", int64(0), error(nil)
	for chunk, err := range records.Consume(t.Context(), cfg, spec) {
		for _, r := range chunk.Records {
			got += string(r.Value)
		}
		read, last = max(read, chunk.Read), err
	}
	if got != "ac" || read != 4 || !errors.Is(last, broken) {
		t.Errorf("%q of %d records, and %v", got, read, last)
	}
}
