package stack

import (
	"context"
	"path/filepath"
	"time"
)

// EmbeddedConfig says how the embedded runtime is started.
type EmbeddedConfig struct {
	Dir      string // state folder, see Dir
	Program  string // the smartlb binary
	Listen   string // of the broker; default 127.0.0.1:9092
	Internal string // second listener of the broker; default 127.0.0.1:29092
	Healthy  func(ctx context.Context, address string) error
}

// KafkaName is the name of the broker among the services of every runtime.
const KafkaName = "kafka"

// NewEmbedded makes the runtime whose Kafka is the broker of this program.
func NewEmbedded(c EmbeddedConfig) Runtime {
	kafka := &Process{
		ID: KafkaName, Must: true, Dir: c.Dir, Ready: true, Grace: 20 * time.Second,
		Address: c.Listen, Healthy: c.Healthy,
		Command: []string{
			c.Program, "run", "--roles", "broker",
			"--data", filepath.Join(c.Dir, "data"),
			"--broker-listen", c.Listen, "--broker-internal", c.Internal,
		},
	}
	return Runtime{
		Name:     "embedded",
		Dir:      c.Dir,
		Services: []Service{kafka},
		Lacks:    "no ZooKeeper and no Kafka Connect; one node, no replication, records as durable as the page cache",
	}
}

// Found is a stack that runs on this machine.
type Found struct {
	Runtime  string
	PID      int    // of its broker
	Address  string // of its broker
	Internal string // second address of its broker; may be empty
}

// Find tells whether a broker was started in the state folder dir and still
// runs, and where. It asks the process table and files only, not the broker.
func Find(dir string) (Found, bool) {
	p := &Process{ID: KafkaName, Dir: dir, Ready: true}
	st := p.Status(context.Background())
	if st.State != Running || !st.Healthy {
		return Found{}, false
	}
	return Found{Runtime: "embedded", PID: st.PID, Address: st.Address, Internal: st.Internal}, true
}
