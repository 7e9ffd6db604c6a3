package browse

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/mask"
	"github.com/smartlb/smartlb/internal/topic"
)

// Config says which cluster is looked at.
type Config struct {
	Kafka   kafka.Config
	Admin   *kafka.Admin // of that cluster; the caller closes it
	Catalog topic.File
	Mask    mask.Rules // what is hidden in messages
	Log     *slog.Logger
}

// Browser answers questions about one cluster. Its methods are safe for
// concurrent use, block on the cluster, and are bounded by their context.
type Browser struct {
	cfg Config

	mu     sync.Mutex
	topics map[string]*topicPast
}

// New returns a browser without past. Run gives it one.
func New(cfg Config) *Browser {
	return &Browser{cfg: cfg, topics: map[string]*topicPast{}}
}

// Run measures each Step until ctx ends. A cluster that does not answer leaves
// gaps; that it does not is said elsewhere.
func (b *Browser) Run(ctx context.Context) error {
	ticker := time.NewTicker(Step)
	defer ticker.Stop()
	for {
		b.sample(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// sample measures everything once.
func (b *Browser) sample(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, Step)
	defer cancel()
	for _, measure := range []func(context.Context, time.Time) error{b.sampleTopics} {
		if err := measure(ctx, now); err != nil && ctx.Err() == nil {
			b.cfg.Log.Debug("a measure of the cluster is missing", "error", err)
		}
	}
}
