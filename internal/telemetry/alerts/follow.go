package alerts

import (
	"context"
	"log/slog"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Follow keeps the book equal to the alerts topic until ctx ends. It is called once. Records that no known key signed are
// counted and noted with Forged, and change nothing else.
func (b *Book) Follow(ctx context.Context, cfg kafka.Config, log *slog.Logger) error {
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{
		Topics: []string{event.TopicAlerts}, From: kafka.FromAgo(Kept),
		OnReset: func(topic string, _ kafka.ResetReason) { b.Recreated(topic) },
	}, log)
	if err != nil {
		return err
	}
	b.tail.Store(tail)
	return tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			alert, err := event.DecodeAlert(r.Value)
			if err != nil {
				continue
			}
			if by := cfg.Verify(r); by.Refused() {
				cfg.Skips.Add(r, by.State.String(), log)
				b.Forged(r.Topic)
				continue
			}
			b.Take(alert)
		}
	})
}

// Connected reports whether Follow reads the topic at present.
func (b *Book) Connected() bool {
	tail := b.tail.Load()
	return tail != nil && tail.Connected()
}
