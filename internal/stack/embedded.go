package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// EmbeddedConfig says how the embedded runtime is started.
type EmbeddedConfig struct {
	Dir      string // state folder, see Dir
	Program  string // the smartlb binary
	Listen   string // of the broker
	Internal string // second listener of the broker; empty: none
	UI       string // of the web UI; empty: none

	KafkaHealth func(ctx context.Context, address string) error
	UIHealth    func(ctx context.Context, address string) error
}

// Names of services, equal in every runtime that has them.
const (
	KafkaName = "kafka"
	UIName    = "kafka-ui"
)

// NewEmbedded makes the runtime whose Kafka is the broker of this program, and
// whose web UI is its console.
func NewEmbedded(c EmbeddedConfig) Runtime {
	kafka := &Process{
		ID: KafkaName, Must: true, Dir: c.Dir, Ready: true, Grace: 20 * time.Second,
		Address: c.Listen, Healthy: c.KafkaHealth,
		Command: func() ([]string, error) {
			return []string{
				c.Program, "run", "--roles", "broker", "--data", filepath.Join(c.Dir, "data"),
				"--broker-listen", c.Listen, "--broker-internal", c.Internal,
			}, nil
		},
	}
	r := Runtime{
		Name:     "embedded",
		Dir:      c.Dir,
		Services: []Service{kafka},
		Lacks:    "no ZooKeeper and no Kafka Connect; one node, no replication, records as durable as the page cache",
	}
	if c.UI != "" {
		r.Services = append(r.Services, &Process{
			ID: UIName, Dir: c.Dir, Ready: true, Grace: 5 * time.Second,
			Address: c.UI, Healthy: c.UIHealth,
			Command: func() ([]string, error) {
				broker, err := ReadReady(kafka.readyPath()) // it may have picked its port
				if err != nil {
					return nil, fmt.Errorf("where Kafka listens: %w", err)
				}
				return []string{
					c.Program, "run", "--roles", "console", "--data", filepath.Join(c.Dir, "ui"),
					"--kafka", broker.Address, "--console", c.UI, "--admin", "127.0.0.1:0",
				}, nil
			},
		})
	}
	return r
}

// Found is a stack that runs on this machine.
type Found struct {
	Runtime  string
	PID      int    // of its broker
	Address  string // of its broker
	Internal string // second address of its broker; may be empty
	UI       string // of its web UI; empty when that does not run
}

// Find tells whether a broker was started in the state folder dir and still
// runs, and where. It asks the process table and files only, not the broker.
func Find(dir string) (Found, bool) {
	p := &Process{ID: KafkaName, Dir: dir, Ready: true}
	st := p.Status(context.Background())
	if st.State != Running || !st.Healthy {
		return Found{}, false
	}
	found := Found{Runtime: "embedded", PID: st.PID, Address: st.Address, Internal: st.Internal}
	ui := &Process{ID: UIName, Dir: dir, Ready: true}
	if st := ui.Status(context.Background()); st.Healthy {
		found.UI = st.Address
	}
	return found, true
}
