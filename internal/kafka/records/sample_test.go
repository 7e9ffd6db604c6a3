package records_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/records"
	"github.com/smartlb/smartlb/internal/test/brokertest"
)

func TestConsumeReadsTheSpansThatItIsGiven(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 2, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: int32(i % 2), Compression: "gzip"}, kafka.Record{Key: []byte("k"), Value: fmt.Append(bytes.Repeat([]byte("a"), 500), i)})
	}
	whole, err := records.Spans(t.Context(), cfg, records.ConsumeSpec{Topic: "t", Beginning: true})
	if err != nil || whole[0] != (records.Span{To: 10}) || whole[1] != (records.Span{To: 10}) {
		t.Fatalf("spans %v, %v", whole, err)
	}
	looked, passed, offsets := 0, int64(0), int64(0)
	stop := errors.New("enough of it")
	spec := records.ConsumeSpec{
		Topic: "t", Spans: map[int32]records.Span{0: {From: 3, To: 5}, 1: {From: 8, To: 99}},
		Where:    func(r kafka.Record) (bool, error) { return r.Offset != 3, nil },
		Each:     func(kafka.Record) error { looked++; return nil },
		Progress: func(p, all int64) { passed, offsets = p, all },
	}
	got := map[string]bool{}
	if err := records.Consume(t.Context(), cfg, spec, func(r kafka.Record) error {
		got[fmt.Sprint(r.Partition, ":", r.Offset)] = true
		if r.Origin.Compression() != "gzip" || r.Origin.TimestampType() != "create" {
			t.Errorf("origin %s %s", r.Origin.Compression(), r.Origin.TimestampType())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || !got["0:4"] || !got["1:8"] || !got["1:9"] {
		t.Errorf("got %v", got)
	}
	if looked != 4 || passed != 4 || offsets != 4 {
		t.Errorf("%d looked at, %d of %d passed", looked, passed, offsets)
	}
	spec.Each = func(r kafka.Record) error { return stop }
	if err := records.Consume(t.Context(), cfg, spec, func(kafka.Record) error { return nil }); !errors.Is(err, stop) {
		t.Errorf("it ended with %v", err)
	}
}

// A reader that samples a topic that is too fast reads or counts every record,
// in order, and comes to the newest.
func TestASampleReadsOrCountsEveryRecord(t *testing.T) {
	cfg, client := brokertest.New(t)
	if err := admin.CreateTopic(t.Context(), client, admin.NewTopic{Name: "t", Partitions: 1, Replicas: 1}, false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := errors.New("the newest was seen")
	var read, skipped int64
	first, next := int64(-1), int64(0)
	flooded, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		batch := make([]kafka.Record, 2000)
		for i := range batch {
			batch[i].Value = bytes.Repeat([]byte("x"), 100)
		}
		for range 25 { // five megabytes: twenty times what is fetched at once
			brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1, Compression: "none"}, batch...)
		}
		close(flooded)
		for ctx.Err() == nil { // until one is read after the end of the flood
			brokertest.Ship(t, cfg, records.ProduceSpec{Topic: "t", Partition: -1}, kafka.Record{Value: []byte("last")})
		}
	}()
	spec := records.ConsumeSpec{
		Topic: "t", Beginning: true, Follow: true,
		Sample: &records.Sample{Window: 20 * time.Millisecond, Records: 100, Bytes: 1 << 20, Skipped: func(n int64) { skipped += n }},
	}
	err := records.Consume(ctx, cfg, spec, func(r kafka.Record) error {
		<-flooded // one who looks is slow
		if first < 0 {
			first = r.Offset - skipped
		}
		if r.Offset < next {
			t.Errorf("offset %d after %d", r.Offset, next-1)
		}
		read, next = read+1, r.Offset+1
		if string(r.Value) == "last" {
			return done
		}
		return nil
	})
	cancel()
	<-sent
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	if skipped == 0 {
		t.Error("nothing was skipped of 50,000 records")
	}
	if got := next - first; got != read+skipped {
		t.Errorf("%d read and %d skipped of %d", read, skipped, got)
	}
}

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
