package records_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/brokertest"
)

func TestABatchIsToldByAnyOfItsOffsets(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("a"), 1000)
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1, Compression: "none"}, kafka.Record{Value: long})
	brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1, Compression: "lz4", Linger: time.Minute}, slices.Repeat([]kafka.Record{{Value: long}}, 100)...)
	b, err := records.BatchOf(t.Context(), client, "t", 0, 0)
	if err != nil || b.Compression != "none" || b.Records != 1 || b.First != 0 || b.Last != 0 || b.Bytes < 1000 {
		t.Errorf("%+v %v", b, err)
	}
	several := false // how a hundred records become batches is the client's affair
	for first := int64(1); first <= 100; {
		whole, err := records.BatchOf(t.Context(), client, "t", 0, first)
		if err != nil || whole.Compression != "lz4" || whole.First != first || int64(whole.Records) != whole.Last-first+1 || whole.Bytes > 2000 {
			t.Fatalf("offset %d: %+v %v", first, whole, err)
		}
		for offset := first; offset <= whole.Last; offset++ {
			if b, err := records.BatchOf(t.Context(), client, "t", 0, offset); err != nil || b != whole {
				t.Errorf("offset %d: %+v, want %+v: %v", offset, b, whole, err)
			}
		}
		several = several || whole.Records > 1
		first = whole.Last + 1
	}
	if !several {
		t.Error("no batch holds several records")
	}
	for _, offset := range []int64{101, 999} {
		if b, err := records.BatchOf(t.Context(), client, "t", 0, offset); err == nil {
			t.Errorf("offset %d: %+v", offset, b)
		}
	}
	if _, err := records.BatchOf(t.Context(), client, "nobody", 0, 0); !errors.Is(err, admin.ErrNoTopic) {
		t.Errorf("%v", err)
	}
}
