package browse

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/connect"
	"github.com/smartlb/smartlb/internal/stack"
)

// Cluster is the cluster with measurements of its brokers and with its other services on this machine.
type Cluster struct {
	admin.Cluster
	Brokers   []Broker      `json:"brokers"`
	ZooKeeper *OtherService `json:"zookeeper"` // null: no ZooKeeper is known for the cluster
	Connect   *OtherService `json:"connect"`   // null: no Connect is known for the cluster
}

// Broker is a broker with its response times.
type Broker struct {
	admin.Broker
	Latency Latency `json:"latency"`
}

// Latency holds the response times of a broker to the console over the last fifteen minutes.
type Latency struct {
	LastMs *float64 `json:"lastMs"` // null: the broker did not respond recently
	P50Ms  *float64 `json:"p50Ms"`
	P99Ms  *float64 `json:"p99Ms"`
}

// OtherService is a service of the cluster other than a broker.
type OtherService struct {
	Address   string   `json:"address"`
	Version   string   `json:"version,omitempty"`
	Mode      string   `json:"mode,omitempty"`    // of ZooKeeper only
	Cluster   string   `json:"cluster,omitempty"` // id of the Connect worker's cluster
	LatencyMs *float64 `json:"latencyMs"`         // null: the service did not respond
	Problem   string   `json:"problem,omitempty"`
}

// Local holds the addresses of the cluster's other services on the machine of the console.
type Local struct {
	stack.Addresses
	Started bool // the services were started on this machine: a missing response is a problem
}

// clusterAge is the maximum age of a cached description of the cluster.
const clusterAge = 2 * time.Second

// Cluster describes the cluster.
func (b *Browser) Cluster(ctx context.Context) (Cluster, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	c, err := b.cluster.get(ctx, clusterAge, func(ctx context.Context) (admin.Cluster, error) { return admin.DescribeCluster(ctx, b.cfg.Admin) })
	if err != nil {
		return Cluster{}, b.explained(err)
	}
	out := Cluster{Cluster: c, Brokers: []Broker{}}
	embedded := false
	for _, x := range c.Brokers {
		if x.Embedded {
			embedded = true
			x.Version = b.cfg.Version
		}
		out.Brokers = append(out.Brokers, Broker{Broker: x, Latency: b.latencyOf(x.ID)})
	}
	if embedded {
		out.Version = b.cfg.Version
	}
	others, err := b.others.get(ctx, Step, func(ctx context.Context) ([2]*OtherService, error) { return b.queryOthers(ctx, embedded), nil })
	out.ZooKeeper, out.Connect = others[0], others[1]
	return out, err
}

// queryOthers queries ZooKeeper and a Connect worker. An embedded broker has no ZooKeeper.
func (b *Browser) queryOthers(ctx context.Context, embedded bool) (found [2]*OtherService) {
	if b.cfg.Local == nil {
		return found
	}
	at := b.cfg.Local()
	var both sync.WaitGroup
	if at.Zookeeper != "" && !embedded {
		both.Go(func() { found[0] = at.look(at.Zookeeper, askZooKeeper(ctx)) })
	}
	if at.Connect != "" {
		both.Go(func() { found[1] = at.look(at.Connect, askConnect(ctx)) })
	}
	both.Wait()
	return found
}

// look queries one service. The function ask fills in the result.
func (l Local) look(address string, ask func(*OtherService) error) *OtherService {
	out := &OtherService{Address: address}
	began := time.Now()
	if err := ask(out); err != nil {
		if !l.Started {
			return nil // the service may not exist
		}
		out.Problem = err.Error()
		return out
	}
	ms := millis(time.Since(began))
	out.LatencyMs = &ms
	return out
}

func askZooKeeper(ctx context.Context) func(*OtherService) error {
	return func(s *OtherService) error {
		z, err := stack.AskZookeeper(ctx, s.Address)
		s.Version, s.Mode = z.Version, z.Mode
		return err
	}
}

func askConnect(ctx context.Context) func(*OtherService) error {
	return func(s *OtherService) error {
		cfg := connect.Default()
		cfg.URL, cfg.Timeout = s.Address, 3*time.Second
		client, err := connect.New(cfg)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
		defer cancel()
		info, err := client.Info(ctx)
		s.Version, s.Cluster = info.Version, info.Cluster
		return err
	}
}

func millis(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Microsecond)) / 1000 }

// sampleBrokers measures the response time of each broker. It ignores the first response of a broker, which includes
// the time to connect.
func (b *Browser) sampleBrokers(ctx context.Context, now time.Time) error {
	ids, err := admin.Brokers(ctx, b.cfg.Admin)
	if err != nil {
		return err
	}
	took := make([]time.Duration, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		b.mu.Lock()
		_, met := b.brokers[id]
		b.mu.Unlock()
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, Step/2)
			defer cancel()
			if !met {
				_, _ = admin.AnswerTime(ctx, b.cfg.Admin, id)
			}
			took[i], _ = admin.AnswerTime(ctx, b.cfg.Admin, id) // no response: a gap
		})
	}
	all.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.brokers
	b.brokers = map[int32]*ring{}
	for i, id := range ids {
		r := before[id]
		if r == nil {
			r = &ring{}
		}
		b.brokers[id] = r
		if took[i] > 0 {
			r.put(step(now), float32(millis(took[i])))
		}
	}
	return nil
}

func (b *Browser) latencyOf(broker int32) Latency {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.brokers[broker]
	if r == nil {
		return Latency{}
	}
	var all []float64
	for _, v := range r.values {
		if v != gap {
			all = append(all, short(v))
		}
	}
	slices.Sort(all)
	return Latency{LastMs: known(r.last(step(time.Now()))), P50Ms: quantile(all, .5), P99Ms: quantile(all, .99)}
}

// quantile returns the smallest value that is greater than or equal to a share q of the sorted values.
func quantile(sorted []float64, q float64) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	return &sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// BrokerHistory holds the response times of a broker, in ms.
type BrokerHistory struct {
	Latency Series `json:"latency"`
}

// BrokerHistory returns the response times of a broker.
func (b *Browser) BrokerHistory(_ context.Context, broker int32) (BrokerHistory, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BrokerHistory{Latency: cmp.Or(b.brokers[broker], &ring{}).series()}, nil
}

// BrokerSettings returns every setting of a broker with its source and default.
func (b *Browser) BrokerSettings(ctx context.Context, broker int32) ([]admin.Setting, error) {
	ctx, cancel := soon(ctx)
	defer cancel()
	s, err := admin.DescribeConfigs(ctx, b.cfg.Admin, admin.Resource{Broker: broker})
	if err != nil {
		return nil, fmt.Errorf("settings of broker %d: %w", broker, b.explained(err))
	}
	return s, nil
}
