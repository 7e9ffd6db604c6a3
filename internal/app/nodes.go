package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

const (
	aliveFor = 15 * time.Second // a node counts as alive so long after its last status
	maxAhead = time.Minute      // clocks of nodes differ by less; a status dated later is of no node's clock
	maxNodes = 1000             // that are remembered: anybody can write more
)

// LiveNode is a node that reported itself lately.
type LiveNode struct {
	event.NodeStatus
	Key string // id of the key that signed the status; empty: nobody vouches for it
}

// LiveNodes reads which nodes reported themselves in the last 15 s, newest
// status of each, in the order of their ids.
func LiveNodes(ctx context.Context, cfg kafka.Config, log *slog.Logger) ([]LiveNode, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	nodes := nodeBook{}
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
			nodes.take(r, time.Now())
		}
	}); err != nil {
		return nil, err
	}
	if !caughtUp {
		return nil, fmt.Errorf("Kafka does not answer, so nobody knows which nodes are there (see smartlb kafka status): %w", context.Cause(ctx))
	}
	return nodes.list(), nil
}

// nodeBook holds the newest status of each node.
type nodeBook map[string]LiveNode

// take remembers a status, unless it is too old, dated ahead, or of a node too
// many.
func (b nodeBook) take(r kafka.Record, now time.Time) {
	s, err := event.DecodeNodeStatus(r.Value)
	if err != nil || now.Sub(s.Timestamp) >= aliveFor || s.Timestamp.Sub(now) > maxAhead {
		return
	}
	if _, known := b[s.Node]; !known && len(b) >= maxNodes {
		return
	}
	s.AdminURL, s.ConsoleURL = plainURL(s.AdminURL), plainURL(s.ConsoleURL) // pages make a link of it
	b[s.Node] = LiveNode{NodeStatus: s}
}

func (b nodeBook) list() []LiveNode {
	return slices.SortedFunc(maps.Values(b), func(x, y LiveNode) int { return strings.Compare(x.Node, y.Node) })
}
