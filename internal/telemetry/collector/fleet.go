package collector

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/telemetry/nodes"
)

// statusBack is how much of smartlb-node-status is read first.
const statusBack = 20 * time.Second

// Fleet follows what a collector must know from Kafka: the nodes, and the published configuration.
type Fleet struct {
	cfg      kafka.Config
	node     string
	watch    *nodes.Watch
	status   *kafka.Tail
	updates  *kafka.Tail
	state    configlog.State // of config-updates; only its tail's goroutine uses it
	caughtUp atomic.Bool
	last     []string // the latest list with this node in it; only the goroutine that calls Nodes uses it
}

// NewFleet returns a fleet as node sees it. watch decides how long a node is alive.
func NewFleet(cfg kafka.Config, node string, watch *nodes.Watch, log *slog.Logger) (*Fleet, error) {
	f := &Fleet{cfg: cfg, node: node, watch: watch}
	var err error
	f.status, err = kafka.NewTail(cfg, kafka.TailConfig{
		Topics: []string{event.TopicNodeStatus}, From: kafka.FromAgo(statusBack), OnCaughtUp: func() { f.caughtUp.Store(true) },
	}, log)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	f.updates, err = kafka.NewTail(cfg, kafka.TailConfig{
		Topics: []string{event.TopicConfigUpdates}, OnReset: func(string, kafka.ResetReason) { f.state = configlog.State{} },
	}, log)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return f, nil
}

// Run follows until ctx ends. It calls published with the services of each revision of the published configuration that can be
// used; if published is nil, it does not read the configuration, because the node has one.
func (f *Fleet) Run(ctx context.Context, published func([]config.Service)) error {
	var tails sync.WaitGroup
	tails.Go(func() { _ = f.status.Run(ctx, f.watch.Take) }) // it returns nil
	if published != nil {
		tails.Go(func() {
			_ = f.updates.Run(ctx, func(batch []kafka.Record) { f.read(batch, published) })
		})
	}
	tails.Wait()
	return nil
}

// read publishes the services of the latest revision if it can be used.
func (f *Fleet) read(batch []kafka.Record, published func([]config.Service)) {
	changed := false
	for _, r := range batch {
		changed = f.state.Fold(configlog.Read(f.cfg, r)) || changed
	}
	f.state.DropHistory()
	if !changed {
		return
	}
	if t, err := config.ParseTraffic([]byte(f.state.Document)); err == nil { // nodes refuse it too and keep the revision before
		published(t.Services)
	}
}

// Nodes returns the live nodes with the role collector, this node included; nil while they are not known. While the status of
// this node does not come back from Kafka, the nodes before count: without Kafka each node would take itself for the only
// one, and all of them would ask every instance. Nodes must not be called concurrently.
func (f *Fleet) Nodes() []string {
	if !f.caughtUp.Load() {
		return nil
	}
	ids := f.watch.Live(event.RoleCollector, f.node)
	switch {
	case slices.Contains(ids, f.node):
		f.last = ids
	case f.last != nil:
		return f.last
	default:
		ids = append(ids, f.node)
	}
	return ids
}
