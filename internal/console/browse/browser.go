package browse

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/mask"
	"github.com/smartlb/smartlb/internal/kafka/ops"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// Config says which cluster is looked at.
type Config struct {
	Kafka   kafka.Config
	Admin   *kafka.Admin // of that cluster; the caller closes it
	Catalog topic.File
	Mask    mask.Rules // what is hidden in messages
	Dir     string     // where thresholds are kept; empty: nowhere
	Log     *slog.Logger

	Version  string                 // of the embedded broker, where it is this program's own; empty: not known
	Local    func() Local           // services beside the cluster; nil: none
	Worker   func() string          // address of a Connect worker, empty: none is known; nil: none
	Question func() doctor.Question // what health looks at
}

// Browser answers questions about one cluster. Its methods are safe for
// concurrent use, block on the cluster, and are bounded by their context.
type Browser struct {
	cfg Config

	listing   *cached[[]ops.Topic]
	plan      *cached[ops.Plan]
	sizes     *cached[ops.Sizes]
	described *cached[[]ops.GroupDescription]
	cluster   *cached[ops.Cluster]
	beside    *cached[[2]*Beside]
	health    *cached[Health]
	searches  atomic.Int32  // under way
	tellEvery time.Duration // between two words about a search
	redriving chan struct{} // holds an item while somebody does
	setting   sync.Mutex    // held while thresholds are changed, disk and all; taken before mu

	mu      sync.Mutex
	topics  map[string]*topicPast
	groups  groupsPast
	brokers map[int32]*ring // ms

	thresholds map[string]Threshold // replaced, never written to
}

// New returns a browser without past. Run gives it one.
func New(cfg Config) (*Browser, error) {
	thresholds, err := loadThresholds(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &Browser{
		cfg: cfg, topics: map[string]*topicPast{}, thresholds: thresholds, redriving: make(chan struct{}, 1), tellEvery: tellEvery,
		listing: newCached[[]ops.Topic](), plan: newCached[ops.Plan](), sizes: newCached[ops.Sizes](), described: newCached[[]ops.GroupDescription](),
		cluster: newCached[ops.Cluster](), beside: newCached[[2]*Beside](), health: newCached[Health](), brokers: map[int32]*ring{},
	}, nil
}

// Run measures until ctx ends. A cluster that does not answer leaves gaps; that
// it does not is said elsewhere.
func (b *Browser) Run(ctx context.Context) error {
	measures := []*measure{{run: b.sampleTopics}, {run: b.sampleGroups}, {every: 3 * Step, run: b.sampleSizes}, {every: 3 * Step, run: b.samplePlan}, {run: b.sampleBrokers}}
	ticker := time.NewTicker(Step)
	defer ticker.Stop()
	for {
		for _, m := range measures {
			if err := m.at(ctx, time.Now()); err != nil && ctx.Err() == nil {
				b.cfg.Log.Debug("cluster measurement failed", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// measure is something that is measured again and again; what takes long is
// measured less often, so that brokers are asked for a tenth of the time at
// most.
type measure struct {
	every time.Duration // 0: each Step
	run   func(context.Context, time.Time) error
	next  time.Time
}

// measureTime bounds one measure.
const measureTime = 10 * time.Second

func (m *measure) at(ctx context.Context, now time.Time) error {
	if now.Before(m.next) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	err := m.run(ctx, now)
	m.next = now.Add(max(m.every, 10*time.Since(now)) - Step/2)
	return err
}

// explained adds to an error of the cluster why it came about, where that is
// known.
func (b *Browser) explained(err error) error {
	if ops.FaultOf(err) != ops.FaultUnavailable {
		return err
	}
	return kafka.Explained(err, b.cfg.Kafka)
}

// patience is how long a page waits for the cluster. One that is away is tried
// again for as long as the client may, and whoever looks wants to know it
// before that.
const patience = 4 * time.Second

func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
