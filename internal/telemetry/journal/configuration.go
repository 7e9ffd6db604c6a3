package journal

import (
	"context"
	"slices"
	"sync"

	"github.com/smartlb/smartlb/internal/control/configlog"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Configuration is the log of config-updates, folded as every node folds it. Its methods are safe for concurrent use.
type Configuration struct {
	*watch
	mu    sync.Mutex
	state configlog.State
}

// NewConfiguration returns the log; Run reads it while it has users.
func NewConfiguration(cfg Config) *Configuration {
	c := &Configuration{}
	c.watch = (&watch{
		kafka: cfg.Kafka, log: cfg.Log, topic: event.TopicConfigUpdates,
		plan: func(context.Context) (kafka.TailConfig, error) {
			return kafka.TailConfig{Topics: []string{event.TopicConfigUpdates}}, nil
		},
		begin: func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.state = configlog.State{}
		},
		handle: func(batch []kafka.Record) {
			updates := make([]configlog.Update, len(batch))
			for i, r := range batch {
				updates[i] = configlog.Read(cfg.Kafka, r)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, u := range updates {
				c.state.Fold(u)
			}
		},
	}).init()
	return c
}

// State returns a copy of the folded state. The error is ErrAway if Kafka did not answer and no state is known.
func (c *Configuration) State(ctx context.Context) (configlog.State, error) {
	defer c.use()()
	if err := c.await(ctx); err != nil {
		return configlog.State{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.History, s.Overrides, s.Silences = slices.Clone(s.History), slices.Clone(s.Overrides), slices.Clone(s.Silences)
	return s, nil
}
