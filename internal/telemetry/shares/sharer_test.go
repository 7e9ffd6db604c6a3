package shares

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/dataplane/ratelimit"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
	"github.com/smartlb/smartlb/internal/test/kafkatest"
	"github.com/smartlb/smartlb/internal/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const testTimeout = 3 * time.Minute

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// node is a sharer with one limit and a producer.
type node struct {
	*Sharer
	limit  *ratelimit.Limit
	limits atomic.Pointer[map[ratelimit.ID]*ratelimit.Limit]
	stop   func()
}

func startNode(t *testing.T, cfg kafka.Config, name string) *node {
	t.Helper()
	began := time.Now()
	log := slog.New(slog.DiscardHandler)
	p, err := kafka.NewProducer(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{limit: ratelimit.New(ratelimit.Spec{ID: ratelimit.ID{Service: "shop", Name: "total"}, Count: 1000, Per: time.Second, Burst: 1000, Fleet: true}, nil)}
	n.limits.Store(&map[ratelimit.ID]*ratelimit.Limit{n.limit.ID: n.limit, {Route: "r", Name: "of the node"}: ratelimit.New(ratelimit.Spec{ID: ratelimit.ID{Route: "r", Name: "of the node"}, Count: 1, Per: time.Second, Burst: 1}, nil)})
	n.Sharer = New(Config{
		Node: name, Kafka: cfg, Sender: p, Log: log, Now: func() int64 { return int64(time.Since(began) + time.Second) },
		Limits: func() map[ratelimit.ID]*ratelimit.Limit { return *n.limits.Load() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		closing, end := context.WithTimeout(context.Background(), time.Second)
		defer end()
		_ = p.Close(closing) // without Kafka, the last records are lost
	}
	t.Cleanup(n.stop)
	return n
}

// requests asks the limit of a node for n tokens.
func (n *node) requests(count int) {
	for range count {
		ratelimit.Take([]*ratelimit.Limit{n.limit}, ratelimit.Request{Client: netip.AddrFrom4([4]byte{10, 0, 0, 1})}, n.cfg.Now())
	}
}

func brokers(k *kafkatest.Cluster) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Linger = []string{k.Addr()}, 5*time.Millisecond
	return cfg
}

func TestNodesShareALimitThroughKafka(t *testing.T) {
	k := kafkatest.New(t, event.TopicRateLimits)
	a, b := startNode(t, brokers(k), "a"), startNode(t, brokers(k), "b")
	eventually(t, "the share of a follows its traffic", func() bool {
		a.requests(400) // as many as this loop makes; b has none
		return a.Agreed() && b.Agreed() && a.limit.Share() > .9 && b.limit.Share() < .1 && a.limit.Share()+b.limit.Share() <= 1+1e-6
	})
	eventually(t, "the shares follow the traffic to b", func() bool {
		b.requests(400)
		return a.limit.Share() < .1 && b.limit.Share() > .9
	})
	b.stop()
	eventually(t, "a has the whole limit after b stopped", func() bool { return a.limit.Share() > .999 })

	none := map[ratelimit.ID]*ratelimit.Limit{}
	limits := a.limits.Swap(&none)
	a.Changed()
	eventually(t, "without shared limits, nothing is agreed", func() bool { return !a.Agreed() })
	a.limits.Store(limits)
	a.Changed()
	eventually(t, "the limit is shared again", a.Agreed)
}

func TestWithoutBrokersNodesHaveEqualShares(t *testing.T) {
	k := kafkatest.New(t, event.TopicRateLimits)
	a, b := startNode(t, brokers(k), "a"), startNode(t, brokers(k), "b")
	eventually(t, "a has most of the limit", func() bool { a.requests(400); return a.limit.Share() > .9 && b.limit.Share() < .1 })
	k.Stop()
	eventually(t, "both have a half", func() bool { return a.limit.Share() == .5 && b.limit.Share() == .5 && !a.Agreed() })
	k.Start()
	eventually(t, "they agree again", func() bool {
		a.requests(400)
		return a.Agreed() && b.Agreed() && a.limit.Share() > .9 && b.limit.Share() < .1
	})
}

// With signing keys, only records of nodes count, and no copies of old ones.
func TestWithKeysOnlyNodesShareLimits(t *testing.T) {
	ring, err := sign.Config{Keys: []sign.Key{{ID: "k", Secret: "${env:K}"}}}.Ring(func(string) string { return strings.Repeat("k", 32) }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg := kafka.Default()
	cfg.Signing = ring
	s := New(Config{Node: "a", Kafka: cfg, Now: func() int64 { return 1000 * second }, Log: slog.New(slog.DiscardHandler), Limits: func() map[ratelimit.ID]*ratelimit.Limit { return nil }})
	record := func(node string, header func(key, value []byte) []byte) kafka.Record {
		m := event.RateLimits{Timestamp: time.Now().UTC(), Node: node, Process: "p", Sequence: 1, Limits: []event.LimitClaim{{Limit: limit, Demand: 1, Want: 1}}}
		r := kafka.Record{Topic: event.TopicRateLimits, Key: []byte(node), Value: m.AppendJSON(nil), Timestamp: time.Now()}
		if header != nil {
			r.Headers = []kafka.Header{{Key: sign.Header, Value: header(r.Key, r.Value)}}
		}
		return r
	}
	signedAt := func(at time.Time) func(key, value []byte) []byte {
		return func(key, value []byte) []byte { return ring.Sign(event.TopicRateLimits, key, value, at) }
	}
	s.take([]kafka.Record{
		record("unsigned", nil), record("forged", func(_, value []byte) []byte {
			return ring.Sign(event.TopicRateLimits, []byte("other"), value, time.Now())
		}),
		record("copied", signedAt(time.Now().Add(-time.Hour))), record("ahead", signedAt(time.Now().Add(time.Hour))), record("node", signedAt(time.Now())),
		{Topic: event.TopicRateLimits, Value: []byte("{")}, {Topic: event.TopicRateLimits, Value: []byte(strings.Repeat(" ", maxRecord+1))},
	})
	var names []string
	for name := range s.book.processes {
		names = append(names, name)
	}
	if fmt.Sprint(names) != "[node/p]" {
		t.Errorf("records of %v count", names)
	}
}
