package crash

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAWriteThatTheDiskRefusesIsNotAcknowledged runs the broker where no file
// may grow beyond a quarter of a MiB, as on a disk that is full in spite of what
// it says. What was acknowledged is there after a kill and without the limit.
func TestAWriteThatTheDiskRefusesIsNotAcknowledged(t *testing.T) {
	v := newVictim(t)
	v.start()
	l := &load{t: t, addr: v.addr, book: newLedger()}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	setup := l.client()
	made, err := kadm.NewClient(setup).CreateTopic(ctx, 1, 1, nil, "a")
	setup.Close()
	if err != nil || made.Err != nil {
		t.Fatal(err, made.Err)
	}
	v.stop()

	v.limit = 256
	v.start()
	cl := l.client(kgo.ProducerBatchCompression(kgo.NoCompression()))
	acked := map[int64]string{}
	refused := 0
	for i := 0; i < 60; i++ {
		value := valueOf(identity{"w", i}, 10_000)
		r := &kgo.Record{Topic: "a", Value: value}
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			refused++
			continue
		}
		acked[r.Offset] = string(value)
	}
	cl.Close()
	if refused == 0 || len(acked) < 5 {
		t.Fatalf("%d records were acknowledged and %d refused, want some of both", len(acked), refused)
	}
	v.kill()

	v.limit = 0
	v.start()
	reader := l.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"a": {0: kgo.NewOffset().AtStart()}}))
	defer reader.Close()
	for len(acked) > 0 {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d acknowledged records are gone", len(acked))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if want, ok := acked[r.Offset]; ok && want != string(r.Value) {
				t.Error(fmt.Errorf("offset %d holds another record than was acknowledged", r.Offset))
			}
			delete(acked, r.Offset)
		})
	}
	writer := l.client()
	defer writer.Close()
	if err := writer.ProduceSync(ctx, &kgo.Record{Topic: "a", Value: []byte("again")}).FirstErr(); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
