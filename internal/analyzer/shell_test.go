package analyzer

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// mute listens like a broker and never answers. asked gets a token for each
// question.
func mute(t *testing.T) (addr string, asked <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	questions, ended := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(ended)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range open {
					_ = c.Close()
				}
				return
			}
			open = append(open, c)
			if _, err := c.Read(make([]byte, 1)); err == nil {
				questions <- struct{}{}
			}
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String(), questions
}

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
			addr, asked := mute(t)
			cfg := Default()
			cfg.Kafka.Brokers, cfg.Kafka.RequestTimeout = []string{addr}, time.Minute
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
			case <-time.After(20 * time.Second):
				t.Fatal("it waits for a broker that hangs")
			}
		})
	}
}
