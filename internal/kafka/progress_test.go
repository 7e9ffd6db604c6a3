package kafka_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

func TestALagCountsWhatWasNotHandledYet(t *testing.T) {
	c := kafkatest.New(t, "a")
	p := producer(t, config(c))
	at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	for range 5 {
		if _, err := p.SendSync(t.Context(), kafka.Record{Topic: "a", Value: []byte("x"), Timestamp: at}); err != nil {
			t.Fatal(err)
		}
	}
	tail, err := kafka.NewTail(config(c), kafka.TailConfig{Topics: []string{"a"}, MaxBatch: 2}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began, release, done, handled := make(chan struct{}, 9), make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		_ = tail.Run(ctx, func(batch []kafka.Record) {
			began <- struct{}{}
			<-release
			if handled += len(batch); handled == 5 {
				cancel()
			}
		})
	}()
	<-began
	if got := tail.Progress()["a"]; got.Lag != 5 || !got.Latest.IsZero() {
		t.Errorf("before the first batch: %+v", got)
	}
	close(release)
	<-done
	if got := tail.Progress()["a"]; got.Lag != 0 || !got.Latest.Equal(at) {
		t.Errorf("at the end: %+v, want no lag and %v", got, at)
	}
}

func TestAMemberKnowsTheLagOfItsPartitionsOnly(t *testing.T) {
	c := kafkatest.New(t, "in")
	p := producer(t, config(c))
	mustSend(t, p, "in", "1")
	m := join(t, config(c), &member{}, "in")
	m.await(t, "the record", func(m *member) bool { return len(m.values) == 1 })
	for end := time.Now().Add(time.Minute); m.group.Progress()["in"].Lag != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the lag stays: %+v", m.group.Progress())
		}
	}
	if got := m.group.Progress(); len(got) != 1 {
		t.Errorf("progress in %v", got)
	}
	m.leave()
	if got := m.group.Progress(); len(got) != 0 {
		t.Errorf("after it left: %v", got)
	}
}
