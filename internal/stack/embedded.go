package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// EmbeddedConfig configures the embedded runtime.
type EmbeddedConfig struct {
	Dir      string // state folder, see Dir
	Program  string // the smartlb binary
	Listen   string // address of the broker
	Internal string // second listener of the broker; empty: none
	UI       string // address of the web UI; empty: none
	Version  string // of the program

	KafkaHealth HealthOfKafka
	UIHealth    func(ctx context.Context, address string) error
}

// Names of services, the same in every runtime.
const (
	ZookeeperName  = "zookeeper"
	KafkaName      = "kafka"
	ConnectName    = "connect"
	UIName         = "kafka-ui"
	SupervisorName = "supervisor"
)

// NewEmbedded makes the runtime whose Kafka is the broker of this program, and whose web UI is this program's console.
func NewEmbedded(c EmbeddedConfig) Runtime {
	kafka := &Process{
		ID: KafkaName, Must: true, Dir: c.Dir, Ready: true, Grace: 20 * time.Second,
		Address: c.Listen, Healthy: c.KafkaHealth.with(nil),
		Command: func() ([]string, error) {
			return []string{
				c.Program, "run", "--roles", "broker", "--data", filepath.Join(c.Dir, "data"),
				"--broker-listen", c.Listen, "--broker-internal", c.Internal,
			}, nil
		},
	}
	kafka.Inspect = func(_ context.Context, s *Status) {
		s.Version, s.Data = c.Version, filepath.Join(c.Dir, "data")
		if s.Address != "" {
			s.Listeners = append(s.Listeners, Listener{"EXTERNAL", s.Address, s.Address})
		}
		if s.Internal != "" {
			s.Listeners = append(s.Listeners, Listener{"INTERNAL", s.Internal, s.Internal})
		}
	}
	r := Runtime{
		Name:     RuntimeEmbedded,
		Dir:      c.Dir,
		Services: []Service{kafka},
		Lacks:    "no ZooKeeper and no Kafka Connect; one node, no replication, records as durable as the page cache",
	}
	if c.UI != "" {
		r.Services = append(r.Services, newUI(uiConfig{
			Dir: c.Dir, Program: c.Program, Address: c.UI, Version: c.Version, Health: c.UIHealth,
			Broker: func() (string, error) {
				broker, err := ReadReady(kafka.readyPath()) // the broker may have picked its port
				return broker.Address, err
			},
		}))
	}
	return r
}

// uiConfig configures the web UI.
type uiConfig struct {
	Dir     string
	Program string
	Address string
	Version string
	Broker  func() (string, error) // broker address, read at each start
	Health  func(ctx context.Context, address string) error
}

// newUI makes the service of this program's console.
func newUI(c uiConfig) *Process {
	return &Process{
		ID: UIName, Dir: c.Dir, Ready: true, Grace: 5 * time.Second, Address: c.Address, Healthy: c.Health,
		Inspect: func(_ context.Context, s *Status) { s.Version = c.Version },
		Command: func() ([]string, error) {
			broker, err := c.Broker()
			if err != nil {
				return nil, fmt.Errorf("where Kafka listens: %w", err)
			}
			return []string{
				c.Program, "run", "--roles", "console", "--data", filepath.Join(c.Dir, "ui"),
				"--kafka", broker, "--console", c.Address, "--admin", "127.0.0.1:0",
			}, nil
		},
	}
}
