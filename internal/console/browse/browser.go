package browse

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/mask"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack/doctor"
)

// Config names the cluster and the services that a Browser reads.
type Config struct {
	Kafka   kafka.Config
	Admin   *kafka.Admin // client of that cluster; the caller closes it
	Catalog topic.File
	Mask    mask.Rules // fields of messages to hide
	Dir     string     // folder for the thresholds; empty: they are not stored
	Log     *slog.Logger

	Version  string                 // of the embedded broker of this program; empty: unknown
	Local    func() Local           // returns the services on this machine; nil: none
	Worker   func() string          // returns the address of a Connect worker; empty: unknown; nil: none
	Question func() doctor.Question // returns the checks of the health page
}

// Browser reads and changes one cluster. Its methods are safe for concurrent use. They block while the cluster
// responds; their context limits that.
type Browser struct {
	cfg Config

	listing   *cached[[]admin.Topic]
	plan      *cached[admin.Plan]
	sizes     *cached[admin.Sizes]
	described *cached[[]admin.GroupDescription]
	cluster   *cached[admin.Cluster]
	others    *cached[[2]*OtherService]
	health    *cached[Health]
	searches  atomic.Int32  // in progress
	tellEvery time.Duration // interval of a search's progress reports
	redriving chan struct{} // holds an item during a redrive
	setting   sync.Mutex    // held during a change of thresholds, including the write to disk; locked before mu

	mu      sync.Mutex
	topics  map[string]*topicPast
	groups  groupsPast
	brokers map[int32]*ring // ms

	thresholds map[string]Threshold // replaced as a whole, never modified
}

// New returns a browser without measurements. Run collects them.
func New(cfg Config) (*Browser, error) {
	thresholds, err := loadThresholds(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &Browser{
		cfg: cfg, topics: map[string]*topicPast{}, thresholds: thresholds, redriving: make(chan struct{}, 1), tellEvery: tellEvery,
		listing: newCached[[]admin.Topic](), plan: newCached[admin.Plan](), sizes: newCached[admin.Sizes](), described: newCached[[]admin.GroupDescription](),
		cluster: newCached[admin.Cluster](), others: newCached[[2]*OtherService](), health: newCached[Health](), brokers: map[int32]*ring{},
	}, nil
}

// Run measures until ctx ends. While the cluster does not respond, the series have gaps. Run logs such errors at debug
// level only; app reports an unreachable cluster.
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

// measure is a measurement that Run repeats. Slow measurements are repeated less often, so that they take at most a
// tenth of the time.
type measure struct {
	every time.Duration // 0: each Step
	run   func(context.Context, time.Time) error
	next  time.Time
}

// measureTime limits one measurement.
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

// explained adds the cause to an error of the cluster, if the cause is known.
func (b *Browser) explained(err error) error {
	if admin.FaultOf(err) != admin.FaultUnavailable {
		return err
	}
	return kafka.Explained(err, b.cfg.Kafka)
}

// clusterTimeout is the timeout of a page for the cluster. The client retries an unavailable cluster until its own
// timeout; a user must see the error earlier.
const clusterTimeout = 4 * time.Second

func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, clusterTimeout)
}
