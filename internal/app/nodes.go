package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// aliveFor is how long a node counts as alive after its last status.
const aliveFor = 15 * time.Second

// LiveNodes reads which nodes reported themselves in the last 15 s, newest
// status of each, in the order of their ids.
func LiveNodes(ctx context.Context, cfg kafka.Config, log *slog.Logger) ([]event.NodeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	nodes := map[string]event.NodeStatus{}
	caughtUp := false
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{
		Topics: []string{event.TopicNodeStatus}, From: kafka.FromAgo(aliveFor + statusInterval),
		OnCaughtUp: func() { caughtUp = true; cancel() },
	}, log)
	if err != nil {
		return nil, err
	}
	if err := tail.Run(ctx, func(batch []kafka.Record) {
		for _, r := range batch {
			if s, err := event.DecodeNodeStatus(r.Value); err == nil {
				nodes[s.Node] = s
			}
		}
	}); err != nil {
		return nil, err
	}
	if !caughtUp {
		return nil, fmt.Errorf("Kafka does not answer, so nobody knows which nodes are there (see smartlb kafka status): %w", context.Cause(ctx))
	}
	var out []event.NodeStatus
	for _, n := range nodes {
		if time.Since(n.Timestamp) < aliveFor {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b event.NodeStatus) int { return strings.Compare(a.Node, b.Node) })
	return out, nil
}
