package analyzer

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
)

// A stop while partitions are being assigned does not wait for a broker that
// hangs.
func TestAnAssignmentEndsWithItsContext(t *testing.T) {
	for name, ask := range map[string]func(*shell, context.Context) error{
		"partitions": func(s *shell, ctx context.Context) error { _, err := s.partitions(ctx); return err },
		"recent": func(s *shell, ctx context.Context) error {
			_, err := s.recent(ctx, map[kafka.TopicPartition]kafka.Position{{Topic: event.TopicServiceMetrics}: {Committed: -1}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, asked := kafkatest.Mute(t)
			cfg := Default()
			cfg.Kafka.Brokers, cfg.Kafka.RequestTimeout = []string{addr}, 10*time.Minute
			s := &shell{a: &Analyzer{cfg: cfg, log: slog.New(slog.DiscardHandler)}, topics: Inputs()}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- ask(s, ctx) }()
			<-asked
			cancel()
			select {
			case err := <-done:
				if err == nil {
					t.Error("a broker that never answers has answered")
				}
			case <-time.After(2 * time.Minute):
				t.Fatal("it waits for a broker that hangs")
			}
		})
	}
}
