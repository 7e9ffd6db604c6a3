package browse

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/doctor"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/mask"
	"github.com/smartlb/smartlb/internal/ops"
	"github.com/smartlb/smartlb/internal/topic"
)

// Config says which cluster is looked at.
type Config struct {
	Kafka   kafka.Config
	Admin   *kafka.Admin // of that cluster; the caller closes it
	Catalog topic.File
	Mask    mask.Rules // what is hidden in messages
	Log     *slog.Logger

	Version  string                 // of the embedded broker, where it is this program's own; empty: not known
	Local    func() Local           // services beside the cluster; nil: none
	Question func() doctor.Question // what health looks at
}

// Browser answers questions about one cluster. Its methods are safe for
// concurrent use, block on the cluster, and are bounded by their context.
type Browser struct {
	cfg Config

	listing *cached[[]ops.Topic]
	plan    *cached[ops.Plan]
	sizes   *cached[ops.Sizes]
	groups  *cached[[]ops.GroupDescription]
	cluster *cached[ops.Cluster]
	beside  *cached[[2]*Beside]
	health  *cached[Health]

	mu      sync.Mutex
	topics  map[string]*topicPast
	brokers map[int32]*ring // ms
}

// New returns a browser without past. Run gives it one.
func New(cfg Config) *Browser {
	return &Browser{
		cfg: cfg, topics: map[string]*topicPast{},
		listing: newCached[[]ops.Topic](), plan: newCached[ops.Plan](), sizes: newCached[ops.Sizes](), groups: newCached[[]ops.GroupDescription](),
		cluster: newCached[ops.Cluster](), beside: newCached[[2]*Beside](), health: newCached[Health](), brokers: map[int32]*ring{},
	}
}

// Run measures each Step until ctx ends. A cluster that does not answer leaves
// gaps; that it does not is said elsewhere.
func (b *Browser) Run(ctx context.Context) error {
	ticker := time.NewTicker(Step)
	defer ticker.Stop()
	for n := 0; ; n++ {
		b.sample(ctx, n)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// measure is something that is looked at every so many steps.
type measure struct {
	every int
	take  func(context.Context, time.Time) error
}

// sample takes the measures that are due in the n-th step.
func (b *Browser) sample(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, Step)
	defer cancel()
	for _, m := range []measure{{1, b.sampleTopics}, {3, b.sampleSizes}, {3, b.samplePlan}, {1, b.sampleBrokers}} {
		if n%m.every != 0 {
			continue
		}
		if err := m.take(ctx, time.Now()); err != nil && ctx.Err() == nil {
			b.cfg.Log.Debug("a measure of the cluster is missing", "error", err)
		}
	}
}

// explained adds to an error of the cluster why it came about, where that is
// known.
func (b *Browser) explained(err error) error {
	if ops.FaultOf(err) != ops.FaultUnavailable {
		return err
	}
	return kafka.Explained(err, b.cfg.Kafka)
}
