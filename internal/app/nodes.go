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
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

const (
	aliveFor = 15 * time.Second // a node counts as alive so long after its last status
	maxAhead = time.Minute      // clocks of nodes differ by less; a status dated later is of no node's clock
	maxNodes = 1000             // that are remembered: anybody can write more

	maxStatus   = 1 << 20  // bytes of a status; a node with thousands of overrides has less
	maxStatuses = 32 << 20 // of all that are remembered without a signature
)

// LiveNode is a node that reported itself lately.
type LiveNode struct {
	event.NodeStatus
	Key string // id of the key that signed the status; empty: nobody vouches for it

	size int // bytes of the record
}

// LiveNodes reads which nodes reported themselves in the last 15 s, newest
// status of each, in the order of their ids.
func LiveNodes(ctx context.Context, cfg kafka.Config, log *slog.Logger) ([]LiveNode, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	nodes := newNodeBook()
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
			nodes.take(r, cfg.Verify(r), time.Now())
		}
	}); err != nil {
		return nil, err
	}
	if !caughtUp {
		return nil, fmt.Errorf("Kafka does not answer, so nobody knows which nodes are there (see smartlb kafka status): %w", context.Cause(ctx))
	}
	return nodes.list(), nil
}

// nodeBook holds the newest status of each node. Signed nodes have a room of
// their own, and nobody writes over them without a key.
type nodeBook struct {
	signed, others map[string]LiveNode
	bytes          int // of others
}

func newNodeBook() *nodeBook {
	return &nodeBook{signed: map[string]LiveNode{}, others: map[string]LiveNode{}}
}

// take remembers a status, unless it is too old, dated ahead, wrongly signed, too
// large, or of a node too many.
func (b *nodeBook) take(r kafka.Record, by sign.Verdict, now time.Time) {
	if by.State == sign.Bad || len(r.Value) > maxStatus {
		return
	}
	s, err := event.DecodeNodeStatus(r.Value)
	if err != nil || now.Sub(s.Timestamp) >= aliveFor || s.Timestamp.Sub(now) > maxAhead {
		return
	}
	room := b.others
	if by.State == sign.Signed {
		room = b.signed
	}
	was, known := room[s.Node]
	if !known && len(room) >= maxNodes {
		return
	}
	if by.State != sign.Signed {
		if b.bytes+len(r.Value)-was.size > maxStatuses {
			return
		}
		b.bytes += len(r.Value) - was.size
	}
	s.AdminURL, s.ConsoleURL = plainURL(s.AdminURL), plainURL(s.ConsoleURL) // pages make a link of it
	room[s.Node] = LiveNode{NodeStatus: s, Key: by.Key, size: len(r.Value)}
}

func (b *nodeBook) list() []LiveNode {
	all := maps.Clone(b.others)
	maps.Copy(all, b.signed)
	return slices.SortedFunc(maps.Values(all), func(x, y LiveNode) int { return strings.Compare(x.Node, y.Node) })
}
