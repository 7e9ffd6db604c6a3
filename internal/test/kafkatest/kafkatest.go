// Package kafkatest provides a Kafka cluster in the test process.
//
// Tests of packages that connect to Kafka start a cluster with New. It listens on a free loopback port and is closed at
// the end of the test. It is the in-memory broker of the client library, without the guards of package broker. Use it
// for fault injection and speed; use package broker if its guards matter.
package kafkatest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Cluster is a cluster of one or more brokers. Their addresses stay the same after Stop and Start.
type Cluster struct {
	t     testing.TB
	dir   string
	addrs []string // of the brokers

	mu   sync.Mutex
	fake *kfake.Cluster

	accepted atomic.Int64
}

// New starts a cluster of one broker with the given topics, in the form "name:partitions". Records are in a temporary
// directory, so they survive Stop and Start.
func New(t testing.TB, topics ...string) *Cluster {
	t.Helper()
	return NewOf(t, 1, topics...)
}

// NewOf is New with a number of brokers, which share the partitions of a topic.
func NewOf(t testing.TB, brokers int, topics ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), addrs: slices.Repeat([]string{"127.0.0.1:0"}, brokers)}
	c.Start(topics...)
	t.Cleanup(c.Stop)
	return c
}

// Addr returns the address of the first broker.
func (c *Cluster) Addr() string { return c.addrs[0] }

// Accepted returns how many connections clients have made.
func (c *Cluster) Accepted() int64 { return c.accepted.Load() }

// counting is a listener that counts.
type counting struct {
	net.Listener
	accepted *atomic.Int64
}

// Accept waits for the next connection.
func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// Fake returns the running broker, for fault injection; nil while it is stopped.
func (c *Cluster) Fake() *kfake.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fake
}

// KeepControl keeps the control function that calls it, see kfake. It does nothing after Stop, which does not wait for
// control functions.
func (c *Cluster) KeepControl() {
	if fake := c.Fake(); fake != nil {
		fake.KeepControl()
	}
}

// versions returns the supported request versions: all versions of the fake broker, except Produce 13. Produce 13 names
// topics by id. Two unknown ids in one request, as after two topics were recreated, crash kfake.
func versions() *kversion.Versions {
	v := kversion.Tip()
	for key := range kmsg.MaxKey + 1 {
		if r := kmsg.RequestForKey(int16(key)); r != nil {
			v.SetMaxKeyVersion(int16(key), r.MaxVersion())
		}
	}
	v.SetMaxKeyVersion(kmsg.Produce.Int16(), 12)
	return v
}

// Start starts a stopped cluster on the same address.
func (c *Cluster) Start(topics ...string) {
	c.t.Helper()
	started := 0
	opts := []kfake.Opt{
		kfake.NumBrokers(len(c.addrs)), kfake.DataDir(c.dir), kfake.MaxVersions(versions()),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": "11534336", "log.cleaner.backoff.ms": "9000000000000"}),
		kfake.ListenFn(func(_, _ string) (net.Listener, error) {
			ln, err := net.Listen("tcp", c.addrs[started])
			if err != nil {
				return nil, err
			}
			c.addrs[started] = ln.Addr().String()
			started++
			return counting{ln, &c.accepted}, nil
		}),
	}
	for _, spec := range topics {
		name, parts, _ := strings.Cut(spec, ":")
		n := int32(1)
		if parts != "" {
			if _, err := fmt.Sscanf(parts, "%d", &n); err != nil {
				c.t.Fatalf("topic %q: %v", spec, err)
			}
		}
		opts = append(opts, kfake.SeedTopics(n, name))
	}
	fake, err := kfake.NewCluster(opts...)
	if err != nil {
		c.t.Fatalf("start kafka for the test: %v", err)
	}
	c.mu.Lock()
	c.fake = fake
	c.mu.Unlock()
}

// Stop closes the cluster and all its connections. A second call has no effect.
func (c *Cluster) Stop() {
	c.mu.Lock()
	fake := c.fake
	c.fake = nil
	c.mu.Unlock()
	if fake == nil {
		return
	}
	fake.Close()
}

// Wipe deletes the data of a stopped cluster. After Start it is empty, with new topic ids.
func (c *Cluster) Wipe() { c.dir = c.t.TempDir() }
