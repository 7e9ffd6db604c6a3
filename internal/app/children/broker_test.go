package children

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/stack/child"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// Ctrl-C while the broker takes connections and does not answer yet.
func TestWaitingForABrokerThatHangsCanBeInterrupted(t *testing.T) {
	addr, asked := kafkatest.Mute(t)
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout = []string{addr}, time.Minute
	p := &processes{logs: t.TempDir(), o: Options{Out: io.Discard}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.await(ctx, cfg, child.New(child.Spec{}, slog.New(slog.DiscardHandler))) }()
	<-asked
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a broker that never answers is up")
		}
	case <-time.After(45 * time.Second):
		t.Fatal("it waits on")
	}
}
